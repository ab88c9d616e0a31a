//! ICE-lite (RFC 8445 §2.5): we ask nothing, we answer checks, and remember which addresses proved that they
//! hold our password. Only such an address is ever sent to.

use crate::DropReason;
use crate::stun::BindingRequest;
use arrayvec::ArrayVec;
use std::net::SocketAddr;
use subtle::ConstantTimeEq;
use wtn_media::IceCredentials;

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
    pub forgotten: Option<SocketAddr>,
    /// Media goes to the address from now on.
    pub selected: bool,
}

pub(crate) struct IceLite {
    local: IceCredentials,
    remote_ufrag: String,
    /// The one heard of last is last.
    validated: ArrayVec<SocketAddr, ADDRESSES_MAX>,
    selected: Option<SocketAddr>,
}

impl IceLite {
    pub fn new(local: IceCredentials, remote_ufrag: String) -> Self {
        Self { local, remote_ufrag, validated: ArrayVec::new(), selected: None }
    }

    /// Where DTLS and media go: the pair nominated last, before any nomination the first that was validated.
    pub fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    pub fn knows(&self, address: SocketAddr) -> bool {
        self.validated.contains(&address)
    }

    /// Answers a check, or says why it is dropped in silence (RFC 8445 §7.3).
    pub fn handle_check(&mut self, from: SocketAddr, datagram: &[u8]) -> Result<Checked, DropReason> {
        let request = BindingRequest::parse(datagram)?;
        let ours = request.local_ufrag().as_bytes().ct_eq(self.local.ufrag.as_bytes());
        let theirs = request.remote_ufrag().as_bytes().ct_eq(self.remote_ufrag.as_bytes());
        if !bool::from(ours & theirs) {
            return Err(DropReason::UnknownUser);
        }
        if !request.verify(&self.local.pwd) {
            return Err(DropReason::Unauthentic);
        }
        if request.claims_controlled() {
            let reply = request.role_conflict(&self.local.pwd);
            return Ok(Checked { reply, learned: false, forgotten: None, selected: false });
        }
        let (learned, forgotten) = self.remember(from);
        let selected = self.select(from, request.use_candidate());
        Ok(Checked { reply: request.success(from, &self.local.pwd), learned, forgotten, selected })
    }

    fn remember(&mut self, from: SocketAddr) -> (bool, Option<SocketAddr>) {
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
    fn select(&mut self, from: SocketAddr, use_candidate: bool) -> bool {
        if !use_candidate && self.selected.is_some() {
            return false;
        }
        self.selected.replace(from) != Some(from)
    }
}
