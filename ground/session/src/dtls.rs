//! The DTLS association of a session: dimpl does the protocol, this file keeps it alive. An error is final for
//! an instance of dimpl, not for the session: a fresh instance takes the peer's next handshake.

mod records;
pub(crate) mod rsa;
pub(crate) mod verify;

use crate::identity::{self, Identity};
use crate::srtp::Profile;
use dimpl::{Dtls, KeyingMaterial, Output, SecurityError, SrtpProfile};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_media::{DtlsRole, Fingerprint};

/// Largest datagram that dimpl sends at its default MTU, with room.
const SEND_BUFFER_LEN: usize = 1500;
/// Largest datagram taken in. Real ones fit an Ethernet frame.
const RECEIVE_LEN_MAX: usize = 2048;
/// Fresh instances that may start at once, and the pace at which the right to another comes back. An instance
/// that signs costs 0.2 ms, so one attacked session takes 2 % of a core at most.
const RESTARTS_AT_ONCE: u32 = 32;
const RESTART_INTERVAL: Duration = Duration::from_millis(10);
/// As client, how long after a failed handshake we start the next.
const CLIENT_RESTART_AFTER: Duration = Duration::from_millis(500);

/// What an input led to.
pub(crate) enum Progress {
    /// Nothing to tell.
    Going,
    /// Not DTLS, or nothing that the handshake could use.
    Refused,
    /// The handshake is done and the peer is who its SDP said.
    Connected(Profile, KeyingMaterial),
    /// The handshake is done, and the peer is somebody else.
    WrongCertificate,
    /// close_notify or a fatal alert, authenticated.
    ClosedByPeer,
}

pub(crate) struct DtlsEnd {
    identity: Arc<Identity>,
    role: DtlsRole,
    announced: Vec<Fingerprint>,
    instance: Option<Box<Instance>>,
    is_connected: bool,
    /// When the right to start [`RESTARTS_AT_ONCE`] instances at once is restored.
    restarts_full_at: Instant,
    wake_at: Option<Instant>,
    outbox: VecDeque<Vec<u8>>,
}

/// One handshake attempt and, if it succeeds, the connection.
struct Instance {
    dtls: Dtls,
    told: Told,
    /// As server: the random of the ClientHello that it was made for.
    hello: Option<[u8; 32]>,
    /// It has sent something.
    has_answered: bool,
    /// The peer went on after our answer: another ClientHello no longer replaces this instance.
    is_committed: bool,
}

/// What dimpl told. The certificate comes before the proof that the peer holds its key, so none of it counts
/// before `is_connected`.
#[derive(Default)]
struct Told {
    is_announced: bool,
    keys: Option<(KeyingMaterial, SrtpProfile)>,
    is_connected: bool,
    is_closed: bool,
}

impl DtlsEnd {
    pub fn new(now: Instant, identity: Arc<Identity>, role: DtlsRole, announced: Vec<Fingerprint>) -> Self {
        Self {
            identity,
            role,
            announced,
            instance: None,
            is_connected: false,
            restarts_full_at: now,
            wake_at: None,
            outbox: VecDeque::new(),
        }
    }

    /// The peer's address is proven. As client we speak first; as server we wait.
    pub fn start(&mut self, now: Instant) {
        if self.role == DtlsRole::Client {
            self.wake_at = Some(now);
            let _nothing_came_in = self.handle_timeout(now);
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.wake_at
    }

    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// One datagram from an address that ICE has validated.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> Progress {
        if datagram.len() > RECEIVE_LEN_MAX {
            return Progress::Refused;
        }
        let len = records::drop_clear_alerts(datagram);
        let datagram = &datagram[..len];
        let may_begin = self.role == DtlsRole::Server && !self.is_connected;
        if len == 0 || (may_begin && !self.admit(now, datagram)) {
            return Progress::Refused;
        }
        self.drive(now, |dtls| {
            dtls.handle_timeout(now)?;
            dtls.handle_packet(datagram)
        })
    }

    /// Retransmits, or starts again as client.
    pub fn handle_timeout(&mut self, now: Instant) -> Progress {
        if self.wake_at.is_none_or(|at| now < at) {
            return Progress::Going;
        }
        self.wake_at = None;
        let may_begin = self.role == DtlsRole::Client && !self.is_connected;
        if self.instance.is_none() && !(may_begin && self.begin(now, None)) {
            return Progress::Going;
        }
        self.drive(now, |dtls| dtls.handle_timeout(now))
    }

    /// Says goodbye if there is somebody to say it to.
    pub fn close(&mut self, now: Instant) {
        if self.is_connected {
            let _already_closing = self.drive(now, |dtls| {
                dtls.handle_timeout(now)?;
                dtls.close()
            });
        }
        self.instance = None;
        self.wake_at = None;
    }

    /// As server: makes an instance for the datagram where it needs one; false if it has none.
    ///
    /// Only the beginning of a ClientHello makes one, so that nothing forged waits in it. Until the peer goes
    /// on with one handshake its newest ClientHello counts, for an older one may have been forged, or belong to
    /// an attempt that the peer gave up. So does the same one again if it was not answered: then what was to
    /// complete it is not what the peer sent.
    fn admit(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let hello = records::client_hello_random(datagram);
        match (&mut self.instance, hello) {
            (Some(instance), None) => {
                instance.is_committed |= instance.has_answered;
                true
            }
            (Some(instance), Some(_)) if instance.is_committed => true,
            (Some(instance), Some(_)) if instance.has_answered && instance.hello == hello => true,
            (_, Some(_)) => self.begin(now, hello),
            (None, None) => false,
        }
    }

    /// A fresh instance in place of any other, unless there were too many lately.
    fn begin(&mut self, now: Instant, hello: Option<[u8; 32]>) -> bool {
        let restored = self.restarts_full_at.max(now) + RESTART_INTERVAL;
        if restored > now + RESTART_INTERVAL * RESTARTS_AT_ONCE {
            return false;
        }
        self.restarts_full_at = restored;
        let (config, certificate) = (self.identity.config(self.role), self.identity.certificate());
        let mut dtls = Dtls::new_12(config, certificate, now);
        dtls.set_active(self.role == DtlsRole::Client);
        let told = Told::default();
        self.instance =
            Some(Box::new(Instance { dtls, told, hello, has_answered: false, is_committed: false }));
        true
    }

    fn drive(&mut self, now: Instant, input: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) -> Progress {
        let Some(instance) = &mut self.instance else { return Progress::Refused };
        let result = input(&mut instance.dtls);
        let wake_at =
            drain(&mut instance.dtls, self.role, &self.announced, &mut instance.told, &mut self.outbox);
        instance.has_answered |= !self.outbox.is_empty();
        if let Err(error) = result {
            return self.fail(now, &error);
        }
        if self.is_connected {
            return if instance.told.is_closed { Progress::ClosedByPeer } else { Progress::Going };
        }
        if instance.told.is_connected {
            return self.finish(now);
        }
        self.wake_at = Some(wake_at);
        Progress::Going
    }

    fn finish(&mut self, now: Instant) -> Progress {
        self.is_connected = true;
        self.wake_at = None;
        let Some(Instance { told, .. }) = self.instance.as_deref_mut() else { return Progress::Refused };
        if !told.is_announced {
            return Progress::WrongCertificate;
        }
        match told.keys.take().and_then(|(keys, profile)| Some((keys, known(profile)?))) {
            Some((keys, profile)) => Progress::Connected(profile, keys),
            None => {
                // No use_srtp: a peer that wants no media. Its next handshake may be better.
                self.close(now);
                self.is_connected = false;
                if self.role == DtlsRole::Client {
                    self.wake_at = Some(now + CLIENT_RESTART_AFTER);
                }
                Progress::Refused
            }
        }
    }

    /// An instance that failed is never used again, whatever the reason.
    fn fail(&mut self, now: Instant, error: &dimpl::Error) -> Progress {
        self.instance = None;
        self.wake_at = None;
        if self.is_connected {
            let is_alert = matches!(error, dimpl::Error::SecurityError(SecurityError::FatalAlert { .. }));
            return if is_alert { Progress::ClosedByPeer } else { Progress::Refused };
        }
        if self.role == DtlsRole::Client {
            self.wake_at = Some(now + CLIENT_RESTART_AFTER);
        }
        Progress::Refused
    }
}

/// Takes all that the instance has to say; answers when it wants to be woken.
fn drain(
    dtls: &mut Dtls,
    role: DtlsRole,
    announced: &[Fingerprint],
    told: &mut Told,
    outbox: &mut VecDeque<Vec<u8>>,
) -> Instant {
    let mut short = [0; SEND_BUFFER_LEN];
    let mut long = Vec::new();
    loop {
        let buffer = if long.is_empty() { &mut short[..] } else { &mut long[..] };
        match dtls.poll_output(buffer) {
            Output::Packet(packet) if role == DtlsRole::Server => {
                outbox.push_back(rsa::widen_datagram(packet))
            }
            Output::Packet(packet) => outbox.push_back(packet.to_vec()),
            Output::PeerCert(der) => told.is_announced = identity::is_announced(der, announced),
            Output::KeyingMaterial(keys, profile) => told.keys = Some((keys, profile)),
            Output::Connected => told.is_connected = true,
            Output::CloseNotify => told.is_closed = true,
            Output::BufferTooSmall { needed } => long = vec![0; needed],
            Output::Timeout(at) => return at,
            _ => {}
        }
    }
}

fn known(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::Gcm256),
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::Gcm128),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::CmSha1),
        _ => None,
    }
}
