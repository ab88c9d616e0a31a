//! What real clients write into their offers and no standard foresees, and what they need of an answer, one test
//! for each note and each row of the list of clients. The offers are recordings.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{fixture, local, names, stream};
use wtn_media::{Codec, DtlsRole, MediaKind};
use wtn_sdp::{Answered, Offer, StreamTrack, StreamTracks, answer_publisher, answer_subscriber};

fn publish(offer: &str) -> Answered {
    let offer = Offer::parse(offer.as_bytes()).unwrap_or_else(|fault| panic!("{fault}\n{offer}"));
    answer_publisher(&offer, &local(), &wtn_sdp::Terms::default()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn play(offer: &str, tracks: &StreamTracks) -> Answered {
    let offer = Offer::parse(offer.as_bytes()).unwrap_or_else(|fault| panic!("{fault}\n{offer}"));
    answer_subscriber(&offer, &local(), tracks).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The answers to all recorded offers, players on a stream that they can decode.
fn answers() -> Vec<(String, Answered)> {
    let publishers = names("pub-").into_iter().map(|name| {
        let answered = publish(&fixture(&name));
        (name, answered)
    });
    let players = names("play-").into_iter().map(|name| {
        let offer = fixture(&name);
        let codec = if offer.contains(" H264/90000") { Codec::H264 } else { Codec::Vp8 };
        let answered = play(&offer, &stream(codec));
        (name, answered)
    });
    publishers.chain(players).collect()
}

/// The session part and each media section of an SDP.
fn parts(sdp: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = sdp.match_indices("\r\nm=").map(|(at, _)| at + 2).collect();
    starts.insert(0, 0);
    starts.push(sdp.len());
    starts.windows(2).map(|pair| &sdp[pair[0]..pair[1]]).collect()
}

#[test]
fn l04_an_offer_without_any_candidate_is_answered() {
    for name in ["pub-obs", "pub-obs-simulcast", "pub-ffmpeg", "pub-medooze"] {
        let offer = fixture(name);
        assert!(!offer.contains("a=candidate"), "{name} has no candidates in the recording");
        assert_eq!(publish(&offer).plan.tracks.len(), 2, "{name}");
    }
}

#[test]
fn l06_every_answer_begins_ends_and_fits_as_the_strictest_client_wants() {
    for (name, answered) in answers() {
        let sdp = &answered.sdp;
        assert!(sdp.starts_with("v=0\r\n") && sdp.ends_with("\r\n"), "{name}");
        assert_eq!(sdp.matches('\n').count(), sdp.matches("\r\n").count(), "{name}: a bare line feed");
        assert!(sdp.len() < 8 * 1024, "{name}: {}", sdp.len());
    }
}

#[test]
fn l10_who_offers_passive_as_ffmpeg_does_is_answered_active() {
    let offer = fixture("pub-ffmpeg");
    assert!(offer.contains("a=setup:passive"));
    let answered = publish(&offer);
    assert_eq!(answered.dtls_role, DtlsRole::Client);
    assert!(answered.sdp.contains("a=setup:active\r\n") && !answered.sdp.contains("a=setup:passive"));
    let active = publish(&offer.replace("a=setup:passive", "a=setup:active"));
    assert_eq!(active.dtls_role, DtlsRole::Server, "with -whip_flags dtls_active");
}

#[test]
fn l12_the_first_candidate_is_udp_host_and_ipv4_and_all_stand_in_the_first_section() {
    for (name, answered) in answers() {
        let parts = parts(&answered.sdp);
        assert!(parts[0].contains("\r\na=ice-lite\r\n"), "{name}: libdatachannel reads it only there");
        let candidates: Vec<_> = parts[1].lines().filter(|line| line.starts_with("a=candidate:")).collect();
        assert_eq!(candidates.len(), 2 * local().candidates.len(), "{name}: all in the first section");
        let first: Vec<_> = candidates[0].split(' ').collect();
        assert!(first[2].eq_ignore_ascii_case("udp") && first[4].contains('.'), "{name}: {first:?}");
        assert_eq!(first[6..8], ["typ", "host"], "{name}");
    }
}

#[test]
fn l13_reduced_size_rtcp_is_as_was_negotiated() {
    assert!(publish(&fixture("pub-ffmpeg")).plan.reduced_size_rtcp, "FFmpeg offers it and needs it");
    assert!(!publish(&fixture("pub-obs")).plan.reduced_size_rtcp, "libdatachannel does not");
}

#[test]
fn l15_without_header_extensions_ssrcs_and_payload_types_tell_the_tracks() {
    let plan = publish(&fixture("pub-ffmpeg")).plan;
    assert!(plan.tracks.iter().all(|track| !track.ssrcs.is_empty()), "announced by a=ssrc");
    let types: Vec<_> = plan.tracks.iter().map(|track| track.formats[0].payload_type.value()).collect();
    assert_eq!(types, [111, 106]);
}

#[test]
fn l16_bare_line_feeds_are_lines_too() {
    for name in ["pub-obs", "pub-chromium-all", "pub-firefox-all"] {
        assert_eq!(publish(&fixture(name).replace("\r\n", "\n")).plan.tracks.len(), 2, "{name}");
    }
}

#[test]
fn l17_what_standards_want_and_clients_leave_out_is_not_missed() {
    for (name, missing) in [
        ("pub-obs", "a=rtcp-mux-only"),
        ("pub-ffmpeg", "a=ice-options"),
        ("pub-chromium-all", "a=tls-id"),
        ("pub-aiortc", "a=ice-options"),
    ] {
        let offer = fixture(name);
        assert!(!offer.contains(missing), "{name} has {missing} after all");
        publish(&offer);
    }
    let player = fixture("play-chromium");
    assert!(!player.contains("a=msid:"));
    play(&player, &stream(Codec::Vp8));
}

#[test]
fn l18_mids_in_the_bundle_that_no_section_has_are_ignored() {
    // As FFmpeg 8.0 writes it with video alone.
    let offer = fixture("pub-ffmpeg");
    let (head, rest) = offer.split_once("m=audio").unwrap();
    let alone = format!("{head}m=video{}", rest.split_once("m=video").unwrap().1);
    let answered = publish(&alone);
    assert!(answered.sdp.contains("a=group:BUNDLE 1\r\n"), "{}", answered.sdp);
    assert_eq!(answered.plan.tracks.len(), 1);
}

#[test]
fn l19_a_profile_of_seven_digits_is_constrained_baseline() {
    let offer = fixture("pub-ffmpeg").replace("profile-level-id=42001e", "profile-level-id=42c01f0");
    let answered = publish(&offer);
    assert_eq!(answered.plan.track(MediaKind::Video).unwrap().formats[0].format.codec, Codec::H264);
}

#[test]
fn l19_a_player_gets_the_nearest_h264_and_any_rather_than_none() {
    use wtn_media::{Format, Profile};
    let high = Format {
        codec: Codec::H264,
        profile: Profile::H264 { profile: 0x64, constraints: 0, packetization_mode: 1 },
    };
    let mut tracks = stream(Codec::H264);
    tracks.video = tracks.video.map(|track| StreamTrack { current: high, ..track });
    for name in ["play-chromium", "play-eyevinn", "play-gst-whepsrc", "play-gst-whepclientsrc", "play-aiortc"]
    {
        let answered = play(&fixture(name), &tracks);
        let video = answered.plan.track(MediaKind::Video).unwrap();
        assert_eq!(video.formats[0].format.codec, Codec::H264, "{name}");
    }
}

#[test]
fn l20_sendrecv_is_answered_recvonly() {
    let offer = fixture("pub-gst-whipsink").replace("a=sendonly", "a=sendrecv");
    let answered = publish(&offer);
    assert_eq!(answered.sdp.matches("a=recvonly\r\n").count(), 2, "{}", answered.sdp);
}

#[test]
fn l22_a_data_channel_is_rejected_alone() {
    let offer = format!(
        "{}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\na=sctp-port:5000\r\n",
        fixture("pub-obs")
    );
    let answered = publish(&offer);
    assert_eq!(answered.plan.tracks.len(), 2);
    assert!(answered.sdp.contains("m=application 0 "), "{}", answered.sdp);
}

#[test]
fn l26_obs_gets_all_its_layers_back_in_the_order_of_its_offer() {
    let answered = publish(&fixture("pub-obs-simulcast"));
    // As OBS counts them: the first such line, by its semicolons, up to the carriage return.
    let (_, after) = answered.sdp.split_once("a=simulcast:recv ").unwrap();
    let (list, _) = after.split_once('\r').unwrap();
    assert_eq!(list.split(';').collect::<Vec<_>>(), ["0", "1", "2"]);
    assert_eq!(answered.sdp.matches("a=simulcast:").count(), 1);
    let rids = &answered.plan.track(MediaKind::Video).unwrap().rids;
    assert_eq!(rids[0].as_str(), "0", "its best; quality is a matter of order, not of the name");
}

#[test]
fn l27_vue_wish_is_shown_both_kinds_though_one_is_silent() {
    let video_only = StreamTracks { audio: None, ..stream(Codec::Vp8) };
    let audio_only = StreamTracks { video: None, ..stream(Codec::Vp8) };
    for tracks in [video_only, audio_only] {
        let answered = play(&fixture("play-vue-wish"), &tracks);
        assert_eq!(answered.sdp.matches("a=sendonly\r\n").count(), 2, "{}", answered.sdp);
        assert_eq!(answered.sdp.matches("a=msid:").count(), 2);
        assert!(!answered.sdp.contains("m=audio 0") && !answered.sdp.contains("m=video 0"));
    }
}

#[test]
fn clients_ffmpeg_finds_what_it_looks_for_and_nothing_before_it() {
    let sdp = publish(&fixture("pub-ffmpeg")).sdp;
    // It takes the first of each line, and the first candidate that has "host" in it.
    for start in ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:sha-256 "] {
        let values: Vec<_> = sdp.lines().filter_map(|line| line.strip_prefix(start)).collect();
        assert!(!values.is_empty() && values.iter().all(|value| *value == values[0]), "{start}");
    }
    let host = sdp.lines().find(|line| line.starts_with("a=candidate:") && line.contains("host")).unwrap();
    assert!(host.to_ascii_lowercase().contains(" udp "), "{host}");
    assert!(sdp.len() <= 8191, "its buffer");
}

#[test]
fn clients_libdatachannel_gets_no_actpass_and_no_zero_port() {
    for name in ["pub-obs", "pub-obs-simulcast", "pub-libdatachannel", "play-libdatachannel"] {
        let offer = fixture(name);
        let sdp = if name.starts_with("pub-") {
            publish(&offer).sdp
        } else {
            play(&offer, &stream(Codec::H264)).sdp
        };
        assert!(!sdp.contains("a=setup:actpass"), "{name}");
        assert!(!sdp.contains("m=video 0") && !sdp.contains("m=audio 0"), "{name}");
    }
}

#[test]
fn clients_simple_whip_client_finds_candidates_in_the_first_section_though_the_second_is_bundle_only() {
    let offer = fixture("pub-simple-whip");
    assert!(offer.contains("a=bundle-only"));
    let answered = publish(&offer);
    assert_eq!(answered.plan.tracks.len(), 2, "port 0 with bundle-only is alive");
    let parts = parts(&answered.sdp);
    assert!(parts[1].contains("a=candidate:") && parts[1].contains("a=ice-pwd:"));
}

#[test]
fn clients_firefox_may_speak_of_payload_types_it_does_not_offer() {
    let offer = fixture("pub-firefox-all");
    assert!(offer.contains(".local"), "its candidates are names");
    assert_eq!(publish(&offer).plan.tracks.len(), 2);
}

#[test]
fn clients_vue_wish_with_ten_bit_vp9_in_front_does_not_make_a_stream_that_few_can_play() {
    let first = publish(&fixture("pub-vue-wish")).plan.track(MediaKind::Video).unwrap().formats[0].format;
    assert!(first.codec != Codec::Vp9 || first.profile != wtn_media::Profile::Vp9(2), "{first:?}");
}

#[test]
fn clients_gst_whepclientsrc_is_given_h264_though_it_offers_mode_zero_alone() {
    let offer = fixture("play-gst-whepclientsrc");
    assert!(offer.contains("H264/90000") && !offer.contains("packetization-mode"));
    let answered = play(&offer, &stream(Codec::H264));
    assert_eq!(answered.plan.track(MediaKind::Video).unwrap().formats[0].format.codec, Codec::H264);
}

#[test]
fn clients_browsers_get_one_stream_whose_name_is_no_dash() {
    for name in ["play-chromium", "play-firefox", "play-medooze", "play-eyevinn"] {
        let sdp = play(&fixture(name), &stream(Codec::Vp8)).sdp;
        let streams: Vec<_> =
            sdp.lines().filter_map(|line| line.strip_prefix("a=msid:")?.split(' ').next()).collect();
        assert!(streams.len() == 2 && streams[0] == streams[1] && streams[0] != "-", "{name}: {streams:?}");
    }
}
