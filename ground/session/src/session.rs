//! One peer session from its first check to its end: which datagram is what, who may send it, and what time
//! does to it.

use crate::dtls::{DtlsEnd, Progress};
use crate::ice::IceLite;
use crate::identity::Identity;
use crate::srtp::{Profile, Srtp};
use dimpl::KeyingMaterial;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_media::{Admission, DtlsRole, Fingerprint, IceCredentials, Remote, Role, Ssrc};

/// Nothing authentic for that long, and a live session is over (RFC 7675 §5.1).
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Bytes of padding that [`Session::seal_padded_rtp`] adds at most.
pub const PADDING_MAX: usize = crate::srtp::PADDING_MAX;

/// What the SDP exchange settled about the transport of a session.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Ours.
    pub local: IceCredentials,
    /// The client's, of which only the user fragment is checked.
    pub remote: IceCredentials,
    /// Who starts DTLS.
    pub dtls_role: DtlsRole,
    /// Certificates that the client may show.
    pub fingerprints: Vec<Fingerprint>,
    /// Without a connection by then the session ends.
    pub connect_by: Instant,
    /// True: media counts as a sign of life, for FFmpeg sends no checks once it publishes.
    pub is_publisher: bool,
}

impl From<&Admission> for SessionConfig {
    fn from(admission: &Admission) -> Self {
        Self {
            local: admission.local.clone(),
            remote: admission.remote.clone(),
            dtls_role: admission.dtls_role,
            fingerprints: admission.fingerprints.clone(),
            connect_by: admission.connect_by,
            is_publisher: matches!(admission.role, Role::Publisher { .. }),
        }
    }
}

/// What a datagram turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// An authentic RTP packet.
    Rtp {
        /// In plain text, header included.
        packet: &'a [u8],
        /// Roll-over counter and sequence number of its SSRC: `ROC << 16 | sequence`.
        index: u64,
    },
    /// An authentic RTCP compound packet in plain text.
    Rtcp(&'a [u8]),
    /// ICE or DTLS, dealt with; poll for what follows from it.
    Consumed,
    /// Not used.
    Dropped(DropReason),
}

/// Why a datagram was not used. None of these is a reason to end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Neither STUN, DTLS, RTP nor RTCP by its first bytes (RFC 7983 §7, RFC 5761 §4).
    UnknownKind,
    /// STUN that is not a well-formed Binding request.
    BadStun,
    /// STUN with a user name that is not this session's.
    UnknownUser,
    /// STUN with a wrong MESSAGE-INTEGRITY or FINGERPRINT.
    Unauthentic,
    /// From an address that no authentic check came from, or for a session that is closed.
    UnknownPeer,
    /// DTLS that the handshake could not use.
    BadDtls,
    /// Media before the keys are there.
    TooEarly,
    /// SRTP or SRTCP whose tag is wrong.
    BadTag,
    /// Seen before, older than the replay window, or of one SSRC too many to remember.
    Replay,
    /// Not RTP or RTCP by its form.
    Malformed,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A datagram to send.
    Transmit {
        /// An address that proved itself by an authentic check.
        to: Remote,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// ICE and DTLS are done: media may flow.
    Connected {
        /// Where the client is.
        remote: Remote,
        /// The SRTP protection profile in its registered spelling.
        srtp_profile: &'static str,
    },
    /// Media goes to this address from now on.
    RemoteChanged(Remote),
    /// This address is the client's: route its datagrams here.
    AddressLearned(Remote),
    /// The client has too many addresses; this one is the client's no longer.
    AddressForgotten(Remote),
    /// An ICE restart is over: the client nominated a pair by the credentials that came with it, and those
    /// before are worth nothing any more.
    Renewed,
    /// The session is over.
    Closed(CloseReason),
}

/// Why a session ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// DTLS close_notify or a fatal alert came from the peer.
    ClosedByPeer,
    /// No ICE check or no finished DTLS handshake in time.
    NeverConnected,
    /// Nothing authentic was heard for [`SILENCE_MAX`].
    Silent,
    /// The peer's certificate is not one that its SDP announced.
    WrongCertificate,
}

/// In the order of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No authentic check yet.
    AwaitIce,
    /// An address is proven; the DTLS handshake runs.
    AwaitDtls,
    /// Keys are there and the peer is who its SDP said.
    Live,
    /// Over; nothing is taken in or sent any more.
    Closed,
}

/// One ICE-lite + DTLS + SRTP association. Feed it, then drain [`Self::poll`], then ask
/// [`Self::next_timeout`].
pub struct Session {
    phase: Phase,
    ice: IceLite,
    dtls: DtlsEnd,
    srtp: Option<Box<Srtp>>,
    dtls_role: DtlsRole,
    is_publisher: bool,
    connect_by: Instant,
    last_heard: Instant,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session that awaits its first check.
    pub fn new(now: Instant, config: SessionConfig, identity: &Arc<Identity>) -> Self {
        Self {
            phase: Phase::AwaitIce,
            ice: IceLite::new(config.local, config.remote.ufrag),
            dtls: DtlsEnd::new(now, Arc::clone(identity), config.dtls_role, config.fingerprints),
            srtp: None,
            dtls_role: config.dtls_role,
            is_publisher: config.is_publisher,
            connect_by: config.connect_by,
            last_heard: now,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one datagram. SRTP and SRTCP are opened in place, so the bytes change.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Instant,
        from: impl Into<Remote>,
        datagram: &'a mut [u8],
    ) -> Inbound<'a> {
        let from = from.into();
        if self.phase == Phase::Closed {
            return Inbound::Dropped(DropReason::UnknownPeer);
        }
        let handled = match Kind::of(datagram) {
            Some(Kind::Stun) => self.handle_stun(now, from, datagram),
            Some(_) if !self.ice.knows(from) => Err(DropReason::UnknownPeer),
            Some(Kind::Dtls) => self.handle_dtls(now, datagram),
            Some(Kind::Rtp) => return self.handle_rtp(now, datagram),
            Some(Kind::Rtcp) => return self.handle_rtcp(now, datagram),
            None => Err(DropReason::UnknownKind),
        };
        match handled {
            Ok(()) => Inbound::Consumed,
            Err(reason) => Inbound::Dropped(reason),
        }
    }

    /// A path is gone, as only a TCP connection can be. The session stays: its client has other paths, or makes a
    /// new one, or is silent for too long.
    pub fn handle_disconnect(&mut self, remote: Remote) {
        let before = self.ice.selected();
        if !self.ice.forget(remote) {
            return;
        }
        self.outputs.push_back(Output::AddressForgotten(remote));
        if let Some(selected) = self.ice.selected().filter(|selected| Some(*selected) != before) {
            self.outputs.push_back(Output::RemoteChanged(selected));
        }
    }

    /// Does what is due. Cheap when nothing is.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::AwaitIce | Phase::AwaitDtls if now >= self.connect_by => {
                self.end(CloseReason::NeverConnected);
            }
            Phase::AwaitDtls => {
                let progress = self.dtls.handle_timeout(now);
                let _only_time_passed = self.follow(now, progress);
            }
            Phase::Live if now >= self.last_heard + SILENCE_MAX => self.end(CloseReason::Silent),
            Phase::AwaitIce | Phase::Live | Phase::Closed => {}
        }
    }

    /// An ICE restart (RFC 8445 §9) with fresh credentials of both ends. DTLS, keys and media know nothing of
    /// it: they stay on their pair until the client nominates another, then [`Output::Renewed`] follows.
    pub fn restart(&mut self, local: IceCredentials, remote: IceCredentials) {
        self.ice.restart(local, remote.ufrag);
    }

    /// The next thing to do. Drain after every other call.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is due; `None` once the session is over.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::AwaitIce => Some(self.connect_by),
            Phase::AwaitDtls => {
                Some(self.dtls.next_timeout().map_or(self.connect_by, |at| at.min(self.connect_by)))
            }
            Phase::Live => Some(self.last_heard + SILENCE_MAX),
            Phase::Closed => None,
        }
    }

    /// Where media goes: the address nominated last. Before any nomination it is the first that was validated.
    pub fn remote(&self) -> Option<Remote> {
        self.ice.selected()
    }

    /// True while media may flow.
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Live
    }

    /// True if the address proved by an authentic check that it is the client's.
    pub fn knows(&self, address: impl Into<Remote>) -> bool {
        self.ice.knows(address.into())
    }

    /// Seals an RTP packet into `out`, whose first `header_len` bytes are the header already; answers the
    /// datagram's length. `None` if not connected, or if `out` is too short ([`Self::seal_overhead`]).
    ///
    /// `index` is `ROC << 16 | sequence` of that SSRC. It must rise; the same index again only for the very
    /// same header and payload (a retransmission as it was), for two texts under one index give away both
    /// (RFC 7714 §8.1, RFC 3711 §9.1).
    pub fn seal_rtp(
        &mut self,
        ssrc: Ssrc,
        index: u64,
        header_len: usize,
        payload: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        self.seal_padded_rtp(ssrc, index, header_len, payload, 0, out)
    }

    /// [`Self::seal_rtp`] with so many bytes of padding behind the payload, at most [`PADDING_MAX`]; the header's
    /// padding bit must say so (RFC 3550 §5.1).
    pub fn seal_padded_rtp(
        &mut self,
        ssrc: Ssrc,
        index: u64,
        header_len: usize,
        payload: &[u8],
        padding: u8,
        out: &mut [u8],
    ) -> Option<usize> {
        self.srtp.as_ref()?.seal_rtp(ssrc, index, header_len, (payload, padding), out)
    }

    /// Appends the sealed form of an RTCP compound packet to `out`. False, and nothing is appended, if not
    /// connected or shorter than an RTCP header.
    pub fn seal_rtcp(&mut self, compound: &[u8], out: &mut Vec<u8>) -> bool {
        self.srtp.as_mut().is_some_and(|srtp| srtp.seal_rtcp(compound, out))
    }

    /// Bytes that [`Self::seal_rtp`] adds: 16 with GCM, 10 with HMAC-SHA1-80, 0 before there are keys.
    pub fn seal_overhead(&self) -> usize {
        self.srtp.as_ref().map_or(0, |srtp| srtp.profile().overhead())
    }

    /// Ends the session from our side: close_notify is queued if DTLS is up. No [`Output::Closed`] follows.
    pub fn close(&mut self, now: Instant) {
        if self.phase != Phase::Closed {
            self.say_goodbye(now);
            self.phase = Phase::Closed;
        }
    }

    fn handle_stun(&mut self, now: Instant, from: Remote, datagram: &[u8]) -> Result<(), DropReason> {
        let checked = self.ice.handle_check(from, datagram)?;
        self.last_heard = now;
        self.outputs.push_back(Output::Transmit { to: from, bytes: checked.reply });
        if let Some(forgotten) = checked.forgotten {
            self.outputs.push_back(Output::AddressForgotten(forgotten));
        }
        if checked.learned {
            self.outputs.push_back(Output::AddressLearned(from));
        }
        if checked.selected {
            self.outputs.push_back(Output::RemoteChanged(from));
        }
        if checked.renewed {
            self.outputs.push_back(Output::Renewed);
        }
        if self.phase == Phase::AwaitIce && self.ice.selected().is_some() {
            self.phase = Phase::AwaitDtls;
            self.dtls.start(now);
            self.transmit_dtls();
        }
        Ok(())
    }

    fn handle_dtls(&mut self, now: Instant, datagram: &mut [u8]) -> Result<(), DropReason> {
        let progress = self.dtls.handle_datagram(now, datagram);
        self.follow(now, progress)
    }

    fn handle_rtp<'a>(&mut self, now: Instant, datagram: &'a mut [u8]) -> Inbound<'a> {
        let Some(srtp) = &mut self.srtp else { return Inbound::Dropped(DropReason::TooEarly) };
        match srtp.open_rtp(datagram) {
            Ok((len, index)) => {
                if self.is_publisher {
                    self.last_heard = now;
                }
                Inbound::Rtp { packet: &datagram[..len], index }
            }
            Err(reason) => Inbound::Dropped(reason),
        }
    }

    fn handle_rtcp<'a>(&mut self, now: Instant, datagram: &'a mut [u8]) -> Inbound<'a> {
        let Some(srtp) = &mut self.srtp else { return Inbound::Dropped(DropReason::TooEarly) };
        match srtp.open_rtcp(datagram) {
            Ok(len) => {
                self.last_heard = now;
                Inbound::Rtcp(&datagram[..len])
            }
            Err(reason) => Inbound::Dropped(reason),
        }
    }

    /// Sends what DTLS wants sent and does what its progress means.
    fn follow(&mut self, now: Instant, progress: Progress) -> Result<(), DropReason> {
        self.transmit_dtls();
        match progress {
            Progress::Going => Ok(()),
            Progress::Refused => Err(DropReason::BadDtls),
            Progress::Connected(profile, keys) => self.go_live(now, profile, &keys),
            Progress::WrongCertificate => {
                self.say_goodbye(now);
                self.end(CloseReason::WrongCertificate);
                Ok(())
            }
            Progress::ClosedByPeer => {
                self.say_goodbye(now);
                self.end(CloseReason::ClosedByPeer);
                Ok(())
            }
        }
    }

    fn go_live(&mut self, now: Instant, profile: Profile, keys: &KeyingMaterial) -> Result<(), DropReason> {
        let remote = self.ice.selected().ok_or(DropReason::UnknownPeer)?;
        let srtp = Srtp::new(profile, keys, self.dtls_role).map_err(|_| DropReason::BadDtls)?;
        self.srtp = Some(Box::new(srtp));
        self.phase = Phase::Live;
        self.last_heard = now;
        self.outputs.push_back(Output::Connected { remote, srtp_profile: profile.name() });
        Ok(())
    }

    fn say_goodbye(&mut self, now: Instant) {
        self.dtls.close(now);
        self.transmit_dtls();
        self.srtp = None;
    }

    fn end(&mut self, reason: CloseReason) {
        self.srtp = None;
        self.phase = Phase::Closed;
        self.outputs.push_back(Output::Closed(reason));
    }

    fn transmit_dtls(&mut self) {
        let Some(to) = self.ice.selected() else { return };
        while let Some(bytes) = self.dtls.poll_transmit() {
            self.outputs.push_back(Output::Transmit { to, bytes });
        }
    }
}

/// The protocols that share the port.
enum Kind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

impl Kind {
    /// RFC 7983 §7, with RTCP told from RTP by RFC 5761 §4.
    fn of(datagram: &[u8]) -> Option<Self> {
        match datagram {
            [0..=3, ..] => Some(Self::Stun),
            [20..=63, ..] => Some(Self::Dtls),
            [128..=191, 192..=223, ..] => Some(Self::Rtcp),
            [128..=191, ..] => Some(Self::Rtp),
            _ => None,
        }
    }
}
