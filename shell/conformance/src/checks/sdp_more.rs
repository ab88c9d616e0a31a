//! Answers: directions, formats, extensions, simulcast.

use crate::ctx::{Ctx, Door, Session};
use crate::sdp::{AV1, H264, H265, Media, Offer, Sdp, VP8, VP9, only, without};
use crate::verdict::{Outcome, Stop, want, want_status};
use std::collections::BTreeSet;
use std::sync::Arc;

async fn answered(ctx: &Ctx, offer: &str) -> Result<Sdp, Stop> {
    let url = match ctx.door {
        Door::Whip => ctx.whip(&ctx.fresh())?,
        Door::Whep => ctx.endpoint().await?,
    };
    let session: Session = ctx.open_at(&url, offer, ctx.key()).await?;
    Ok(session.sdp)
}

fn video(sdp: &Sdp) -> Result<&Media, Stop> {
    sdp.kind("video").ok_or_else(|| Stop::Fail("video is rejected".to_owned()))
}

fn audio(sdp: &Sdp) -> Result<&Media, Stop> {
    sdp.kind("audio").ok_or_else(|| Stop::Fail("audio is rejected".to_owned()))
}

/// That each accepted section of the answer has that direction; none said means sendrecv.
pub(super) fn wants_direction(sdp: &Sdp, wanted: &str) -> Outcome {
    for media in sdp.accepted() {
        let found = ["sendonly", "recvonly", "sendrecv", "inactive"].into_iter().find(|each| media.has(each));
        let found = found.or_else(|| {
            ["sendonly", "recvonly", "inactive"].into_iter().find(|each| sdp.all(each).next().is_some())
        });
        want!(found == Some(wanted), "the answer's {} is {}", media.kind, found.unwrap_or("sendrecv"));
    }
    Ok(())
}

pub(super) async fn sdp_19_directions(ctx: Arc<Ctx>) -> Outcome {
    let offer = Offer::publish().text();
    for taken in [offer.clone(), offer.replace("a=sendonly", "a=sendrecv"), without(&offer, "a=sendonly")] {
        wants_direction(&answered(&ctx, &taken).await?, "recvonly")?;
    }
    for refused in ["recvonly", "inactive"] {
        let answer = ctx.try_offer(&offer.replace("a=sendonly", &format!("a={refused}"))).await?;
        want_status!(answer, 400..=499, format!("an offer to publish that is {refused}"));
    }
    Ok(())
}

pub(super) async fn sdp_20_one_stream(ctx: Arc<Ctx>) -> Outcome {
    let offer = Offer::publish().text();
    answered(&ctx, &without(&offer, "a=msid:")).await?;
    let two = offer.replace("a=msid:stream track-1", "a=msid:another track-1");
    want_status!(ctx.try_offer(&two).await?, 400 | 422, "two MediaStreams");
    Ok(())
}

pub(super) async fn sdp_21_formats(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let offered = Sdp::read(&offer);
    let sdp = answered(&ctx, &offer).await?;
    for (ours, theirs) in offered.media.iter().zip(&sdp.media) {
        want!(!theirs.formats.is_empty(), "{} has no format", theirs.kind);
        for format in &theirs.formats {
            want!(
                ours.formats.contains(format),
                "{} has the format {format}, which was not offered",
                theirs.kind
            );
            want!(
                ours.codec(format) == theirs.codec(format),
                "format {format} is {:?} now",
                theirs.codec(format)
            );
        }
        if ctx.door == Door::Whip {
            let kept: Vec<_> = ours.formats.iter().filter(|format| theirs.formats.contains(format)).collect();
            want!(
                kept == theirs.formats.iter().collect::<Vec<_>>(),
                "the order of formats is {:?}",
                theirs.formats
            );
        }
    }
    Ok(())
}

pub(super) async fn sdp_22_codecs(ctx: Arc<Ctx>) -> Outcome {
    for format in [VP8, H264, VP9, AV1, H265] {
        let sdp = answered(&ctx, &Offer::publish().video(&[format]).text()).await;
        let is_must = format == VP8 || format == H264;
        match sdp {
            Ok(sdp) => want!(video(&sdp)?.has_codec(format.1), "{} is not answered", format.1),
            Err(Stop::Fail(why)) => want!(!is_must, "{}: {why}", format.1),
            Err(stop) => return Err(stop),
        }
    }
    let sdp = answered(&ctx, &only(&Offer::publish().text(), "audio")).await?;
    want!(audio(&sdp)?.has_codec("opus"), "Opus is not answered");
    Ok(())
}

pub(super) async fn sdp_23_h264(ctx: Arc<Ctx>) -> Outcome {
    let modes = [
        (102, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        (104, "H264", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
        (106, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"),
    ];
    let sdp = answered(&ctx, &ctx.offer().video(&modes).text()).await?;
    let media = video(&sdp)?;
    let parameter = |fmtp: &str, name: &str| {
        let found =
            fmtp.split(';').filter_map(|part| part.trim().split_once('=')).find(|(each, _)| *each == name);
        found.map(|(_, value)| value.to_ascii_lowercase())
    };
    let mut kept = 0;
    for (format, _, ours) in modes {
        if !media.formats.contains(&format.to_string()) {
            continue;
        }
        kept += 1;
        let theirs = media.fmtp(&format.to_string()).unwrap_or_default();
        let mode = |fmtp| parameter(fmtp, "packetization-mode").unwrap_or_else(|| "0".to_owned());
        want!(mode(theirs) == mode(ours), "format {format}: packetization-mode is {}", mode(theirs));
        let profile =
            |fmtp| parameter(fmtp, "profile-level-id").map(|id| id.chars().take(4).collect::<String>());
        want!(profile(theirs) == profile(ours), "format {format}: the profile is {:?}", profile(theirs));
    }
    want!(kept > 0, "no H.264 format is kept");
    want!(
        !sdp.lines().any(|line| line.contains("sprop-parameter-sets")),
        "the answer has sprop-parameter-sets"
    );
    Ok(())
}

pub(super) async fn sdp_24_opus(ctx: Arc<Ctx>) -> Outcome {
    let offer = Offer::publish()
        .text()
        .replace("minptime=10;useinbandfec=1", "minptime=10;useinbandfec=1;stereo=1;foo=1");
    let sdp = answered(&ctx, &offer).await?;
    let media = audio(&sdp)?;
    want!(media.all("rtpmap").any(|map| map == "111 opus/48000/2"), "Opus is not opus/48000/2");
    let fmtp = media.fmtp("111").unwrap_or_default();
    let parts: Vec<_> = fmtp.split(';').map(str::trim).collect();
    for wanted in ["stereo=1", "useinbandfec=1"] {
        want!(parts.contains(&wanted), "offered {wanted}, answered {fmtp}");
    }
    want!(!fmtp.contains("foo"), "an unknown parameter comes back: {fmtp}");
    Ok(())
}

pub(super) async fn sdp_25_parameters(ctx: Arc<Ctx>) -> Outcome {
    let formats = [
        (98, "VP9", "profile-id=2"),
        (100, "VP9", "profile-id=0"),
        (49, "H265", "level-id=93;profile-id=2;tier-flag=0;tx-mode=SRST"),
        (45, "AV1", "level-idx=5;profile=1;tier=0"),
        (96, "VP8", ""),
    ];
    let sdp = answered(&ctx, &Offer::publish().video(&formats).text()).await?;
    let media = video(&sdp)?;
    for (format, name, ours) in formats {
        let theirs = media.fmtp(&format.to_string()).unwrap_or_default();
        let is_kept = media.formats.contains(&format.to_string());
        if !is_kept || name == "AV1" || ours.is_empty() {
            continue;
        }
        let profile = |fmtp: &str| {
            fmtp.split(';')
                .filter_map(|part| part.trim().strip_prefix("profile-id="))
                .next()
                .unwrap_or("0")
                .to_owned()
        };
        want!(profile(theirs) == profile(ours), "{name} {ours} is answered by {theirs}");
    }
    Ok(())
}

pub(super) async fn sdp_26_extensions(ctx: Arc<Ctx>) -> Outcome {
    let unknown = "a=extmap:7 urn:example:unknown\r\n";
    let offer = ctx.offer().text().replace("a=mid:1\r\n", &format!("a=mid:1\r\n{unknown}"));
    let offered = Sdp::read(&offer);
    let sdp = answered(&ctx, &offer).await?;
    let mut by_id = std::collections::BTreeMap::new();
    for (ours, theirs) in offered.media.iter().zip(&sdp.media) {
        for extension in theirs.all("extmap") {
            let (id, uri) = extension.split_once(' ').unwrap_or_default();
            let bare = id.split('/').next().unwrap_or_default().to_owned();
            let is_offered = ours.all("extmap").any(|each| each == format!("{bare} {uri}"));
            want!(is_offered, "a=extmap:{extension} was not offered");
            let same = by_id.insert(bare, uri.to_owned()).is_none_or(|before| before == uri);
            want!(same, "an id stands for two extensions in the bundle");
        }
    }
    let none = without(&ctx.offer().text(), "a=extmap");
    let sdp = answered(&ctx, &none).await?;
    want!(
        !sdp.lines().any(|line| line.starts_with("a=extmap")),
        "extensions are answered and none was offered"
    );
    Ok(())
}

pub(super) async fn sdp_27_feedback(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let bare = without(&without(&offer, "a=rtcp-fb"), "a=rtcp-rsize");
    let sdp = answered(&ctx, &bare).await?;
    for name in ["rtcp-fb", "rtcp-rsize"] {
        want!(!sdp.media.iter().any(|media| media.has(name)), "a={name} is answered and was not offered");
    }
    let offered: BTreeSet<_> = offer.lines().filter(|line| line.starts_with("a=rtcp-fb")).collect();
    let sdp = answered(&ctx, &offer).await?;
    for line in sdp.lines().filter(|line| line.starts_with("a=rtcp-fb")) {
        want!(offered.contains(line) || line.starts_with("a=rtcp-fb:*"), "{line} was not offered");
    }
    let wildcard =
        without(&offer, "a=rtcp-fb").replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-fb:* nack\r\n");
    let sdp = answered(&ctx, &wildcard).await?;
    let nack = video(&sdp)?.all("rtcp-fb").any(|value| value.ends_with(" nack"));
    want!(nack, "a=rtcp-fb:* nack is not understood");
    Ok(())
}

pub(super) async fn sdp_28_rtx(ctx: Arc<Ctx>) -> Outcome {
    let strange = (70, "x-strange", "");
    let offer = ctx.offer().video(&[strange, H264, VP8]).text();
    let sdp = answered(&ctx, &offer).await?;
    let media = video(&sdp)?;
    let mut repairs = 0;
    for format in
        media.formats.iter().filter(|format| media.codec(format).is_some_and(|codec| codec == "rtx"))
    {
        let apt = media.fmtp(format).and_then(|fmtp| fmtp.strip_prefix("apt=")).unwrap_or_default();
        want!(
            media.formats.iter().any(|each| each == apt),
            "rtx {format} repairs {apt:?}, which is not there"
        );
        want!(
            apt.parse::<u8>().ok().map(|apt| (apt + 1).to_string()).as_ref() == Some(format),
            "rtx {format} repairs {apt}"
        );
        repairs += 1;
    }
    want!(!media.formats.iter().any(|format| format == "71"), "the rtx of a dropped format is kept");
    // RTX is the server's choice; that it is consistent is what is asked.
    let _ = repairs;
    Ok(())
}

const RIDS: &str = "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=rid:hi send\r\na=rid:mid send\r\n\
    a=rid:lo send\r\na=simulcast:send hi;mid;lo\r\n";

fn simulcast(lines: &str) -> String {
    let offer = without(&Offer::publish().text(), "a=ssrc");
    offer.replace("a=mid:1\r\n", &format!("a=mid:1\r\n{lines}"))
}

pub(super) async fn sdp_29_simulcast(ctx: Arc<Ctx>) -> Outcome {
    let sdp = answered(&ctx, &simulcast(RIDS)).await?;
    let media = video(&sdp)?;
    let rids: Vec<_> = media.all("rid").collect();
    let lines: Vec<_> = media.all("simulcast").collect();
    if lines.is_empty() {
        want!(rids.is_empty(), "rids without simulcast: {rids:?}");
        return crate::verdict::skip("the server takes no simulcast");
    }
    want!(rids == ["hi recv", "mid recv", "lo recv"], "the rids are {rids:?}");
    want!(lines == ["recv hi;mid;lo"], "a=simulcast:{lines:?}");
    let rid = media.all("extmap").any(|each| each.starts_with("10") && each.ends_with("sdes:rtp-stream-id"));
    want!(rid, "the rid extension is not answered");
    Ok(())
}

pub(super) async fn sdp_30_odd_simulcast(ctx: Arc<Ctx>) -> Outcome {
    for odd in [
        RIDS.replace("a=rid:lo send", "a=rid:l~o send"),
        RIDS.replace("a=rid:lo send\r\n", "a=rid:lo send\r\na=rid:lo send\r\n"),
        format!("{RIDS}a=simulcast:send hi;mid\r\n"),
        RIDS.replace("hi;mid;lo", "hi,mid;~lo"),
    ] {
        let sdp = answered(&ctx, &simulcast(&odd)).await?;
        let media = video(&sdp)?;
        want!(media.all("simulcast").count() <= 1, "two simulcast lines are answered");
        let rids: Vec<_> = media.all("rid").map(|rid| rid.split(' ').next().unwrap_or_default()).collect();
        let distinct: BTreeSet<_> = rids.iter().collect();
        want!(distinct.len() == rids.len(), "a rid is answered twice");
    }
    Ok(())
}

pub(super) async fn sdp_31_crypto(ctx: Arc<Ctx>) -> Outcome {
    let line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\na=rtcp-mux\r\n";
    let offer = Offer::publish().text().replace("a=rtcp-mux\r\n", line);
    let sdp = answered(&ctx, &offer).await?;
    want!(!sdp.lines().any(|line| line.starts_with("a=crypto")), "a=crypto is answered");
    let alone = without(&without(&offer, "a=fingerprint"), "a=setup");
    want_status!(ctx.try_offer(&alone).await?, 400..=499, "an offer with nothing but a=crypto");
    Ok(())
}

pub(super) async fn sdp_32_data_channel(ctx: Arc<Ctx>) -> Outcome {
    let offer = Offer::publish();
    let section = format!(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
         a=setup:actpass\r\na=mid:2\r\na=sctp-port:5000\r\n",
        offer.ufrag, offer.pwd
    );
    let text = offer.text().replace("BUNDLE 0 1", "BUNDLE 0 1 2") + &section;
    let sdp = answered(&ctx, &text).await?;
    want!(sdp.media.len() == 3, "{} sections for 3", sdp.media.len());
    want!(sdp.kind("audio").is_some() && sdp.kind("video").is_some(), "sound or picture is rejected");
    let is_served = sdp.media[2].port != "0";
    let group = sdp.all("group").find(|group| group.starts_with("BUNDLE")).unwrap_or_default();
    want!(
        group.split(' ').any(|mid| mid == "2") == is_served,
        "the data channel is served: {is_served}, and {group}"
    );
    Ok(())
}

pub(super) async fn sdp_33_lip_sync(ctx: Arc<Ctx>) -> Outcome {
    let offer =
        Offer::publish().text().replace("a=group:BUNDLE 0 1\r\n", "a=group:BUNDLE 0 1\r\na=group:LS 0 1\r\n");
    let sdp = answered(&ctx, &offer).await?;
    want!(sdp.all("group").any(|group| group == "LS 0 1"), "a=group:LS is not echoed");
    Ok(())
}
