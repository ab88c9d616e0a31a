//! What goes back: an HTTP reply, and what the engine must be told.

use wtn_media::{Admission, SessionId};

/// One reply, and what it entails.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers; a name may come twice. `Content-Length` is the shell's to write.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for HEAD, as for GET.
    pub body: Vec<u8>,
    /// To be done before the reply is sent, in this order.
    pub effects: Vec<Effect>,
}

/// Something for the engine to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Expect this session's first check.
    Admit(Box<Admission>),
    /// End this session.
    End(SessionId, Ending),
}

/// Why signalling ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its client asked for it, or the desk had given it up before it connected.
    Deleted,
    /// A newer publisher took the stream.
    Replaced,
}
