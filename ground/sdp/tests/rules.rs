//! One story a rule: the rows SDP-01 to SDP-33 of the conformance checklist, and the WHEP rows about answers.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::checker::check;
use support::{Expected, fixture, local, stream};
use wtn_media::{Codec, DtlsRole, ExtensionKind, Format, MediaKind, Profile, Ssrc};
use wtn_sdp::{
    Answered, FaultKind, Offer, SdpFault, StreamTrack, StreamTracks, Terms, answer_publisher,
    answer_subscriber,
};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
const TRANSPORT: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n\
    a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n";
const OPUS: &str = "a=rtpmap:111 opus/48000/2\r\n";
const VP8: &str = "a=rtpmap:96 VP8/90000\r\n";

/// A whole section: `m=` line, transport, `a=mid`, `a=rtcp-mux`, `a=sendonly`, and what is added.
fn section(line: &str, mid: &str, more: &str) -> String {
    format!("m={line}\r\nc=IN IP4 0.0.0.0\r\n{TRANSPORT}a=mid:{mid}\r\na=rtcp-mux\r\na=sendonly\r\n{more}")
}

fn audio(more: &str) -> String {
    section("audio 9 UDP/TLS/RTP/SAVPF 111", "0", &format!("{OPUS}{more}"))
}

fn video(more: &str) -> String {
    section("video 9 UDP/TLS/RTP/SAVPF 96", "1", &format!("{VP8}{more}"))
}

/// Audio and video of a publisher.
fn both() -> String {
    format!("{HEAD}a=group:BUNDLE 0 1\r\n{}{}", audio(""), video(""))
}

fn publish(offer: &str) -> Result<Answered, SdpFault> {
    let answered = answer_publisher(&Offer::parse(offer.as_bytes())?, &local(), &Terms::default())?;
    // The checker wants CRLF to take attributes apart.
    check("a rule", &offer.replace("\r\n", "\n").replace('\n', "\r\n"), &answered.sdp, Expected::Publisher);
    Ok(answered)
}

fn play(offer: &str, codec: Codec) -> Result<Answered, SdpFault> {
    let answered = answer_subscriber(&Offer::parse(offer.as_bytes())?, &local(), &stream(codec))?;
    check("a rule", offer, &answered.sdp, Expected::Subscriber);
    Ok(answered)
}

/// A publisher's offer turned round.
fn viewer(offer: &str) -> String {
    offer.replace("a=sendonly", "a=recvonly")
}

#[track_caller]
fn refused(result: Result<Answered, SdpFault>, code: &str) {
    let fault = result.expect_err("must be refused");
    assert_eq!((fault.kind, fault.code), (FaultKind::Unacceptable, code), "{fault}");
    assert!(!fault.fix.is_empty());
}

fn lines<'a>(answered: &'a Answered, prefix: &str) -> Vec<&'a str> {
    answered.sdp.lines().filter_map(|line| line.strip_prefix(prefix)).collect()
}

#[test]
fn sdp_01_the_protocol_is_mirrored_and_must_be_dtls_srtp() {
    for proto in ["UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP"] {
        publish(&both().replace("UDP/TLS/RTP/SAVPF", proto)).unwrap();
    }
    refused(publish(&both().replace("UDP/TLS/RTP/SAVPF", "RTP/AVP")), "bad_protocol");
}

#[test]
fn sdp_02_line_ends_and_unknown_attributes_do_not_matter() {
    publish(&both().replace("\r\n", "\n")).unwrap();
    publish(both().trim_end()).unwrap();
    publish(&both().replace("a=rtcp-mux\r\n", "i=x\r\nb=AS:1\r\na=foo\r\na=x:y\r\na=rtcp-mux\r\n")).unwrap();
}

#[test]
fn sdp_03_session_level_attributes_stand_in_for_missing_ones() {
    let at_media = publish(&both()).unwrap();
    let without = both().replace(TRANSPORT, "").replace("a=sendonly\r\n", "");
    let at_session =
        publish(&without.replacen("a=group", &format!("{TRANSPORT}a=sendonly\r\na=group"), 1)).unwrap();
    assert_eq!(at_media.sdp, at_session.sdp);
    assert_eq!(at_media.remote, at_session.remote);
    assert_eq!(at_media.fingerprints, at_session.fingerprints);
}

#[test]
fn sdp_04_port_zero_is_alive_with_bundle_only_and_dead_without() {
    let bare = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=bundle-only\r\na=sendonly\r\n";
    let offer = format!("{HEAD}a=group:BUNDLE 0 1\r\n{}{bare}{VP8}", audio(""));
    assert_eq!(publish(&offer).unwrap().plan.tracks.len(), 2);
    let dead = offer.replace("a=bundle-only\r\n", "");
    refused(publish(&dead), "disabled_section");
    let silent = viewer(&dead);
    assert_eq!(play(&silent, Codec::Vp8).unwrap().plan.tracks.len(), 1);
}

#[test]
fn sdp_05_several_sections_must_be_bundled_and_one_needs_no_group() {
    refused(publish(&both().replace("a=group:BUNDLE 0 1\r\n", "")), "not_bundled");
    refused(publish(&both().replace("BUNDLE 0 1", "BUNDLE 0")), "not_bundled");
    let alone = publish(&format!("{HEAD}{}", audio(""))).unwrap();
    assert!(!alone.sdp.contains("a=group"));
    let unnamed = publish(&format!("{HEAD}{}", audio("")).replace("a=mid:0\r\n", "")).unwrap();
    assert!(!unnamed.sdp.contains("a=mid") && unnamed.plan.tracks[0].mid.as_str() == "audio");
}

#[test]
fn sdp_06_mids_that_no_section_has_are_left_out_of_the_bundle() {
    let one = format!("{HEAD}a=group:BUNDLE 0 1 7\r\n{}", audio(""));
    assert_eq!(lines(&publish(&one).unwrap(), "a=group:"), ["BUNDLE 0"]);
    let twice = both().replace("a=mid:1", "a=mid:0");
    assert_eq!(publish(&twice).unwrap_err().code, "duplicate_mid");
}

#[test]
fn sdp_08_rtcp_mux_is_required_of_the_tagged_section_only() {
    refused(publish(&both().replace("a=rtcp-mux\r\n", "")), "no_rtcp_mux");
    let second_without =
        format!("{HEAD}a=group:BUNDLE 0 1\r\n{}{}", audio(""), video("").replace("a=rtcp-mux\r\n", ""));
    publish(&second_without).unwrap();
}

#[test]
fn sdp_10_the_dtls_role_follows_the_offer() {
    for (setup, role, ours) in [
        ("actpass", DtlsRole::Server, "passive"),
        ("active", DtlsRole::Server, "passive"),
        ("passive", DtlsRole::Client, "active"),
    ] {
        let answered = publish(&both().replace("actpass", setup)).unwrap();
        assert_eq!(answered.dtls_role, role);
        assert_eq!(lines(&answered, "a=setup:"), [ours, ours]);
    }
    refused(publish(&both().replace("actpass", "holdconn")), "holdconn");
}

#[test]
fn sdp_12_an_offer_without_a_usable_fingerprint_is_refused() {
    let offer = both().replace("a=fingerprint:sha-256", "a=fingerprint:sha-1");
    refused(publish(&offer), "no_fingerprint");
    let lower = both()
        .replace("sha-256 00:01:02:03:04:05:06:07:08:09:0A", "SHA-256 00:01:02:03:04:05:06:07:08:09:0a");
    assert_eq!(publish(&lower).unwrap().fingerprints, publish(&both()).unwrap().fingerprints);
}

#[test]
fn sdp_13_tls_id_is_answered_only_if_offered() {
    assert!(lines(&publish(&both()).unwrap(), "a=tls-id:").is_empty());
    let offer =
        both().replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=tls-id:91bbf309c0990a6bec11e38ba2933cee\r\n");
    assert_eq!(lines(&publish(&offer).unwrap(), "a=tls-id:"), [local().tls_id.as_str(); 2]);
}

#[test]
fn sdp_15_ice_options_of_any_shape() {
    assert_eq!(lines(&publish(&both()).unwrap(), "a=ice-options:"), ["ice2"]);
    for options in ["trickle", "ice2,trickle", "ice2 trickle renomination"] {
        let offer = both().replacen("a=mid", &format!("a=ice-options:{options}\r\na=mid"), 1);
        assert_eq!(lines(&publish(&offer).unwrap(), "a=ice-options:"), ["ice2 trickle"]);
    }
}

#[test]
fn sdp_16_useless_addresses_are_no_candidates() {
    let mut local = local();
    local.tcp = false;
    local.candidates = [
        "0.0.0.0:1",
        "[::]:1",
        "224.0.0.1:1",
        "[::1]:5",
        "1.2.3.4:0",
        "127.0.0.1:5",
        "127.0.0.1:5",
        "[::ffff:10.0.0.1]:5",
    ]
    .map(|address| address.parse().unwrap())
    .to_vec();
    let offer = Offer::parse(both().as_bytes()).unwrap();
    let answered = answer_publisher(&offer, &local, &Terms::default()).unwrap();
    let addresses: Vec<_> =
        lines(&answered, "a=candidate:").iter().map(|line| line.split(' ').nth(4).unwrap()).collect();
    assert_eq!(addresses, ["::1", "127.0.0.1", "10.0.0.1"]);
}

#[test]
fn live_18_tcp_candidates_are_passive_and_below_every_one_of_udp() {
    let mut local = local();
    local.candidates = (1..=20u8).map(|n| ([192, 0, 2, n], 3478).into()).collect();
    let offer = Offer::parse(both().as_bytes()).unwrap();
    let answered = answer_publisher(&offer, &local, &Terms::default()).unwrap();
    let candidates = lines(&answered, "a=candidate:");
    let (udp, tcp) = candidates.split_at(wtn_sdp::Local::CANDIDATES_MAX);
    assert!(udp.iter().all(|line| line.contains(" udp ") && line.ends_with(" typ host")));
    assert_eq!(tcp.len(), wtn_sdp::Local::TCP_CANDIDATES_MAX);
    assert_eq!(tcp[0], "101 1 tcp 1520435199 192.0.2.1 3478 typ host tcptype passive");
    let priority = |line: &&str| line.split(' ').nth(3).unwrap().parse::<u32>().unwrap();
    assert!(tcp.iter().map(priority).max() < udp.iter().map(priority).min());
    local.tcp = false;
    let answered = answer_publisher(&offer, &local, &Terms::default()).unwrap();
    assert!(!answered.sdp.contains(" tcp "), "not unless it is on");
}

#[test]
fn sdp_16_no_candidate_at_all_is_still_an_answer() {
    let mut local = local();
    local.candidates.clear();
    let answered =
        answer_publisher(&Offer::parse(both().as_bytes()).unwrap(), &local, &Terms::default()).unwrap();
    assert!(answered.sdp.contains("m=audio 9 ") && answered.sdp.contains("a=end-of-candidates"));
}

#[test]
fn sdp_19_whip_takes_who_sends() {
    for direction in ["a=sendonly\r\n", "a=sendrecv\r\n", ""] {
        publish(&both().replace("a=sendonly\r\n", direction)).unwrap();
    }
    for direction in ["a=recvonly\r\n", "a=inactive\r\n"] {
        refused(publish(&both().replace("a=sendonly\r\n", direction)), "bad_direction");
    }
}

#[test]
fn whep_02_whep_takes_who_receives() {
    for direction in ["a=recvonly\r\n", "a=sendrecv\r\n", ""] {
        play(&both().replace("a=sendonly\r\n", direction), Codec::Vp8).unwrap();
    }
    for direction in ["a=sendonly\r\n", "a=inactive\r\n"] {
        refused(play(&both().replace("a=sendonly\r\n", direction), Codec::Vp8), "bad_direction");
    }
}

#[test]
fn sdp_20_one_media_stream_at_most() {
    let with = |first: &str, second: &str| {
        let (first, second) = (audio(first), video(second));
        publish(&format!("{HEAD}a=group:BUNDLE 0 1\r\n{first}{second}"))
    };
    with("a=msid:s a\r\n", "a=msid:s v\r\n").unwrap();
    with("a=msid:s a\r\n", "").unwrap();
    with("a=msid:- a\r\n", "a=msid:- v\r\n").unwrap();
    with("a=msid:- a\r\n", "a=msid:s v\r\n").unwrap();
    refused(with("a=msid:s a\r\n", "a=msid:t v\r\n"), "too_many_streams");
    refused(with("a=ssrc:1 msid:s a\r\n", "a=ssrc:2 msid:t v\r\n"), "too_many_streams");
}

#[test]
fn whip_10_two_tracks_of_a_kind_are_too_many() {
    let second = section("video 9 UDP/TLS/RTP/SAVPF 96", "2", VP8);
    let offer = format!("{}{second}", both()).replace("BUNDLE 0 1", "BUNDLE 0 1 2");
    refused(publish(&offer), "too_many_tracks");
    refused(play(&viewer(&offer), Codec::Vp8), "too_many_tracks");
}

#[test]
fn whip_11_no_half_answers() {
    refused(publish(&both().replace("VP8/90000", "theora/90000")), "no_usable_codec");
    let fault = publish(&both().replace("VP8/90000", "theora/90000")).unwrap_err();
    assert!(fault.sentence.contains("theora") && fault.fix.contains("H.264"), "{fault}");
    refused(publish(&both().replace("VP8/90000", "VP8/48000")), "no_usable_codec");
    refused(publish(&both().replace("opus/48000/2", "opus/48000/6")), "no_usable_codec");
}

#[test]
fn sdp_21_and_22_each_codec_alone_is_taken() {
    for (codec, pt, fmtp) in [
        (Codec::H264, 96, "packetization-mode=1;profile-level-id=42e01f"),
        (Codec::H265, 96, "profile-id=1;tier-flag=0;level-id=93"),
        (Codec::Vp8, 96, ""),
        (Codec::Vp9, 96, "profile-id=0"),
        (Codec::Av1, 96, "profile=0;level-idx=5;tier=0"),
    ] {
        let fmtp = if fmtp.is_empty() { String::new() } else { format!("a=fmtp:{pt} {fmtp}\r\n") };
        let offer = both().replace(VP8, &format!("a=rtpmap:{pt} {codec}/90000\r\n{fmtp}"));
        let answered = publish(&offer).unwrap();
        assert_eq!(answered.plan.track(MediaKind::Video).unwrap().formats[0].format.codec, codec);
    }
    for (codec, pt) in [(Codec::Pcmu, 0), (Codec::Pcma, 8), (Codec::G722, 9)] {
        // Static payload types need no rtpmap.
        let offer = both().replace(OPUS, "").replace("SAVPF 111", &format!("SAVPF {pt}"));
        let answered = publish(&offer).unwrap();
        assert_eq!(answered.plan.track(MediaKind::Audio).unwrap().formats[0].format.codec, codec);
    }
}

#[test]
fn sdp_22_upper_case_opus_without_channels_is_opus() {
    let answered = publish(&both().replace("opus/48000/2", "OPUS/48000")).unwrap();
    assert!(answered.sdp.contains("a=rtpmap:111 opus/48000/2\r\n"));
}

fn h264(parameters: &str) -> (String, Profile) {
    let fmtp = if parameters.is_empty() { String::new() } else { format!("a=fmtp:96 {parameters}\r\n") };
    let offer = both().replace(VP8, &format!("a=rtpmap:96 H264/90000\r\n{fmtp}"));
    let answered =
        answer_publisher(&Offer::parse(offer.as_bytes()).unwrap(), &local(), &Terms::default()).unwrap();
    let fmtp = lines(&answered, "a=fmtp:96 ").first().copied().unwrap_or_default().to_owned();
    (fmtp, answered.plan.track(MediaKind::Video).unwrap().formats[0].format.profile)
}

#[test]
fn sdp_23_h264_parameters_are_echoed_and_sprop_is_not() {
    let profile =
        |profile, constraints, packetization_mode| Profile::H264 { profile, constraints, packetization_mode };
    let check = |offered: &str, answered: &str, expected: Profile| {
        assert_eq!(h264(offered), (answered.to_owned(), expected));
    };
    let high = "packetization-mode=0;profile-level-id=640c1F";
    check(high, high, profile(0x64, 0x0c, 0));
    check(
        "packetization-mode=1; sprop-parameter-sets=Z0LAHtoCgPbAWoMD=,aM48gA==; profile-level-id=42c01e",
        "packetization-mode=1;profile-level-id=42c01e",
        profile(0x42, 0xc0, 1),
    );
    // GStreamer's player: no mode, and it takes mode 1.
    check("profile-level-id=42e016", "profile-level-id=42e016", profile(0x42, 0xe0, 1));
    check("", "", profile(0x42, 0xe0, 1));
    // FFmpeg 8.0.0 for constrained baseline.
    check(
        "profile-level-id=242e01f;packetization-mode=1",
        "profile-level-id=42e01f;packetization-mode=1",
        profile(0x42, 0xe0, 1),
    );
}

#[test]
fn sdp_24_opus_says_what_a_receiver_likes() {
    let opus = |parameters: &str| {
        let answered = publish(&both().replace(OPUS, &format!("{OPUS}a=fmtp:111 {parameters}\r\n"))).unwrap();
        lines(&answered, "a=fmtp:111 ").first().copied().unwrap_or_default().to_owned()
    };
    assert_eq!(opus("stereo=1;foo=1"), "stereo=1");
    assert_eq!(opus("minptime=10;useinbandfec=1"), "minptime=10;useinbandfec=1");
    assert_eq!(opus("sprop-maxcapturerate=48000"), "");
    let obs = "minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1";
    assert_eq!(opus(obs), "minptime=10;stereo=1;useinbandfec=1");
    let offer = viewer(&both()).replace(OPUS, &format!("{OPUS}a=fmtp:111 {obs}\r\n"));
    let answered = play(&offer, Codec::Vp8).unwrap();
    assert_eq!(lines(&answered, "a=fmtp:111 "), ["minptime=10;stereo=1;sprop-stereo=1;useinbandfec=1"]);
}

#[test]
fn sdp_25_ten_bit_vp9_stays_only_where_nothing_else_is_offered() {
    let answered = answer_publisher(
        &Offer::parse(fixture("pub-vue-wish").as_bytes()).unwrap(),
        &local(),
        &Terms::default(),
    )
    .unwrap();
    let video = answered.plan.track(MediaKind::Video).unwrap();
    assert_eq!(video.formats[0].format, Format { codec: Codec::Vp9, profile: Profile::Vp9(0) });
    assert!(!answered.sdp.contains("profile-id=2"));
    let offer = both().replace(VP8, "a=rtpmap:96 VP9/90000\r\na=fmtp:96 profile-id=2\r\n");
    assert_eq!(lines(&publish(&offer).unwrap(), "a=fmtp:96 "), ["profile-id=2"]);
}

#[test]
fn sdp_26_only_extensions_that_are_served_are_answered() {
    let name = "pub-chromium-vp8-simulcast";
    let answered =
        answer_publisher(&Offer::parse(fixture(name).as_bytes()).unwrap(), &local(), &Terms::default())
            .unwrap();
    let map = &answered.plan.extensions;
    assert_eq!(map.id(ExtensionKind::AudioLevel), Some(1));
    assert_eq!(map.id(ExtensionKind::Mid), Some(4));
    assert_eq!(map.id(ExtensionKind::RepairedRid), Some(11));
    assert_eq!(map.id(ExtensionKind::TransportCc), Some(3));
    assert_eq!(map.id(ExtensionKind::AbsSendTime), None);
}

#[test]
fn sdp_26_two_byte_headers_are_allowed_only_if_offered() {
    assert!(!publish(&both()).unwrap().sdp.contains("allow-mixed"));
    let offer = both().replace("a=group", "a=extmap-allow-mixed\r\na=group");
    assert_eq!(lines(&publish(&offer).unwrap(), "a=extmap-allow-mixed").len(), 1);
}

#[test]
fn sdp_27_feedback_is_a_subset_and_a_wildcard_means_all() {
    let answered = publish(&both().replace(VP8, &format!("{VP8}a=rtcp-fb:* nack\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:77 nack pli\r\n"))).unwrap();
    assert_eq!(lines(&answered, "a=rtcp-fb:"), ["96 nack", "96 ccm fir", "96 goog-remb"]);
    let feedback = answered.plan.track(MediaKind::Video).unwrap().feedback;
    assert!(feedback.nack && feedback.fir && feedback.remb && !feedback.pli && !feedback.transport_cc);
    let audio = answered.plan.track(MediaKind::Audio).unwrap().feedback;
    assert!(!audio.nack, "the wildcard holds for its own section");
}

#[test]
fn rtp_20_transport_feedback_needs_its_numbers_and_numbers_their_feedback() {
    const EXTMAP: &str =
        "a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n";
    const FEEDBACK: &str = "a=rtcp-fb:96 transport-cc\r\n";
    for (lines, is_used) in [
        (format!("{VP8}{EXTMAP}{FEEDBACK}"), true),
        (format!("{VP8}{EXTMAP}"), false),
        (format!("{VP8}{FEEDBACK}"), false),
    ] {
        let answered = publish(&both().replace(VP8, &lines)).unwrap();
        let feedback = answered.plan.track(MediaKind::Video).unwrap().feedback;
        let is_numbered = answered.plan.extensions.id(ExtensionKind::TransportCc) == Some(5);
        assert_eq!((feedback.transport_cc, is_numbered), (is_used, is_used), "{lines}");
        assert_eq!(answered.sdp.contains("transport-cc"), is_used, "{lines}");
    }
}

#[test]
fn rtp_22_viewers_are_asked_about_their_line_only_where_there_is_a_choice() {
    let simulcast = |codec| {
        let mut tracks = stream(codec);
        tracks.video = tracks.video.map(|track| StreamTrack { has_choice: true, ..track });
        tracks
    };
    let chromium = fixture("play-chromium");
    let without_numbers = chromium.replace("transport-wide-cc", "something-else");
    let without_repair = chromium.replace(" rtx/90000", " other/90000");
    for (name, offer, tracks, expected) in [
        ("one encoding", &chromium, stream(Codec::Vp8), (false, false)),
        ("several", &chromium, simulcast(Codec::Vp8), (true, false)),
        ("nobody publishes", &chromium, StreamTracks::default(), (true, false)),
        ("no numbers", &without_numbers, simulcast(Codec::Vp8), (false, true)),
        ("no retransmissions", &without_repair, simulcast(Codec::Vp8), (false, true)),
    ] {
        let answered =
            answer_subscriber(&Offer::parse(offer.as_bytes()).unwrap(), &local(), &tracks).unwrap();
        let feedback = answered.plan.track(MediaKind::Video).unwrap().feedback;
        assert_eq!((feedback.transport_cc, feedback.remb), expected, "{name}");
        assert_eq!(answered.plan.extensions.id(ExtensionKind::TransportCc).is_some(), expected.0, "{name}");
        let audio = answered.plan.track(MediaKind::Audio).unwrap().feedback;
        assert!(!audio.transport_cc && !audio.remb, "{name}: sound is never given up");
    }
}

#[test]
fn sdp_27_reduced_size_rtcp_only_if_offered() {
    assert!(!publish(&both()).unwrap().plan.reduced_size_rtcp);
    let ffmpeg = Offer::parse(fixture("pub-ffmpeg").as_bytes()).unwrap();
    assert!(answer_publisher(&ffmpeg, &local(), &Terms::default()).unwrap().plan.reduced_size_rtcp);
}

#[test]
fn sdp_28_rtx_goes_with_its_primary() {
    let line = "video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100";
    let maps = format!(
        "{VP8}a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:98 red/90000\r\n\
         a=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\na=rtpmap:100 RTX/90000\r\n"
    );
    let answered = publish(&format!("{HEAD}{}", section(line, "1", &maps))).unwrap();
    assert!(answered.sdp.contains("m=video 3478 UDP/TLS/RTP/SAVPF 96 97\r\n"));
    assert_eq!(answered.plan.tracks[0].formats[0].rtx.unwrap().value(), 97);
}

#[test]
fn rtp_29_payload_types_that_look_like_rtcp_are_dropped() {
    let offer = both().replace("SAVPF 96", "SAVPF 72").replace("rtpmap:96", "rtpmap:72");
    refused(publish(&offer), "no_usable_codec");
}

const RIDS: &str = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
    a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=rid:a send\r\na=rid:b send\r\na=simulcast:send a;b\r\n";

fn simulcast(lines: &str) -> Answered {
    let offer = format!("{HEAD}{}", video(lines));
    answer_publisher(&Offer::parse(offer.as_bytes()).unwrap(), &local(), &Terms::default()).unwrap()
}

#[test]
fn sdp_29_simulcast_needs_the_rid_extension() {
    assert_eq!(lines(&simulcast(RIDS), "a=simulcast:"), ["recv a;b"]);
    let without = simulcast(&RIDS.replace("rtp-stream-id", "something"));
    assert!(lines(&without, "a=simulcast:").is_empty() && lines(&without, "a=rid:").is_empty());
    assert!(without.plan.tracks[0].rids.is_empty());
}

#[test]
fn sdp_29_restrictions_are_repeated_and_bound_rids_go_with_their_format() {
    let answered = simulcast(
        &RIDS
            .replace("rid:a send", "rid:a send pt=96,101;max-width=640")
            .replace("rid:b send", "rid:b send pt=101"),
    );
    assert_eq!(lines(&answered, "a=rid:"), ["a recv pt=96;max-width=640"]);
    assert_eq!(lines(&answered, "a=simulcast:"), ["recv a"]);
}

#[test]
fn sdp_30_broken_simulcast_is_no_reason_to_refuse() {
    assert_eq!(lines(&simulcast(&format!("{RIDS}a=rid:b send\r\n")), "a=simulcast:"), ["recv a"]);
    assert!(lines(&simulcast(&format!("{RIDS}a=simulcast:send a\r\n")), "a=simulcast:").is_empty());
    assert_eq!(lines(&simulcast(&RIDS.replace("send a;b", "send x,a;~b")), "a=simulcast:"), ["recv a;b"]);
}

#[test]
fn sdp_31_keys_in_the_sdp_are_no_encryption() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let without =
        TRANSPORT.lines().filter(|line| !line.starts_with("a=fingerprint")).map(|line| format!("{line}\r\n"));
    let offer = both().replace(TRANSPORT, &format!("{}{crypto}", without.collect::<String>()));
    refused(publish(&offer), "no_fingerprint");
    assert!(
        !publish(&both().replace("a=rtcp-mux\r\n", &format!("a=rtcp-mux\r\n{crypto}")))
            .unwrap()
            .sdp
            .contains("crypto")
    );
}

#[test]
fn sdp_32_a_data_channel_is_rejected_alone() {
    let data = section("application 9 UDP/DTLS/SCTP webrtc-datachannel", "2", "a=sctp-port:5000\r\n");
    let offer = format!("{}{data}", both()).replace("BUNDLE 0 1", "BUNDLE 0 1 2");
    let answered = publish(&offer).unwrap();
    assert!(answered.sdp.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
    assert_eq!(lines(&answered, "a=group:"), ["BUNDLE 0 1"]);
    // Even if it would speak for the bundle.
    let first = format!("{HEAD}a=group:BUNDLE 2 0 1\r\n{data}{}{}", audio(""), video(""));
    assert_eq!(lines(&publish(&first).unwrap(), "a=group:"), ["BUNDLE 0 1"]);
    refused(publish(&format!("{HEAD}a=group:BUNDLE 2\r\n{data}")), "no_media");
}

#[test]
fn sdp_33_lip_sync_is_echoed_for_what_was_accepted() {
    assert_eq!(
        lines(&publish(&both().replace("a=group:", "a=group:LS 0 1 9\r\na=group:")).unwrap(), "a=group:LS "),
        ["0 1"]
    );
}

#[test]
fn whep_03_and_04_players_have_no_msid_and_get_one() {
    let answered = play(&viewer(&both()), Codec::Vp8).unwrap();
    assert_eq!(lines(&answered, "a=msid:"), ["live audio", "live video"]);
    for (name, id) in [("-", "wtn"), ("", "wtn"), ("a b\r\nc", "a_b__c")] {
        let local = wtn_sdp::Local { msid: name.into(), ..local() };
        let offer = Offer::parse(viewer(&both()).as_bytes()).unwrap();
        let answered = answer_subscriber(&offer, &local, &stream(Codec::Vp8)).unwrap();
        assert_eq!(lines(&answered, "a=msid:")[0], format!("{id} audio"));
    }
}

#[test]
fn whep_05_our_ssrcs_are_announced_as_planned() {
    let answered = answer_subscriber(
        &Offer::parse(fixture("play-chromium").as_bytes()).unwrap(),
        &local(),
        &stream(Codec::H264),
    )
    .unwrap();
    let ssrcs = |kind| answered.plan.track(kind).unwrap().ssrcs.clone();
    assert_eq!(ssrcs(MediaKind::Audio), [(Ssrc(1001), None)]);
    assert_eq!(ssrcs(MediaKind::Video), [(Ssrc(2001), Some(Ssrc(2002)))]);
    assert_eq!(lines(&answered, "a=ssrc-group:"), ["FID 2001 2002"]);
}

#[test]
fn whep_06_a_kind_that_the_stream_lacks_is_accepted_and_silent() {
    let mut tracks = stream(Codec::Vp8);
    tracks.audio = None;
    let offer = Offer::parse(viewer(&both()).as_bytes()).unwrap();
    let answered = answer_subscriber(&offer, &local(), &tracks).unwrap();
    assert_eq!(answered.plan.tracks.len(), 2);
    check("a rule", &viewer(&both()), &answered.sdp, Expected::Subscriber);
}

#[test]
fn whep_07_no_common_codec_is_refused_by_name() {
    let fault = play(&viewer(&both()), Codec::H264).unwrap_err();
    assert_eq!((fault.kind, fault.code), (FaultKind::Unacceptable, "no_common_codec"));
    assert!(fault.sentence.contains("H264") && fault.sentence.contains("VP8"), "{fault}");
}

#[test]
fn whep_08_the_current_codec_comes_first_and_the_others_stay() {
    let offer = Offer::parse(fixture("play-werift").as_bytes()).unwrap();
    let mut tracks = stream(Codec::Vp9);
    tracks.video = tracks.video.map(|track| StreamTrack { others: vec![Format::new(Codec::Av1)], ..track });
    let answered = answer_subscriber(&offer, &local(), &tracks).unwrap();
    let video = answered.plan.track(MediaKind::Video).unwrap();
    let codecs: Vec<_> = video.formats.iter().map(|format| format.format.codec).collect();
    assert_eq!(codecs, [Codec::Vp9, Codec::Av1, Codec::Vp8, Codec::H264]);
}

#[test]
fn whep_08_of_several_h264_the_nearest_comes_first() {
    let offer = Offer::parse(fixture("play-chromium").as_bytes()).unwrap();
    let answered = answer_subscriber(&offer, &local(), &stream(Codec::H264)).unwrap();
    let video = answered.plan.track(MediaKind::Video).unwrap();
    let expected = Profile::H264 { profile: 0x42, constraints: 0xe0, packetization_mode: 1 };
    assert_eq!(video.formats[0].format.profile, expected);
    assert_eq!(video.formats[0].payload_type.value(), 108);
}

#[test]
fn rtp_06_announced_ssrcs_reach_the_plan_in_pairs() {
    let ffmpeg = Offer::parse(fixture("pub-ffmpeg").as_bytes()).unwrap();
    let answered = answer_publisher(&ffmpeg, &local(), &Terms::default()).unwrap();
    let pairs = &answered.plan.track(MediaKind::Video).unwrap().ssrcs;
    assert_eq!(*pairs, [(Ssrc(1_022_130_358), Some(Ssrc(1_022_130_359)))]);
    let firefox = Offer::parse(fixture("pub-firefox-simulcast").as_bytes()).unwrap();
    let answered = answer_publisher(&firefox, &local(), &Terms::default()).unwrap();
    assert_eq!(answered.plan.track(MediaKind::Video).unwrap().ssrcs.len(), 3);
}

#[test]
fn sdp_07_accepted_sections_share_one_port_that_is_not_zero() {
    let answered = publish(&both()).unwrap();
    let ports: Vec<_> = lines(&answered, "m=").iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(ports, ["3478", "3478"]);
    assert!(!answered.sdp.contains("bundle-only") && !answered.sdp.contains("a=rtcp:"));
}

#[test]
fn sdp_09_mux_only_is_written_and_not_asked_for() {
    assert!(!both().contains("rtcp-mux-only"));
    assert_eq!(lines(&publish(&both()).unwrap(), "a=rtcp-mux-only").len(), 2);
}

#[test]
fn sdp_11_our_fingerprint_is_sha_256_in_upper_case_pairs() {
    let answered = publish(&both()).unwrap();
    let text = lines(&answered, "a=fingerprint:sha-256 ")[0];
    let digest: Vec<_> = text.split(':').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    assert_eq!(digest, local().fingerprint.digest);
    assert_eq!(text, text.to_ascii_uppercase());
}

#[test]
fn sdp_14_ice_lite_stands_above_the_sections() {
    let answered = publish(&both()).unwrap();
    assert!(answered.sdp.find("a=ice-lite").unwrap() < answered.sdp.find("m=").unwrap());
    assert_eq!(lines(&answered, "a=ice-lite").len(), 1);
}

#[test]
fn sdp_17_the_first_section_is_complete_on_its_own() {
    let answered = publish(&both()).unwrap();
    let first = answered.sdp.split("\r\nm=").nth(1).unwrap();
    for name in ["candidate", "end-of-candidates", "ice-ufrag", "ice-pwd", "fingerprint", "setup"] {
        assert!(first.contains(&format!("a={name}")), "{name}");
    }
}

#[test]
fn sdp_18_the_public_address_is_the_first_host_candidate() {
    let answered = publish(&both()).unwrap();
    assert_eq!(lines(&answered, "a=candidate:")[0], "1 1 udp 2130706431 203.0.113.7 3478 typ host");
}
