//! ICE-lite (RFC 8445 §2.5): we ask nothing, we answer checks, and remember which addresses proved that they
//! hold our password. Only such an address is ever sent to.

use crate::DropReason;
use crate::stun::BindingRequest;
use arrayvec::ArrayVec;
use subtle::ConstantTimeEq;
use wtn_media::{IceCredentials, Remote};

/// Addresses remembered per session. A browser with two networks, IPv6 and TCP forms four to six pairs; past
/// the limit the one that was silent longest is forgotten, never the selected one.
pub const ADDRESSES_MAX: usize = 8;

/// What an authentic check led to.
#[derive(Debug)]
pub(crate) struct Checked {
    /// To be sent back to where the check came from.
    pub reply: Vec<u8>,
    /// The address was not known before.
    pub learned: bool,
    /// An address that had to give way to it.
    pub forgotten: Option<Remote>,
    /// Media goes to the address from now on.
    pub selected: bool,
    /// An ICE restart is over: the credentials before it are worth nothing any more.
    pub renewed: bool,
}

/// The credentials of one ICE session (RFC 8445 §9): a restart begins the next.
struct Generation {
    local: IceCredentials,
    remote_ufrag: String,
}

impl Generation {
    fn is_for(&self, request: &BindingRequest<'_>) -> bool {
        let ours = request.local_ufrag().as_bytes().ct_eq(self.local.ufrag.as_bytes());
        let theirs = request.remote_ufrag().as_bytes().ct_eq(self.remote_ufrag.as_bytes());
        bool::from(ours & theirs)
    }
}

pub(crate) struct IceLite {
    current: Generation,
    /// The one that media still goes by while a restart is under way, until the client nominates a pair of the
    /// current one.
    previous: Option<Generation>,
    /// The one heard of last is last.
    validated: ArrayVec<Remote, ADDRESSES_MAX>,
    selected: Option<Remote>,
}

impl IceLite {
    pub fn new(local: IceCredentials, remote_ufrag: String) -> Self {
        let current = Generation { local, remote_ufrag };
        Self { current, previous: None, validated: ArrayVec::new(), selected: None }
    }

    /// An ICE restart (RFC 8445 §9): only the new credentials prove anything from now on. Media stays on its
    /// pair until they nominate one (§12.1), and the consent of the client for that pair (RFC 7675 §5.1) is
    /// answered as long. Of several restarts in a row the last counts.
    pub fn restart(&mut self, local: IceCredentials, remote_ufrag: String) {
        let replaced = std::mem::replace(&mut self.current, Generation { local, remote_ufrag });
        if self.selected.is_some() && self.previous.is_none() {
            self.previous = Some(replaced);
        }
    }

    /// Where DTLS and media go: the pair nominated last, before any nomination the first that was validated.
    pub fn selected(&self) -> Option<Remote> {
        self.selected
    }

    pub fn knows(&self, address: Remote) -> bool {
        self.validated.contains(&address)
    }

    /// A path is gone. What was selected gives way to the one heard of last among the others, if there is one, for
    /// the client would have to nominate it only to say what is plain. True if the path was known.
    pub fn forget(&mut self, remote: Remote) -> bool {
        let Some(at) = self.validated.iter().position(|&known| known == remote) else { return false };
        self.validated.remove(at);
        if self.selected == Some(remote) {
            self.selected = self.validated.last().copied();
        }
        true
    }

    /// Answers a check, or says why it is dropped in silence (RFC 8445 §7.3).
    pub fn handle_check(&mut self, from: Remote, datagram: &[u8]) -> Result<Checked, DropReason> {
        let request = BindingRequest::parse(datagram)?;
        if self.current.is_for(&request) {
            return self.handle_current(from, &request);
        }
        match &self.previous {
            Some(previous) if self.knows(from) && previous.is_for(&request) => {
                answer_alone(from, &request, &previous.local.pwd)
            }
            _ => Err(DropReason::UnknownUser),
        }
    }

    fn handle_current(&mut self, from: Remote, request: &BindingRequest<'_>) -> Result<Checked, DropReason> {
        let answered = answer_alone(from, request, &self.current.local.pwd)?;
        if request.claims_controlled() {
            return Ok(answered);
        }
        let (learned, forgotten) = self.remember(from);
        let selected = self.select(from, request.use_candidate());
        let renewed = request.use_candidate() && self.previous.take().is_some();
        Ok(Checked { learned, forgotten, selected, renewed, ..answered })
    }

    fn remember(&mut self, from: Remote) -> (bool, Option<Remote>) {
        if let Some(at) = self.validated.iter().position(|&known| known == from) {
            self.validated[at..].rotate_left(1);
            return (false, None);
        }
        let mut forgotten = None;
        if self.validated.is_full() {
            let at = self.validated.iter().position(|&known| Some(known) != self.selected).unwrap_or(0);
            forgotten = Some(self.validated.remove(at));
        }
        self.validated.push(from);
        (true, forgotten)
    }

    /// The first address is taken as it comes, so that DTLS may start; after that only a nomination counts, and
    /// the newest one (RFC 8445 §7.3.1.5). True if that moved the selected address.
    fn select(&mut self, from: Remote, use_candidate: bool) -> bool {
        if !use_candidate && self.selected.is_some() {
            return false;
        }
        self.selected.replace(from) != Some(from)
    }
}

/// The reply to an authentic check, if nothing follows from it.
fn answer_alone(from: Remote, request: &BindingRequest<'_>, pwd: &str) -> Result<Checked, DropReason> {
    if !request.verify(pwd) {
        return Err(DropReason::Unauthentic);
    }
    let reply = if request.claims_controlled() {
        request.role_conflict(pwd)
    } else {
        request.success(from.address, pwd)
    };
    Ok(Checked { reply, learned: false, forgotten: None, selected: false, renewed: false })
}
