//! Nothing that anybody sends can make the reader panic, hang or write an answer that breaks the rules.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use proptest::prelude::*;
use support::{fixture, local, names, stream};
use wtn_media::Codec;
use wtn_sdp::{
    ANSWER_LEN_MAX, LINES_MAX, OFFER_LEN_MAX, Offer, SdpFault, Terms, answer_publisher, answer_subscriber,
};

/// Reads and answers for both sides; faults are fine as long as they explain themselves.
fn survive(body: &[u8]) -> bool {
    let explained = |fault: &SdpFault| {
        let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(is_code(fault.code) && !fault.sentence.is_empty() && !fault.fix.is_empty(), "{fault:?}");
        assert!(!fault.sentence.contains(['\r', '\n']), "{fault:?}");
    };
    let offer = match Offer::parse(body) {
        Ok(offer) => offer,
        Err(fault) => {
            explained(&fault);
            return false;
        }
    };
    let answers = [
        answer_publisher(&offer, &local(), &Terms::default()),
        answer_subscriber(&offer, &local(), &stream(Codec::Vp8)),
    ];
    for answer in &answers {
        match answer {
            Ok(answered) => {
                assert!(answered.sdp.len() <= ANSWER_LEN_MAX && answered.sdp.is_ascii());
                assert!(!answered.plan.tracks.is_empty() && !answered.fingerprints.is_empty());
            }
            Err(fault) => explained(fault),
        }
    }
    answers.iter().any(Result::is_ok)
}

#[test]
fn whip_09_offers_cut_at_every_byte() {
    for name in ["pub-obs-simulcast", "pub-ffmpeg", "pub-werift", "play-libdatachannel", "play-gst-whepsrc"] {
        let text = fixture(name);
        let answered = (0..text.len()).filter(|&end| survive(&text.as_bytes()[..end])).count();
        assert!(answered < text.len(), "{name}");
        assert!(!survive(&text.as_bytes()[..100]), "{name}");
    }
}

#[test]
fn whip_09_garbage_is_refused() {
    let long = format!("v=0\r\n{}", "a=x\r\n".repeat(10_000));
    for body in [
        &b""[..],
        b"hello",
        b"v=0",
        b"v=0\r\n\r\n",
        b"\0\0\0",
        b"m=audio 9 UDP/TLS/RTP/SAVPF 0",
        long.as_bytes(),
    ] {
        assert!(!survive(body));
    }
}

#[test]
fn http_05_sixty_kilobytes_are_read_and_more_are_refused_unread() {
    let offer = fixture("pub-obs");
    let padding = |len: usize| format!("a=padding:{}\r\n", "x".repeat(len));
    let large = format!("{offer}{}", padding(60_000));
    assert!(survive(large.as_bytes()));
    let fault = Offer::parse(format!("{offer}{}", padding(OFFER_LEN_MAX)).as_bytes()).unwrap_err();
    assert_eq!(fault.code, "offer_too_large");
    let fault = Offer::parse(format!("{offer}{}", "a=x\r\n".repeat(LINES_MAX)).as_bytes()).unwrap_err();
    assert_eq!(fault.code, "too_many_lines");
}

#[test]
fn an_offer_of_everything_at_once_still_gets_a_short_answer() {
    let formats: Vec<String> = (0..64).chain(96..128).map(|pt| pt.to_string()).collect();
    let maps: String = formats
        .iter()
        .map(|pt| {
            format!(
                "a=rtpmap:{pt} H265/90000\r\na=rtcp-fb:{pt} nack\r\na=fmtp:{pt} profile-id=1234567890123456;tier-flag=1;\
                 level-id=93;interop-constraints=B00000000000;profile-compatibility-indicator=60000000\r\n"
            )
        })
        .collect();
    let offer = fixture("pub-obs")
        .replace("SAVPF 96\r\n", &format!("SAVPF {}\r\n", formats.join(" ")))
        .replace("a=rtpmap:96 H264/90000\r\n", &maps);
    assert!(survive(offer.as_bytes()));
}

/// A recorded offer, damaged.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<String> = names("").iter().map(|name| fixture(name)).collect();
    let edit = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..6u8);
    (prop::sample::select(texts), prop::collection::vec(edit, 1..12)).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, to, byte, what) in edits {
            if bytes.is_empty() {
                break;
            }
            let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => drop(bytes.drain(at.min(to)..(at.max(to)).min(at.min(to) + 40))),
                4 => {
                    let piece: Vec<u8> = bytes[at.min(to)..(at.max(to)).min(at.min(to) + 400)].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes[at] = b"\r\n=:;, /0"[usize::from(byte) % 9],
            }
        }
        bytes
    })
}

/// Whole lines of recorded offers in any order.
fn shuffled() -> impl Strategy<Value = String> {
    let lines: Vec<String> = names("")
        .iter()
        .flat_map(|name| fixture(name).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    prop::collection::vec(prop::sample::select(lines), 1..80)
        .prop_map(|lines| format!("v=0\n{}", lines.join("\n")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn auth_17_damaged_offers_never_panic(body in damaged()) {
        survive(&body);
    }

    #[test]
    fn auth_17_shuffled_offers_never_panic(body in shuffled()) {
        survive(body.as_bytes());
    }

    #[test]
    fn auth_17_any_text_never_panics(body in "(v=0\n)?([a-z]=[ -~]{0,40}\n){0,20}") {
        survive(body.as_bytes());
    }
}
