//! The WHEP endpoint, and what viewers see.

use super::sdp_more::wants_direction;
use crate::answer::Answer;
use crate::ctx::{Ctx, Door, SDP, Session};
use crate::sdp::{H265, Offer, Sdp, VP8, only, token, without};
use crate::stage::{publish, until_on_air};
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use crate::wire::{SOON, Wire};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::DropGuard;
use url::Url;
use wtn_client::{Machine as _, Player};
use wtn_media::MediaKind;

pub(super) async fn whep_01_created(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want!(
        session.answer.header("Content-Type") == Some(SDP),
        "the type is {:?}",
        session.answer.header("Content-Type")
    );
    let tag = session.etag.trim_matches('"');
    let is_strong = session.etag.starts_with('"') && !tag.is_empty();
    want!(is_strong, "the ETag is {:?}", session.etag);
    let text = session.answer.text();
    want!(text.starts_with("v=0\r\n") && text.ends_with("\r\n"), "the answer is not in lines with CRLF");
    want!(text.len() < 8 * 1024, "the answer has {} bytes", text.len());
    want!(session.answer.surplus.is_empty(), "something follows the answer");
    want!(!session.sdp.udp_candidates().is_empty(), "the answer has no candidates");
    want!(ctx.lives(&session).await?, "GET on the Location does not succeed");
    for broken in [String::new(), without(&Offer::play().text(), "v="), "hello".to_owned()] {
        want_status!(ctx.try_offer(&broken).await?, 400..=499, "a broken offer");
    }
    Ok(())
}

pub(super) async fn whep_02_directions(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let offer = Offer::play().text();
    for taken in [offer.clone(), offer.replace("a=recvonly", "a=sendrecv")] {
        let session = ctx.open_at(&url, &taken, ctx.key()).await?;
        wants_direction(&session.sdp, "sendonly")?;
    }
    for refused in ["sendonly", "inactive"] {
        let answer = ctx.try_offer(&offer.replace("a=recvonly", &format!("a={refused}"))).await?;
        want_status!(answer, 400..=499, format!("an offer to play that is {refused}"));
    }
    Ok(())
}

pub(super) async fn whep_03_no_msid(ctx: Arc<Ctx>) -> Outcome {
    // Ours has none.
    let session = ctx.open().await?;
    want!(session.sdp.accepted().count() == 2, "not both sections are accepted");
    Ok(())
}

pub(super) async fn whep_04_media_stream(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (mut streams, mut tracks) = (BTreeSet::new(), BTreeSet::new());
    for media in session.sdp.accepted() {
        let msid = media.first("msid").ok_or_else(|| Stop::Fail(format!("{} has no a=msid", media.kind)))?;
        let (stream, track) = msid.split_once(' ').unwrap_or((msid, ""));
        streams.insert(stream);
        want!(!track.is_empty() && tracks.insert(track), "a=msid:{msid} has no track of its own");
    }
    want!(streams.len() == 1 && !streams.contains("-"), "the MediaStreams are {streams:?}");
    Ok(())
}

pub(super) async fn whep_05_ssrcs(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, session) = Wire::<Player>::live(&ctx, &ctx.endpoint().await?).await?;
    want!(wire.receives(40).await, "no media comes");
    let lines: Vec<_> = session.sdp.accepted().flat_map(|media| media.all("ssrc")).collect();
    let announced: BTreeSet<u32> =
        lines.iter().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    let names: BTreeSet<_> =
        lines.iter().filter_map(|line| line.split_once(" cname:")).map(|(_, name)| name).collect();
    want!(!announced.is_empty(), "the answer announces no SSRC");
    want!(wire.ssrcs.is_subset(&announced), "SSRCs {:?} come, {announced:?} are announced", wire.ssrcs);
    want!(names.len() == 1, "the CNAMEs are {names:?}");
    Ok(())
}

/// A stream of this check's own, with one kind missing.
async fn without_sound(ctx: &Ctx) -> Result<(Url, Wire<wtn_client::Publisher>), Stop> {
    ctx.wants_names()?;
    let (whip, whep) = (ctx.whip(&ctx.name)?, ctx.whep(&ctx.name)?);
    let (publisher, _) = Wire::<wtn_client::Publisher>::live(ctx, &whip).await?;
    Ok((whep, publisher))
}

pub(super) async fn whep_06_missing_kind(ctx: Arc<Ctx>) -> Outcome {
    // What a player of one kind gets of a stream of two is the other half of it.
    let url = ctx.endpoint().await?;
    for kind in ["audio", "video"] {
        let offer = only(&Offer::play().text(), kind);
        let session = ctx.open_at(&url, &offer, ctx.key()).await?;
        want!(session.sdp.accepted().count() == 1, "a player of {kind} alone is not served");
    }
    let (whep, mut publisher) = without_sound(&ctx).await?;
    let joined = async {
        until_on_air(&ctx, &whep).await?;
        ctx.open_at(&whep, &Offer::play().text(), ctx.key_of(Door::Whep)).await
    };
    let driven = publisher.run(Duration::from_secs(60), |_| false);
    let session = tokio::select! {
        session = joined => session?,
        _ = driven => return skip("no stream of its own could be brought on air"),
    };
    want!(session.sdp.kind("video").is_some(), "the picture is rejected");
    Ok(())
}

pub(super) async fn whep_07_no_common_codec(ctx: Arc<Ctx>) -> Outcome {
    let answer = ctx.try_offer(&Offer::play().video(&[H265]).text()).await?;
    want_status!(answer, 406 | 422, "a player that takes H.265 alone, for a stream in H.264");
    Ok(())
}

pub(super) async fn whep_08_codec_order(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx
        .open_at(&ctx.endpoint().await?, &Offer::play().video(&[VP8, crate::sdp::H264]).text(), ctx.key())
        .await?;
    let video = session.sdp.kind("video").ok_or_else(|| Stop::Fail("video is rejected".to_owned()))?;
    let codecs: Vec<_> = video
        .formats
        .iter()
        .filter_map(|format| video.codec(format))
        .filter(|codec| *codec != "rtx")
        .collect();
    want!(codecs.first() == Some(&"H264"), "the stream is in H.264, the answer begins with {codecs:?}");
    want!(codecs.contains(&"VP8"), "the answer has {codecs:?} and not VP8, which was offered");
    Ok(())
}

pub(super) async fn whep_09_idle(ctx: Arc<Ctx>) -> Outcome {
    let answer = ctx.send(ctx.request("POST", &ctx.whep(&ctx.name)?).body(SDP, Offer::play().text())).await?;
    match answer.status {
        409 => {
            let after = answer.header("Retry-After").unwrap_or("none");
            want!(after.parse::<u32>().is_ok(), "the 409 has Retry-After {after}");
            Ok(())
        }
        201 => skip("this server lets viewers wait (WHEP-10), or somebody is publishing"),
        404 => skip("this server has a list of names"),
        _ => Err(Stop::Fail(format!("an idle stream gets {}", answer.brief()))),
    }
}

pub(super) async fn whep_10_waiting(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    let whep = ctx.whep(&ctx.name)?;
    let answer = ctx.send(ctx.request("POST", &whep).body(SDP, Offer::play().text())).await?;
    if answer.status != 201 {
        return skip(format!("viewers do not wait here: {}", answer.brief()));
    }
    ctx.clean_up().await;
    let (mut wire, _) = Wire::<Player>::live(&ctx, &whep).await?;
    let _publisher = publish(&ctx, &ctx.whip(&ctx.name)?).drop_guard();
    want!(wire.receives(20).await, "no media comes to a viewer that waited");
    Ok(())
}

pub(super) async fn whep_11_unknown(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    let url = ctx.whep(&format!("{}-nobody-{}", ctx.name, token(8)))?;
    let answer = ctx.send(ctx.request("POST", &url).body(SDP, Offer::play().text())).await?;
    // 409 or 201: any name is good here.
    want_status!(answer, 404 | 409 | 201, "a name that nobody knows");
    Ok(())
}

pub(super) async fn whep_12_head(ctx: Arc<Ctx>) -> Outcome {
    let mut urls = vec![ctx.endpoint().await?];
    if ctx.wants_names().is_ok() {
        urls.push(ctx.whep(&ctx.name)?);
    }
    for url in urls {
        let answer = ctx.send(ctx.request("HEAD", &url).header("Origin", "https://example.org")).await?;
        if answer.status == 404 {
            continue;
        }
        want_status!(answer, 200, "HEAD");
        let kind = answer.header("Content-Type").unwrap_or("none");
        want!(kind.starts_with(SDP), "HEAD has the type {kind}");
        want!(answer.header("Access-Control-Allow-Origin").is_some(), "other origins cannot read it");
    }
    Ok(())
}

/// What a player gets whose offer cannot be answered; ends the check if that is no counter-offer.
async fn counter_offer(ctx: &Ctx) -> Result<(Answer, Session), Stop> {
    let url = ctx.endpoint().await?;
    let offer = Offer::play().video(&[H265]);
    let answer = ctx.send(ctx.request("POST", &url).body(SDP, offer.text())).await?;
    if answer.status != 406 {
        return skip(format!("no counter-offers here: {}", answer.brief()));
    }
    let location =
        answer.header("Location").ok_or_else(|| Stop::Fail("the 406 has no Location".to_owned()))?;
    let session = Session {
        url: url.join(location).map_err(|_| Stop::Fail(format!("Location is no URL: {location}")))?,
        etag: answer.header("ETag").unwrap_or_default().to_owned(),
        key: ctx.key().map(str::to_owned),
        sdp: Sdp::read(&answer.text()),
        answer: answer.clone(),
        ufrag: offer.ufrag.clone(),
        pwd: offer.pwd,
    };
    Ok((answer, session))
}

pub(super) async fn whep_13_counter_offer(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let offer = Offer::play().video(&[H265]).text();
    let answer = ctx.send(ctx.request("POST", &url).body(SDP, &offer)).await?;
    if answer.status == 422 {
        return Ok(());
    }
    let (answer, session) = counter_offer(&ctx).await?;
    let kind = answer.header("Content-Type").unwrap_or("none");
    want!(kind.split(';').next() == Some(SDP), "the 406 has the type {kind}");
    want!(ctx.lives(&session).await?, "the pending session cannot be read");
    Ok(())
}

pub(super) async fn whep_14_proper_offer(ctx: Arc<Ctx>) -> Outcome {
    let (_, session) = counter_offer(&ctx).await?;
    let sdp = &session.sdp;
    want!(sdp.all("group").any(|group| group.starts_with("BUNDLE")), "the offer is not bundled");
    for media in &sdp.media {
        want!(media.proto == "UDP/TLS/RTP/SAVPF", "{} is offered over {}", media.kind, media.proto);
        for name in ["rtcp-mux", "sendonly", "msid", "mid"] {
            want!(media.has(name), "{} of the offer has no {name}", media.kind);
        }
    }
    want!(sdp.first("setup") == Some("actpass"), "the offer's setup is {:?}", sdp.first("setup"));
    want!(!sdp.udp_candidates().is_empty(), "the offer has no candidates");
    Ok(())
}

pub(super) async fn whep_15_expiry(ctx: Arc<Ctx>) -> Outcome {
    let (answer, session) = counter_offer(&ctx).await?;
    let until = answer.header("Content-Type").filter(|kind| kind.contains("valid-until"));
    let patience = if until.is_some() { 90 } else { 45 };
    let begun = Instant::now();
    while ctx.lives(&session).await? {
        want!(
            begun.elapsed() < Duration::from_secs(patience),
            "the pending session is there after {patience} s"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

pub(super) async fn whep_16_answer_by_patch(ctx: Arc<Ctx>) -> Outcome {
    let running = ctx.open().await?;
    let patch = |session: &Session, body: &str| ctx.request("PATCH", &session.url).body(SDP, body);
    let answer = ctx.send(patch(&running, &Offer::publish().text())).await?;
    want_status!(answer, 409 | 415 | 422, "an answer to a session that is not pending");
    let (_, session) = counter_offer(&ctx).await?;
    want_status!(ctx.send(patch(&session, "hello")).await?, 400, "an answer that cannot be read");
    let mut player = Player::answering(Instant::now(), &[([127, 0, 0, 1], 9).into()], &session.answer.text())
        .map_err(|fault| Stop::Fail(format!("another stack cannot take the offer: {fault}")))?;
    want_status!(ctx.send(patch(&session, player.sdp())).await?, 204, "an answer to the counter-offer");
    player.close(Instant::now());
    Ok(())
}

pub(super) async fn whep_17_first_picture(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, _) = Wire::<Player>::live(&ctx, &ctx.endpoint().await?).await?;
    let joined = Instant::now();
    let video = |wire: &Wire<Player>| {
        wire.machine
            .tracks(joined, Instant::now())
            .into_iter()
            .find(|track| track.kind == MediaKind::Video.name())
    };
    let seen = wire.run(SOON, |wire| video(wire).is_some_and(|track| track.frames >= 10)).await;
    want!(seen, "no picture comes");
    let track = video(&wire).ok_or_else(|| Stop::Fail("no picture comes".to_owned()))?;
    want!(track.keyframes > 0, "{} frames come and no keyframe", track.frames);
    let is_whole = track.lost > 0 || track.frames_decodable + 1 >= track.frames;
    want!(is_whole, "{} frames come before the first keyframe", track.frames - track.frames_decodable);
    Ok(())
}

pub(super) async fn whep_18_grace(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    let (whip, whep) = (ctx.whip(&ctx.name)?, ctx.whep(&ctx.name)?);
    let first: DropGuard = publish(&ctx, &whip).drop_guard();
    until_on_air(&ctx, &whep).await?;
    let (mut wire, session) = Wire::<Player>::live(&ctx, &whep).await?;
    want!(wire.receives(30).await, "no media comes from the first publisher");
    drop(first);
    // Until nothing has come for a moment.
    let gone = async {
        loop {
            let before = wire.media;
            wire.run(Duration::from_millis(400), |_| false).await;
            if wire.media <= before + 2 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(SOON, gone).await;
    let _second = publish(&ctx, &whip).drop_guard();
    want!(wire.receives(30).await, "no media comes from the second publisher");
    want!(wire.machine.ending().is_none(), "the viewer's session ended");
    want!(ctx.lives(&session).await?, "the viewer's session is gone");
    Ok(())
}

pub(super) async fn whep_19_session(ctx: Arc<Ctx>) -> Outcome {
    // All rows of sessions run on WHEP too; this is what they have in common.
    let session = ctx.open().await?;
    want_status!(ctx.patch(&session, Some(&session.etag), &session.trickle()).await?, 204, "a trickle");
    want_status!(ctx.patch(&session, None, &session.trickle()).await?, 428, "a trickle without tag");
    want_status!(ctx.delete(&session).await?, 200, "DELETE");
    want!(!ctx.lives(&session).await?, "the session is there after DELETE");
    Ok(())
}

pub(super) async fn whep_20_no_renegotiation(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let request = ctx.request("PATCH", &session.url).header("If-Match", &session.etag);
    let answer = ctx.send(request.body(SDP, Offer::play().text())).await?;
    want_status!(answer, 400..=499, "a new offer by PATCH");
    want!(ctx.lives(&session).await?, "the session is gone");
    Ok(())
}
