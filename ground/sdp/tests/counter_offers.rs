//! Offers of our own, held against the rules of an initial offer (RFC 9429 §5.2.1, RFC 9143 §7.2) and to str0m, and
//! the answers to them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::BTreeSet;
use support::{local, stream};
use wtn_media::{Codec, DtlsRole, MediaKind, Ssrc};
use wtn_sdp::{Answered, CounterOffer, FaultKind, Offer, SdpFault, StreamTracks};

const CODECS: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H265];

fn offer(tracks: StreamTracks) -> CounterOffer {
    CounterOffer::new(local(), tracks).unwrap()
}

/// The session's lines, then each section's.
fn parts(sdp: &str) -> (&str, Vec<&str>) {
    let mut parts = sdp.split("m=");
    (parts.next().unwrap(), parts.collect())
}

fn values<'a>(part: &'a str, start: &str) -> Vec<&'a str> {
    part.split("\r\n").filter_map(|line| line.strip_prefix(start)).collect()
}

fn has(part: &str, line: &str) -> bool {
    part.split("\r\n").any(|one| one == line)
}

#[test]
fn whep_14_a_counter_offer_is_a_proper_initial_offer() {
    for codec in CODECS {
        let sdp = offer(stream(codec)).sdp().unwrap();
        let (session, sections) = parts(&sdp);
        assert!(sdp.ends_with("\r\n") && sdp.matches('\n').count() == sdp.matches("\r\n").count());
        assert!(
            session.starts_with("v=0\r\no=- ") && has(session, "s=-") && has(session, "t=0 0"),
            "{session}"
        );
        assert!(has(session, "a=group:BUNDLE 0 1") && has(session, "a=ice-lite"), "{session}");
        assert_eq!(sections.len(), 2);
        check_transports(&sections);
        let (mut numbers, mut ids, mut streams) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (nth, section) in sections.iter().enumerate() {
            let mut words = section.split("\r\n").next().unwrap().split(' ');
            assert_eq!(words.next(), Some(["audio", "video"][nth]));
            assert!(words.next().is_some() && words.next() == Some("UDP/TLS/RTP/SAVPF"));
            for number in words {
                assert!(numbers.insert(number.to_owned()), "{number} means one thing in the bundle");
                assert_eq!(values(section, &format!("a=rtpmap:{number} ")).len(), 1, "{number}");
            }
            assert_eq!(values(section, "a=mid:"), [nth.to_string()]);
            for line in ["a=sendonly", "a=rtcp-mux", "a=rtcp-mux-only", "a=rtcp-rsize"] {
                assert!(has(section, line), "{line} in {section}");
            }
            for line in ["a=recvonly", "a=inactive", "a=rtcp:"] {
                assert!(!section.contains(line), "{line} in {section}");
            }
            let (id, _) = values(section, "a=msid:")[0].split_once(' ').unwrap();
            assert_ne!(id, "-");
            streams.insert(id.to_owned());
            ids.extend(values(section, "a=extmap:").into_iter().map(str::to_owned));
            assert!(!values(section, "a=ssrc:").is_empty());
        }
        assert_eq!(streams.len(), 1, "one MediaStream");
        let different: BTreeSet<_> = ids.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(different.len(), ids.len(), "an id means one extension in the whole bundle");
        let video = values(sections[1], "a=rtpmap:")[0];
        assert!(video.ends_with(&format!(" {codec}/90000")), "what the stream carries comes first: {video}");
    }
}

/// RFC 9143 §7.2.1, RFC 9429 §5.2.1: one section has address and transport, the others wait for the bundle.
fn check_transports(sections: &[&str]) {
    for (nth, section) in sections.iter().enumerate() {
        let is_tagged = nth == 0;
        let port: u16 = section.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!((port != 0, has(section, "a=bundle-only")), (is_tagged, !is_tagged));
        for name in [
            "a=ice-ufrag:",
            "a=ice-pwd:",
            "a=fingerprint:",
            "a=setup:",
            "a=candidate:",
            "a=end-of-candidates",
        ] {
            assert_eq!(section.contains(name), is_tagged, "{name} in section {nth}");
        }
    }
    assert_eq!(values(sections[0], "a=setup:"), ["actpass"]);
    assert_eq!(values(sections[0], "a=candidate:").len(), 6, "candidates complete");
}

/// str0m's answer to our offer.
fn str0m_answers(sdp: &str) -> String {
    // str0m takes port 0 for a refusal even where it only waits for the bundle.
    let sdp = sdp.replace("m=video 0 ", "m=video 9 ");
    let offer = str0m::change::SdpOffer::from_sdp_string(&sdp).unwrap();
    let mut rtc = str0m::RtcConfig::new().enable_h265(true).build(support::instant());
    rtc.sdp_api().accept_offer(offer).unwrap().to_sdp_string()
}

fn accept(offer: &CounterOffer, answer: &str) -> Result<Answered, SdpFault> {
    offer.accept(&Offer::parse(answer.as_bytes()).unwrap())
}

#[test]
fn whep_16_another_implementation_answers_and_its_answer_settles_everything() {
    for codec in CODECS {
        let offer = offer(stream(codec));
        let answer = str0m_answers(&offer.sdp().unwrap());
        let answered = accept(&offer, &answer).unwrap_or_else(|fault| panic!("{codec}: {fault}\n{answer}"));
        assert_eq!(answered.dtls_role, DtlsRole::Client, "str0m answers actpass by passive");
        let video = answered.plan.track(MediaKind::Video).unwrap();
        assert_eq!(video.formats[0].format.codec, codec);
        assert_eq!(video.ssrcs[0].0, Ssrc(2001), "as it was offered");
        assert_eq!(answered.plan.track(MediaKind::Audio).unwrap().formats[0].format.codec, Codec::Opus);
        assert!(answer.contains(&format!("a=ice-ufrag:{}", answered.remote.ufrag)));
        assert_eq!(answered.fingerprints.len(), 1);
        assert!(answered.sdp.is_empty());
    }
}

/// An answer as a browser would write it.
fn answer(offer: &str) -> String {
    let (_, sections) = parts(offer);
    let mut answer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n".to_owned();
    let digest = ["AB"; 32].join(":");
    for section in sections {
        let kept = ["audio ", "video ", "a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:"];
        let lines = section.split("\r\n").filter(|line| kept.iter().any(|start| line.starts_with(start)));
        let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
        answer += &format!("m={lines}").replace("m=video 0 ", "m=video 9 ");
        answer += "a=recvonly\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
        answer += &format!("a=fingerprint:sha-256 {digest}\r\na=setup:active\r\n");
    }
    answer
}

#[test]
fn whep_16_what_an_answer_leaves_out_is_not_sent() {
    let offer = offer(stream(Codec::H264));
    let whole = answer(&offer.sdp().unwrap());
    let all = accept(&offer, &whole).unwrap();
    assert_eq!(all.plan.tracks.len(), 2);
    for silent in
        [whole.replace("m=audio 3478 ", "m=audio 0 "), whole.replacen("a=recvonly", "a=inactive", 1)]
    {
        let plan = accept(&offer, &silent).unwrap().plan;
        assert!(plan.track(MediaKind::Audio).is_none() && plan.track(MediaKind::Video).is_some());
    }
    let bare: String = whole
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("a=extmap:") && !line.starts_with("a=rtcp-fb:"))
        .collect();
    let plan = accept(&offer, &bare).unwrap().plan;
    assert_eq!(plan.extensions.iter().count(), 0);
    assert!(plan.tracks.iter().all(|track| !track.feedback.nack && !track.feedback.pli));
    let passive = accept(&offer, &whole.replace("a=setup:active", "a=setup:passive")).unwrap();
    assert_eq!(passive.dtls_role, DtlsRole::Client);
}

#[test]
fn whep_16_an_extension_under_another_number_was_not_offered() {
    let offer = offer(stream(Codec::H264));
    let moved = answer(&offer.sdp().unwrap()).replace("a=extmap:1 ", "a=extmap:13 ");
    assert_eq!(accept(&offer, &moved).unwrap().plan.extensions.id(wtn_media::ExtensionKind::Mid), None);
}

#[test]
fn whep_16_what_is_no_answer_to_our_offer_is_malformed() {
    let offer = offer(stream(Codec::H264));
    let whole = answer(&offer.sdp().unwrap());
    let video_at = whole.find("m=video").unwrap();
    for wrong in [
        whole[..video_at].to_owned(),
        whole.replace("m=video", "m=audio"),
        whole.replace("a=mid:1", "a=mid:x"),
        format!("{whole}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"),
        "v=0\r\n".to_owned(),
    ] {
        let fault = accept(&offer, &wrong).unwrap_err();
        assert_eq!((fault.kind, fault.code), (FaultKind::Malformed, "not_our_answer"), "{wrong}");
    }
}

#[test]
fn whep_16_an_answer_that_leaves_nothing_is_unacceptable() {
    let offer = offer(stream(Codec::H264));
    let whole = answer(&offer.sdp().unwrap());
    let silent = whole.replace("a=recvonly", "a=inactive");
    let other = whole.replace("H264/90000", "VP8/90000");
    let nobody = whole.replace("a=ice-ufrag:abcd\r\n", "");
    for (text, code) in [(silent, "no_media"), (other, "no_common_codec"), (nobody, "no_ice")] {
        let fault = accept(&offer, &text).unwrap_err();
        assert_eq!((fault.kind, fault.code), (FaultKind::Unacceptable, code));
    }
}

#[test]
fn whep_13_a_stream_that_carries_nothing_yet_makes_no_offer() {
    assert!(CounterOffer::new(local(), StreamTracks::default()).is_none());
    let sound = StreamTracks { video: None, ..stream(Codec::H264) };
    let sdp = offer(sound).sdp().unwrap();
    assert!(sdp.contains("a=group:BUNDLE 0\r\n") && !sdp.contains("m=video"));
}
