//! Every recorded offer gets an answer, and every answer stands up to a strict reader that shares no code
//! with the one under test, and to str0m.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::checker::check;
use support::{Expected, fixture, local, names, stream};
use wtn_media::{Codec, DtlsRole, MediaKind};
use wtn_sdp::{Offer, Terms, answer_publisher, answer_subscriber};

#[test]
fn every_recorded_publisher_is_answered() {
    let names = names("pub-");
    assert!(names.len() >= 18, "fixtures are missing");
    for name in names {
        let text = fixture(&name);
        let offer = Offer::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let answered = answer_publisher(&offer, &local(), &Terms::default())
            .unwrap_or_else(|fault| panic!("{name}: {fault}"));
        check(&name, &text, &answered.sdp, Expected::Publisher);
        assert_eq!(answered.plan.tracks.len(), 2, "{name}");
        assert!(answered.plan.track(MediaKind::Video).is_some_and(|track| track.ssrcs.len() < 4), "{name}");
        parse_with_str0m(&name, &answered.sdp);
    }
}

#[test]
fn every_recorded_player_is_answered_for_whatever_it_can_decode() {
    let streams = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H265].map(stream);
    let names = names("play-");
    assert!(names.len() >= 10, "fixtures are missing");
    for name in names {
        let text = fixture(&name);
        let offer = Offer::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let mut played = Vec::new();
        for tracks in &streams {
            let codec = tracks.video.as_ref().map(|track| track.current.codec).unwrap();
            let offered = text.contains(&format!(" {codec}/90000"));
            match answer_subscriber(&offer, &local(), tracks) {
                Ok(answered) => {
                    check(&name, &text, &answered.sdp, Expected::Subscriber);
                    parse_with_str0m(&name, &answered.sdp);
                    let video = answered.plan.track(MediaKind::Video).unwrap();
                    assert_eq!(video.formats[0].format.codec, codec, "{name}");
                    assert_eq!(video.ssrcs.len(), 1, "{name}");
                    played.push(codec);
                }
                Err(fault) => {
                    assert_eq!((fault.code, offered), ("no_common_codec", false), "{name} {codec}: {fault}");
                    assert!(fault.sentence.contains(codec.name()), "{name}: {fault}");
                }
            }
        }
        assert!(!played.is_empty(), "{name} plays nothing");
    }
}

/// Every line of our answers must mean something to another implementation.
fn parse_with_str0m(name: &str, answer: &str) {
    if let Err(error) = str0m::change::SdpAnswer::from_sdp_string(answer) {
        panic!("{name}: str0m cannot read our answer: {error}\n{answer}");
    }
}

#[test]
fn str0m_accepts_our_answers_to_its_own_offers() {
    use str0m::media::MediaKind as Kind;
    use str0m::media::{Direction, Simulcast, SimulcastLayer};

    for (direction, simulcast) in
        [(Direction::SendOnly, false), (Direction::SendOnly, true), (Direction::RecvOnly, false)]
    {
        let mut rtc = str0m::RtcConfig::new().build(support::instant());
        let mut change = rtc.sdp_api();
        let layers = simulcast
            .then(|| Simulcast { send: ["a", "b"].map(SimulcastLayer::new).to_vec(), recv: Vec::new() });
        let one_stream = || Some("stream".to_owned());
        change.add_media(Kind::Audio, direction, one_stream(), None, None);
        change.add_media(Kind::Video, direction, one_stream(), None, layers);
        let (offer_text, pending) = change.apply().unwrap();
        let offer_text = offer_text.to_sdp_string();
        let offer = Offer::parse(offer_text.as_bytes()).unwrap();
        let (answered, expected) = match direction {
            Direction::SendOnly => {
                (answer_publisher(&offer, &local(), &Terms::default()), Expected::Publisher)
            }
            _ => (answer_subscriber(&offer, &local(), &stream(Codec::Vp8)), Expected::Subscriber),
        };
        let answered = answered.unwrap();
        check("str0m", &offer_text, &answered.sdp, expected);
        let rids = answered.plan.track(MediaKind::Video).unwrap().rids.len();
        assert_eq!(rids, if simulcast { 2 } else { 0 });
        let answer = str0m::change::SdpAnswer::from_sdp_string(&answered.sdp).unwrap();
        rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }
}

#[test]
fn sdp_10_only_ffmpeg_makes_us_start_dtls() {
    for name in names("pub-") {
        let offer = Offer::parse(fixture(&name).as_bytes()).unwrap();
        let role = answer_publisher(&offer, &local(), &Terms::default()).unwrap().dtls_role;
        let expected = if name == "pub-ffmpeg" { DtlsRole::Client } else { DtlsRole::Server };
        assert_eq!(role, expected, "{name}");
    }
}

#[test]
fn sdp_29_all_simulcast_layers_of_real_clients_come_back() {
    for (name, rids) in [
        ("pub-obs-simulcast", ["0", "1", "2"]),
        ("pub-chromium-vp8-simulcast", ["l", "m", "h"]),
        ("pub-firefox-simulcast", ["l", "m", "h"]),
    ] {
        let offer = Offer::parse(fixture(name).as_bytes()).unwrap();
        let answered = answer_publisher(&offer, &local(), &Terms::default()).unwrap();
        let track = answered.plan.track(MediaKind::Video).unwrap();
        assert_eq!(track.rids.iter().map(|rid| rid.as_str()).collect::<Vec<_>>(), rids, "{name}");
        assert!(answered.sdp.contains(&format!("\r\na=simulcast:recv {}\r\n", rids.join(";"))), "{name}");
        for uri in ["sdes:mid", "sdes:rtp-stream-id"] {
            assert!(answered.sdp.contains(&format!("urn:ietf:params:rtp-hdrext:{uri}\r\n")), "{name}: {uri}");
        }
        let has_rtx = track.formats[0].rtx.is_some();
        assert_eq!(answered.sdp.contains("sdes:repaired-rtp-stream-id\r\n"), has_rtx, "{name}");
    }
}

#[test]
fn whip_07_the_longest_answer_stays_under_eight_kilobytes() {
    let mut local = local();
    local.candidates = (1..=8u8)
        .flat_map(|n| {
            [format!("203.0.113.{n}:49152"), format!("[2001:db8:1234:5678:9abc:def0:1234:56{n:02x}]:49152")]
        })
        .map(|address| address.parse().unwrap())
        .collect();
    let longest = names("play-").into_iter().map(|name| {
        let offer = Offer::parse(fixture(&name).as_bytes()).unwrap();
        let tracks = support::stream(if name == "play-gst-whepsrc" { Codec::H264 } else { Codec::Vp8 });
        answer_subscriber(&offer, &local, &tracks).unwrap().sdp.len()
    });
    let longest = longest.max().unwrap();
    assert!((4_000..8_192).contains(&longest), "{longest} bytes");
}

#[test]
fn the_checker_notices_what_is_wrong() {
    let text = fixture("pub-chromium-vp8-simulcast");
    let offer = Offer::parse(text.as_bytes()).unwrap();
    let good = answer_publisher(&offer, &local(), &Terms::default()).unwrap().sdp;
    check("itself", &text, &good, Expected::Publisher);
    for (right, wrong) in [
        ("\r\n", "\n"),
        ("a=ice-lite\r\n", ""),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
        ("a=setup:passive", "a=setup:actpass"),
        ("m=video 3478", "m=video 3479"),
        ("m=video 3478", "m=video 0"),
        ("a=mid:1", "a=mid:2"),
        ("SAVPF 96 97", "SAVPF 97 96"),
        ("SAVPF 96 97", "SAVPF 96"),
        ("apt=96", "apt=97"),
        ("a=recvonly", "a=sendonly"),
        ("a=rtcp-mux\r\n", ""),
        ("a=rtcp-mux-only\r\n", ""),
        ("recv l;m;h", "recv h;m;l"),
        ("a=rid:m recv\r\n", ""),
        ("a=rtcp-fb:96 nack\r\n", "a=rtcp-fb:96 nack rpsi\r\n"),
        ("a=extmap:4 ", "a=extmap:5 "),
        ("a=rtcp-fb:96 transport-cc\r\n", ""),
        ("a=end-of-candidates\r\n", ""),
        ("1 udp 2130706431", "1 udp 1"),
        (" 1 udp ", " 2 udp "),
        ("opus/48000/2", "opus/48000"),
        ("a=fingerprint:sha-256 0", "a=fingerprint:sha-256 a"),
        ("a=ice-ufrag:", "a=ufrag:"),
    ] {
        let bad = good.replace(right, wrong);
        assert_ne!(bad, good, "{right} is not in the answer");
        let outcome = std::panic::catch_unwind(|| check("a bad one", &text, &bad, Expected::Publisher));
        assert!(outcome.is_err(), "not noticed: {right:?} for {wrong:?}");
    }
}

#[test]
fn the_recorded_counter_offer_reads_too() {
    assert!(Offer::parse(fixture("server-janus-406-counter-offer").as_bytes()).is_ok());
}
