//! Who opened a session, and until when that is good.

use super::Key;

/// What opened a session. Of credentials their digests only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenedBy {
    /// Nothing: no key was asked for.
    Nothing,
    /// A key of the server or the endpoint.
    Key(Key),
    /// A signed token; the same subject may come with another one.
    Token { token: Key, subject: Option<Key>, expires_at: u64 },
    /// The webhook, by what was shown to it. `None`: nothing was.
    Webhook(Option<Key>),
}

impl OpenedBy {
    /// The credential that was shown, or `None` if there was none: then the session's URL is all there is to
    /// know of it.
    pub const fn credential(&self) -> Option<Key> {
        match self {
            Self::Nothing => None,
            Self::Key(key) | Self::Token { token: key, .. } => Some(*key),
            Self::Webhook(shown) => *shown,
        }
    }
}
