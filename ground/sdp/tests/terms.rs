//! What an operator may demand of publishers: codecs and a bitrate.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::checker::check;
use support::{Expected, fixture, local};
use wtn_media::{Codec, MediaKind};
use wtn_sdp::{Answered, FaultKind, Offer, SdpFault, Terms, answer_publisher};

fn publish(name: &str, terms: &Terms<'_>) -> Result<Answered, SdpFault> {
    let offer = fixture(name);
    let answered = answer_publisher(&Offer::parse(offer.as_bytes())?, &local(), terms)?;
    check(name, &offer, &answered.sdp, Expected::Publisher);
    Ok(answered)
}

fn allowed(codecs: &[Codec]) -> Terms<'_> {
    Terms { codecs: Some(codecs), max_bitrate_kbps: None }
}

fn codecs(answered: &Answered, kind: MediaKind) -> Vec<Codec> {
    let mut codecs: Vec<_> =
        answered.plan.track(kind).unwrap().formats.iter().map(|entry| entry.format.codec).collect();
    codecs.dedup();
    codecs
}

#[test]
fn an_answer_lists_allowed_codecs_only() {
    let only = [Codec::H264, Codec::Opus];
    let answered = publish("pub-chromium-all", &allowed(&only)).unwrap();
    assert_eq!(codecs(&answered, MediaKind::Video), [Codec::H264]);
    assert_eq!(codecs(&answered, MediaKind::Audio), [Codec::Opus]);
    for other in ["VP8", "VP9", "AV1", "PCMU", "G722"] {
        assert!(!answered.sdp.contains(other), "{other}");
    }
    let all = publish("pub-chromium-all", &Terms::default()).unwrap();
    assert!(all.sdp.contains("VP8") && all.sdp.contains("PCMU"), "without terms nothing is left out");
}

#[test]
fn simulcast_and_extensions_are_left_as_they_are() {
    let only = [Codec::H264, Codec::Vp8, Codec::Opus];
    let free = publish("pub-chromium-vp8-simulcast", &Terms::default()).unwrap();
    let held = publish("pub-chromium-vp8-simulcast", &allowed(&only)).unwrap();
    let lines = |answered: &Answered, start: &str| {
        answered.sdp.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect::<Vec<_>>()
    };
    for start in ["a=simulcast", "a=rid", "a=extmap", "a=group", "a=mid"] {
        assert_eq!(lines(&free, start), lines(&held, start), "{start}");
    }
    assert_eq!(lines(&held, "a=simulcast").len(), 1);
}

#[test]
fn whip_11_a_section_without_an_allowed_codec_is_refused_by_name() {
    let only = [Codec::Av1, Codec::Vp9, Codec::Opus];
    let fault = publish("pub-obs", &allowed(&only)).unwrap_err();
    assert_eq!((fault.kind, fault.code), (FaultKind::Unacceptable, "codec_not_allowed"));
    for named in ["AV1", "VP9", "H264", "video"] {
        assert!(fault.sentence.contains(named), "{named} in {fault}");
    }
    assert!(!fault.sentence.contains("opus"), "the audio is not at fault: {fault}");
    assert_eq!(fault.fix, "Set the video encoder to AV1 or VP9.");
    let silent = publish("pub-obs", &allowed(&[Codec::H264])).unwrap_err();
    assert!(silent.sentence.contains("no audio"), "{silent}");
    assert_eq!(silent.fix, "Publish without audio.");
}

#[test]
fn a_bitrate_stands_in_the_video_section_only_and_once() {
    let terms = Terms { codecs: None, max_bitrate_kbps: Some(2500) };
    for name in ["pub-chromium-all", "pub-obs", "pub-firefox-all", "pub-ffmpeg"] {
        let answered = publish(name, &terms).unwrap();
        let sections: Vec<_> = answered.sdp.split("\r\nm=").skip(1).collect();
        for section in sections {
            // RFC 8866 §9: right behind c=, before the first attribute.
            let behind = |line: &str| section.lines().nth(2) == Some(line);
            assert_eq!(section.starts_with("video"), behind("b=TIAS:2500000"), "{name}");
            assert!(!section.contains("\r\nb=AS"), "{name}: str0m takes one such line, no more");
        }
    }
    assert!(!publish("pub-obs", &Terms::default()).unwrap().sdp.contains("\r\nb="));
}
