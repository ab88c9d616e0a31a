//! What comes by UDP.

use aws_lc_rs::hmac;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use wtn_media::rtcp::{Block, blocks};
use wtn_media::rtp::RtpView;
use wtn_media::{
    Codec, DtlsRole, EncodingId, Fingerprint, HashAlgorithm, IceCredentials, Rung, dependency, peek,
};
use wtn_session::stun::BindingRequest;
use wtn_session::{Identity, Session, SessionConfig};

const PWD: &str = "0123456789012345678901";

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
static IDENTITY: LazyLock<Arc<Identity>> =
    LazyLock::new(|| Arc::new(Identity::generate().expect("a certificate")));

fn stranger() -> SocketAddr {
    ([192, 0, 2, 1], 5000).into()
}

/// A Binding request: read, verified, answered.
pub fn stun(bytes: &[u8]) {
    let _ = wtn_session::stun::is_stun(bytes);
    if let Ok(request) = BindingRequest::parse(bytes) {
        assert!(request.local_ufrag().len() + request.remote_ufrag().len() < 513);
        let _ = (request.use_candidate(), request.claims_controlled(), request.verify(PWD));
        for from in [stranger(), SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 5000))] {
            let answer = request.success(from, PWD);
            assert!(wtn_session::stun::is_stun(&answer));
        }
        let _ = request.role_conflict(PWD);
    }
    let _ = crate::suite::stun::Response::read(bytes, PWD);
}

/// An RTP packet: its header, its extensions, and the look at its payload for each codec.
pub fn rtp(bytes: &[u8]) {
    let Ok(packet) = RtpView::parse(bytes) else { return };
    assert!(packet.header_len() + packet.payload().len() <= bytes.len());
    for (_, value) in packet.extensions() {
        assert!(value.len() <= 255);
    }
    for codec in Codec::ALL {
        let _ = peek::marks(codec, packet.payload());
    }
}

/// A payload of any codec: what its layers and pictures are, what it measures, and its own numbers in place of others.
pub fn payload(bytes: &[u8]) {
    for codec in Codec::ALL {
        let marks = peek::marks(codec, bytes);
        assert!(marks.layer.needed.has(Rung::whole(EncodingId(0))), "all is all");
        let _ = peek::sizes(codec, bytes);
        assert!(peek::parameter_sets(codec, bytes).all(|(_, unit)| unit.len() <= bytes.len()));
        let Some(ids) = marks.ids else { continue };
        let mut other = bytes.to_vec();
        ids.renumbered(!ids.picture, 7).write(&mut other);
        assert_eq!(peek::marks(codec, &other).layer, marks.layer);
        ids.write(&mut other);
        assert_eq!(other, bytes);
    }
}

/// Dependency descriptors one after the other, each with a byte of length before it, by one structure.
pub fn dependency(bytes: &[u8]) {
    let mut known = None;
    let mut rest = bytes;
    while let Some((len, after)) = rest.split_first() {
        let (value, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        if let Some(marks) = dependency::read(value, &mut known) {
            assert!(known.is_some() && marks.needed.has(Rung::whole(EncodingId(0))));
        }
        if let Some(number) = dependency::frame_number(value) {
            let mut same = value.to_vec();
            dependency::write_frame_number(&mut same, number);
            assert_eq!(same, value);
        }
    }
}

/// A compound RTCP packet, everything in it.
pub fn rtcp(bytes: &[u8]) {
    let mut count = 0;
    for block in blocks(bytes) {
        count += 1;
        match block {
            Block::SenderReport { reports, .. } | Block::ReceiverReport { reports, .. } => {
                assert!(reports.count() <= 31);
            }
            Block::Sdes(items) => assert!(items.count() <= bytes.len()),
            Block::Bye(sources) => assert!(sources.count() <= 31),
            Block::Nack { lost, .. } => assert!(lost.count() <= 17 * bytes.len()),
            Block::Fir { entries, .. } => assert!(entries.count() <= bytes.len()),
            Block::Remb { ssrcs, .. } => assert!(ssrcs.count() <= 255),
            _ => {}
        }
    }
    assert!(count <= bytes.len() / 4);
}

/// DTLS records towards a session that has an address to answer to: it takes part in the handshake as far as
/// the bytes go. Each record has its length before it, one byte and a half.
pub fn dtls(bytes: &[u8]) {
    for dtls_role in [DtlsRole::Server, DtlsRole::Client] {
        let config = SessionConfig {
            local: IceCredentials { ufrag: "srv0".into(), pwd: PWD.into() },
            remote: IceCredentials { ufrag: "cli0".into(), pwd: PWD.into() },
            fingerprints: vec![Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![9; 32] }],
            dtls_role,
            connect_by: *BEGUN + Duration::from_secs(3600),
            is_publisher: true,
        };
        let mut session = Session::new(*BEGUN, config, &IDENTITY);
        let mut check = nominating();
        let _ = session.handle_datagram(*BEGUN, stranger(), &mut check);
        let mut rest = bytes;
        let mut now = *BEGUN;
        let mut sent = 0;
        while let Some((len, after)) = rest.split_first_chunk::<2>() {
            let len = usize::from(u16::from_be_bytes(*len) & 0x7ff).min(after.len());
            let (record, after) = after.split_at(len);
            rest = after;
            now += Duration::from_millis(10);
            let _ = session.handle_datagram(now, stranger(), &mut record.to_vec());
            session.handle_timeout(now);
            while session.poll().is_some() {
                sent += 1;
                assert!(sent < 10_000, "it never falls silent");
            }
        }
        assert!(!session.is_connected(), "nobody has that certificate");
    }
}

/// A check that makes the stranger's address the session's.
fn nominating() -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend(*b"transaction!");
    let put = |bytes: &mut Vec<u8>, kind: u16, value: &[u8]| {
        bytes.extend(kind.to_be_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    put(&mut bytes, 0x0006, b"srv0:cli0");
    put(&mut bytes, 0x0025, b"");
    let len = (bytes.len() - 20 + 24) as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, PWD.as_bytes());
    let tag = hmac::sign(&key, &bytes);
    put(&mut bytes, 0x0008, tag.as_ref());
    bytes
}
