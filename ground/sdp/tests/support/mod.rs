//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod checker;

use std::fs;
use std::path::PathBuf;
use wtn_media::{Codec, Fingerprint, Format, HashAlgorithm, IceCredentials, Profile, Ssrc};
use wtn_sdp::{Local, StreamTrack, StreamTracks};

/// For whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Publisher,
    Subscriber,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/offers")
}

/// A recorded offer.
pub fn fixture(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.sdp"))).unwrap()
}

/// The names of all recorded offers that begin so, sorted.
pub fn names(prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".sdp").map(str::to_owned)
        })
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    names
}

/// Our end, the same every time.
pub fn local() -> Local {
    Local {
        tcp: true,
        ice: IceCredentials {
            ufrag: "0123456789abcdef".into(),
            pwd: "0123456789abcdef0123456789abcdef".into(),
        },
        fingerprint: Fingerprint {
            algorithm: HashAlgorithm::Sha256,
            digest: (0..32).map(|n| n * 7).collect(),
        },
        candidates: ["203.0.113.7:3478", "192.0.2.1:3478", "[2001:db8::7]:3478"]
            .map(|address| address.parse().unwrap())
            .to_vec(),
        sdp_session: u64::MAX,
        cname: "c0ffee00c0ffee00".into(),
        tls_id: "abcdef0123456789abcdef0123456789".into(),
        msid: "live".into(),
        ssrcs: [(Ssrc(1001), Ssrc(1002)), (Ssrc(2001), Ssrc(2002))],
    }
}

/// A stream of that video codec, with Opus.
pub fn stream(codec: Codec) -> StreamTracks {
    let profile = match codec {
        Codec::H264 => Profile::H264 { profile: 0x42, constraints: 0xe0, packetization_mode: 1 },
        Codec::Vp9 => Profile::Vp9(0),
        Codec::Av1 => Profile::Av1(0),
        Codec::H265 => Profile::H265(1),
        _ => Profile::Default,
    };
    let track = |current| Some(StreamTrack { current, others: Vec::new(), has_choice: false });
    StreamTracks { audio: track(Format::new(Codec::Opus)), video: track(Format { codec, profile }) }
}

/// A moment, for str0m, which wants one.
#[expect(clippy::disallowed_methods, reason = "str0m counts from a real instant; nothing depends on it")]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}
