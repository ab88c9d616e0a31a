//! The client's DTLS and SRTP: dimpl, and SRTP of another make.

use super::address;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use wtn_media::Remote;
use wtn_media::{DtlsRole, Fingerprint, HashAlgorithm};

/// Retransmits as browsers do, first after 50 ms.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let builder = Config::builder().use_server_cookie(false);
    Arc::new(builder.flight_start_rto(Duration::from_millis(50)).flight_retries(9).build().unwrap())
});

pub struct Peer {
    pub address: Remote,
    pub certificate: DtlsCertificate,
    pub dtls: Dtls,
    pub is_connected: bool,
    pub is_closed: bool,
    pub failure: Option<dimpl::Error>,
    pub keys: Option<(Vec<u8>, SrtpProfile)>,
    pub outbox: Vec<Vec<u8>>,
    pub wake_at: Option<Instant>,
    is_client: bool,
}

impl Peer {
    /// The one opposite to a session of that role.
    pub fn new(now: Instant, session_role: DtlsRole) -> Self {
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let is_client = session_role == DtlsRole::Server;
        let mut dtls = Dtls::new_12(Arc::clone(&CONFIG), certificate.clone(), now);
        dtls.set_active(is_client);
        dtls.handle_timeout(now).unwrap();
        Self {
            address: address(1),
            certificate,
            dtls,
            is_connected: false,
            is_closed: false,
            failure: None,
            keys: None,
            outbox: Vec::new(),
            wake_at: None,
            is_client,
        }
    }

    /// Starts its handshake anew, as after a failure.
    pub fn restart(&mut self, now: Instant) {
        let mut dtls = Dtls::new_12(Arc::clone(&CONFIG), self.certificate.clone(), now);
        dtls.set_active(self.is_client);
        dtls.handle_timeout(now).unwrap();
        self.dtls = dtls;
        self.failure = None;
        self.drain();
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_by(HashAlgorithm::Sha256)
    }

    pub fn fingerprint_by(&self, algorithm: HashAlgorithm) -> Fingerprint {
        use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
        let hash = match algorithm {
            HashAlgorithm::Sha256 => &SHA256,
            HashAlgorithm::Sha384 => &SHA384,
            HashAlgorithm::Sha512 => &SHA512,
        };
        Fingerprint { algorithm, digest: digest(hash, &self.certificate.certificate).as_ref().to_vec() }
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if !matches!(datagram.first(), Some(20..=63)) || self.failure.is_some() {
            return;
        }
        let outcome = self.dtls.handle_timeout(now).and_then(|()| self.dtls.handle_packet(datagram));
        self.failure = outcome.err();
        self.drain();
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.wake_at.is_some_and(|at| at <= now) && self.failure.is_none() {
            self.failure = self.dtls.handle_timeout(now).err();
        }
        self.drain();
    }

    pub fn close(&mut self, now: Instant) {
        self.dtls.handle_timeout(now).unwrap();
        self.dtls.close().unwrap();
        self.drain();
    }

    pub fn drain(&mut self) {
        let mut buffer = [0; 2048];
        self.wake_at = loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.outbox.push(packet.to_vec()),
                Output::Connected => self.is_connected = true,
                Output::CloseNotify => self.is_closed = true,
                Output::KeyingMaterial(keys, profile) => self.keys = Some((keys.to_vec(), profile)),
                Output::Timeout(at) if self.failure.is_none() => break Some(at),
                Output::Timeout(_) => break None,
                _ => {}
            }
        };
    }

    /// What it seals with, then what it opens with.
    pub fn srtp(&self) -> (Context, Context) {
        let (keys, profile) = self.keys.as_ref().unwrap();
        assert_eq!(*profile, SrtpProfile::AEAD_AES_256_GCM);
        let provider = rtc_srtp::crypto::default_provider().unwrap();
        let context = |nth: usize| {
            let (key, salt) = (&keys[nth * 32..][..32], &keys[64 + nth * 12..][..12]);
            Context::new(key, salt, ProtectionProfile::AeadAes256Gcm, None, None, provider.crypto()).unwrap()
        };
        let (client, server) = (context(0), context(1));
        if self.is_client { (client, server) } else { (server, client) }
    }
}
