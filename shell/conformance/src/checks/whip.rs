//! The WHIP endpoint.

use crate::ctx::{Ctx, Door};
use crate::sdp::{Offer, VP8, without};
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use crate::wire::{SOON, Wire};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_client::{Machine as _, Publisher};

/// The buffer in which FFmpeg takes the whole answer.
const ANSWER_LEN_MAX: usize = 8 * 1024;
/// When consent would expire (RFC 7675 §5.1), and room for a slow machine.
const VANISHED_WITHIN: Duration = Duration::from_secs(40);

pub(super) async fn whip_01_created(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want!(session.sdp.media.len() == 2, "the answer has {} sections for 2", session.sdp.media.len());
    Ok(())
}

pub(super) async fn whip_02_type(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let kind = session.answer.header("Content-Type").unwrap_or("none");
    want!(kind == "application/sdp", "the answer's type is {kind}");
    Ok(())
}

pub(super) async fn whip_03_location(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let count = session.answer.all("Location").count();
    want!(count == 1, "{count} Location headers");
    want!(ctx.lives(&session).await?, "GET on the Location does not succeed");
    want_status!(ctx.delete(&session).await?, 200, "DELETE on the Location");
    Ok(())
}

pub(super) async fn whip_04_path(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let location = session.answer.header("Location").unwrap_or_default();
    let is_url = location.starts_with("https://") || location.starts_with("http://");
    want!(
        location.starts_with('/') || is_url,
        "Location is {location}, neither a path from the root nor a URL"
    );
    want!(is_url || !location.contains('?'), "Location has a query");
    Ok(())
}

pub(super) async fn whip_05_unguessable(ctx: Arc<Ctx>) -> Outcome {
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..16 {
        let session = ctx.open().await?;
        ctx.delete(&session).await?;
        seen.push(
            session
                .url
                .path_segments()
                .and_then(|mut parts| parts.next_back())
                .unwrap_or_default()
                .to_owned(),
        );
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    want!(distinct.len() == seen.len(), "session URLs repeat");
    want!(
        seen.iter().all(|secret| !secret.contains(&ctx.name)),
        "session URLs are made of the stream's name"
    );
    // 128 bits are 22 letters of base64; what all have in common is no secret.
    let shortest = seen.iter().map(String::len).min().unwrap_or_default();
    let varies =
        (0..shortest).filter(|at| seen.iter().any(|each| each.as_bytes()[*at] != seen[0].as_bytes()[*at]));
    let varies = varies.count();
    want!(varies >= 22, "only {varies} characters of the session URL vary");
    Ok(())
}

pub(super) async fn whip_06_entity_tag(ctx: Arc<Ctx>) -> Outcome {
    let [one, other] = [ctx.open().await?, ctx.open().await?];
    for tag in [&one.etag, &other.etag] {
        let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        want!(!inner.is_empty() && inner.bytes().all(is_plain), "the ETag is {tag:?}");
    }
    want!(one.etag != other.etag, "two sessions have the ETag {}", one.etag);
    Ok(())
}

pub(super) async fn whip_07_lines(ctx: Arc<Ctx>) -> Outcome {
    let mut offer = Offer::publish().text();
    for at in 1..=8 {
        offer +=
            &format!("a=candidate:{at} 1 udp 2122260223 192.0.2.{at} 5000{at} typ host generation 0\r\n");
    }
    let session = ctx.open_at(&ctx.whip(&ctx.name)?, &offer, ctx.key()).await?;
    let text = session.answer.text();
    want!(text.starts_with("v=0\r\n"), "the answer begins with {:?}", text.lines().next());
    want!(text.ends_with("\r\n"), "the last line does not end");
    want!(text.matches('\n').count() == text.matches("\r\n").count(), "some lines end with a bare line feed");
    want!(text.len() < ANSWER_LEN_MAX, "the answer has {} bytes", text.len());
    Ok(())
}

pub(super) async fn whip_08_length(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let answer = &session.answer;
    want!(answer.chunked || answer.header("Content-Length").is_some(), "the 201 has no Content-Length");
    want!(answer.surplus.is_empty(), "{} bytes follow the answer", answer.surplus.len());
    let count = answer.all("Content-Length").count();
    want!(count <= 1, "{count} Content-Length headers");
    Ok(())
}

pub(super) async fn whip_09_broken_offers(ctx: Arc<Ctx>) -> Outcome {
    let offer = Offer::publish().text();
    let broken = [
        String::new(),
        without(&offer, "v="),
        offer.replace("m=audio 9", "m=audio x"),
        offer.replace("m=video 9 UDP/TLS/RTP/SAVPF", "m=video"),
        format!("v=0\r\n{}", "a=x\r\n".repeat(10_000)),
        "\u{0}\u{1}\u{2}".to_owned(),
        offer.replace("s=-", "garbage"),
    ];
    for body in broken {
        let answer = ctx.try_offer(&body).await?;
        let short: String = body.chars().take(30).collect();
        want_status!(answer, 400..=499, format!("the broken offer {short:?}"));
    }
    // Cut anywhere: what is left may be an offer, but never a reason to break.
    for part in 1..24 {
        let cut: String = offer.chars().take(offer.len() * part / 24).collect();
        want_status!(
            ctx.try_offer(&cut).await?,
            201 | 400..=499,
            format!("an offer cut after {} bytes", cut.len())
        );
    }
    want_status!(ctx.try_offer(&offer).await?, 201, "the whole offer after the broken ones");
    Ok(())
}

pub(super) async fn whip_10_too_many(ctx: Arc<Ctx>) -> Outcome {
    let offer = Offer::publish().text();
    let streams = offer.replace("a=msid:stream track-1", "a=msid:another track-1");
    want_status!(ctx.try_offer(&streams).await?, 400 | 422, "an offer of two MediaStreams");
    let video = offer.find("m=video").map(|at| offer[at..].replace("a=mid:1", "a=mid:2")).unwrap_or_default();
    let two = format!("{offer}{}", video.replace("track-1", "track-2")).replace("BUNDLE 0 1", "BUNDLE 0 1 2");
    want_status!(ctx.try_offer(&two).await?, 400 | 422, "an offer of two pictures");
    Ok(())
}

pub(super) async fn whip_11_no_half_answers(ctx: Arc<Ctx>) -> Outcome {
    let strange = Offer::publish().video(&[VP8]).text().replace("VP8/90000", "x-strange/90000");
    want_status!(ctx.try_offer(&strange).await?, 400..=499, "good sound and a picture in an unknown codec");
    Ok(())
}

pub(super) async fn whip_12_candidates(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want!(!session.sdp.udp_candidates().is_empty(), "the answer has no UDP candidate");
    let ends = session.sdp.lines().any(|line| line == "a=end-of-candidates");
    want!(ends, "the answer does not say that these are all candidates");
    Ok(())
}

pub(super) async fn whip_13_no_candidates(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let (mut wire, _) = Wire::<Publisher>::post(&ctx, &url, |offer| {
        without(&without(&offer, "a=candidate"), "a=end-of-candidates")
    })
    .await?;
    wire.connect().await
}

pub(super) async fn whip_14_soon(ctx: Arc<Ctx>) -> Outcome {
    let begun = Instant::now();
    ctx.open().await?;
    want!(begun.elapsed() < Duration::from_secs(5), "the answer took {:?}", begun.elapsed());
    Ok(())
}

pub(super) async fn whip_15_second_publisher(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let (mut first, session) = Wire::<Publisher>::live(&ctx, &url).await?;
    let answer = ctx.send(ctx.request("POST", &url).body(crate::ctx::SDP, Offer::publish().text())).await?;
    want_status!(answer, 201 | 409, "POST by a second publisher");
    if answer.status == 409 {
        let after = answer.header("Retry-After").unwrap_or("none");
        want!(after.parse::<u32>().is_ok(), "the 409 has Retry-After {after}");
        want!(ctx.lives(&session).await?, "the first publisher is gone all the same");
        return Ok(());
    }
    let (_second, _) = Wire::<Publisher>::live(&ctx, &url).await?;
    let told = first.run(SOON, |wire| wire.machine.ending().is_some()).await;
    want!(told, "the replaced publisher is not told");
    want!(!ctx.lives(&session).await?, "the replaced session can still be read");
    Ok(())
}

pub(super) async fn whip_16_vanished(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let (gone, _) = Wire::<Publisher>::live(&ctx, &url).await?;
    drop(gone);
    let begun = Instant::now();
    let key = ctx.key_of(Door::Whip);
    loop {
        let answer = ctx
            .send(ctx.request_as("POST", &url, key).body(crate::ctx::SDP, Offer::publish().text()))
            .await?;
        if answer.status == 201 {
            return Ok(());
        }
        want_status!(answer, 409 | 429 | 503, "POST after a publisher that vanished");
        want!(
            begun.elapsed() < VANISHED_WITHIN,
            "after {:?} it is still {}",
            begun.elapsed(),
            answer.brief()
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

pub(super) async fn whip_17_after_a_failure(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let key = ctx.key();
    let bad = ctx
        .send(
            ctx.request_as("POST", &url, key)
                .body(crate::ctx::SDP, without(&Offer::publish().text(), "a=fingerprint")),
        )
        .await?;
    if bad.status == 201 {
        return skip("an offer without fingerprint was taken");
    }
    let good =
        ctx.send(ctx.request_as("POST", &url, key).body(crate::ctx::SDP, Offer::publish().text())).await?;
    want_status!(good, 201, "a good offer right after a bad one");
    let location = good.header("Location").ok_or_else(|| Stop::Fail("no Location".to_owned()))?;
    want!(bad.header("Location").is_none_or(|bad| bad != location), "the failed POST has the same session");
    Ok(())
}
