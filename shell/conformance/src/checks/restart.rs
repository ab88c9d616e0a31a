//! ICE restarts (RFC 9725 §4.3.3).

use super::live::TRIES;
use crate::answer::Answer;
use crate::ctx::{Ctx, Door, FRAGMENT, Session, fragment};
use crate::sdp::{Sdp, token};
use crate::stun::SUCCESS;
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use crate::wire::{Bare, Wire, credentials};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;
use wtn_client::{Machine as _, Player, Publisher};

const GOOD: &str = "a=candidate:1 1 udp 2130706431 192.0.2.9 40000 typ host\r\n";

/// A restart, and what it changes: the new session as it is from then on.
async fn restart(ctx: &Ctx, session: &Session, tag: &str) -> Result<(Session, Answer), Stop> {
    let (ufrag, pwd) = (token(8), token(24));
    let answer = ctx.patch(session, Some(tag), &fragment(&ufrag, &pwd, GOOD)).await?;
    if matches!(answer.status, 422 | 501 | 405) {
        return skip(format!("no ICE restart here: {}", answer.brief()));
    }
    want_status!(answer, 200, "an ICE restart");
    let etag = answer.header("ETag").unwrap_or_default().to_owned();
    Ok((Session { etag, ufrag, pwd, ..session.clone() }, answer))
}

pub(super) async fn sess_15_restart(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (after, answer) = restart(&ctx, &session, "*").await?;
    let kind = answer.header("Content-Type").unwrap_or("none");
    want!(kind == FRAGMENT, "the restart's reply has the type {kind}");
    want!(!after.etag.is_empty() && after.etag != session.etag, "the restart's ETag is {:?}", after.etag);
    let trickle = ctx.patch(&after, Some(&after.etag), &after.trickle()).await?;
    want_status!(trickle, 204, "a trickle with the new tag and credentials");
    Ok(())
}

pub(super) async fn sess_16_reply(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (_, answer) = restart(&ctx, &session, "*").await?;
    let text = answer.text();
    let reply = Sdp::read(&text);
    want!(text.matches('\n').count() == text.matches("\r\n").count(), "some lines end with a bare line feed");
    let (ufrag, pwd) = credentials(&text);
    // Ice-chars carry 6 bits at most, hexadecimal ones 4.
    want!(
        ufrag.len() >= 4 && pwd.len() >= 22,
        "weak credentials: {} and {} characters",
        ufrag.len(),
        pwd.len()
    );
    let first = |name| session.sdp.first(name).unwrap_or_default();
    want!(
        ufrag != first("ice-ufrag") && pwd != first("ice-pwd"),
        "the server's credentials are the old ones"
    );
    want!(reply.media.len() == 1, "the reply has {} m= lines", reply.media.len());
    let mid = reply.media[0].first("mid");
    want!(
        mid == session.sdp.accepted().next().and_then(|media| media.first("mid")),
        "the reply's mid is {mid:?}"
    );
    let lite = |sdp: &Sdp| sdp.lines().any(|line| line == "a=ice-lite");
    want!(lite(&reply) == lite(&session.sdp), "ice-lite is {} now", lite(&reply));
    let options = |sdp: &Sdp| {
        let line = sdp.lines().find_map(|line| line.strip_prefix("a=ice-options:"));
        line.map(|line| line.split(' ').map(str::to_owned).collect::<BTreeSet<_>>())
    };
    want!(options(&reply) == options(&session.sdp), "ice-options are {:?} now", options(&reply));
    let [before, after] = [session.sdp.udp_candidates(), reply.udp_candidates()];
    want!(before == after, "candidates were {before:?} and are {after:?}");
    Ok(())
}

pub(super) async fn sess_17_old_ones(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (after, answer) = restart(&ctx, &session, "*").await?;
    let old = ctx.patch(&after, Some(&session.etag), &after.trickle()).await?;
    want_status!(old, 412, "PATCH with the tag from before the restart");
    let mut bare = Bare::towards(&after).await?;
    let stale = bare.check().bytes().0;
    (bare.ufrag, bare.pwd) = credentials(&answer.text());
    let fresh = bare.ask(&bare.check(), TRIES).await?;
    want!(
        fresh.is_some_and(|fresh| fresh.kind == SUCCESS && fresh.signed),
        "the new credentials open nothing"
    );
    // From an address that had no part in it: the old credentials are over once the new ones are in use.
    let stranger = crate::wire::socket_towards(bare.server).await?;
    stranger.send_to(&stale, bare.server).await?;
    let mut buffer = [0; 1500];
    let heard = tokio::time::timeout(crate::wire::SILENCE, stranger.recv_from(&mut buffer)).await;
    let is_success = matches!(heard, Ok(Ok((len, _))) if len > 2 && buffer[..2] == SUCCESS.to_be_bytes());
    want!(!is_success, "the old credentials still open");
    Ok(())
}

pub(super) async fn sess_18_media_goes_on(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    let (whip, whep) = (ctx.whip(&ctx.name)?, ctx.whep(&ctx.name)?);
    let (mut publisher, session) = Wire::<Publisher>::live(&ctx, &whip).await?;
    // The publisher has to go on while the viewer joins.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (changed, change) = tokio::sync::oneshot::channel::<(Vec<u8>, ())>();
    let sending = tokio::spawn(async move {
        let mut change = Some(change);
        let mut stopped = stopped;
        loop {
            publisher.run(std::time::Duration::from_millis(20), |_| false).await;
            if let Some(Ok((check, ()))) = change.as_mut().map(tokio::sync::oneshot::Receiver::try_recv) {
                change = None;
                for _ in 0..3 {
                    let _ = publisher.inject(&check).await;
                }
            }
            if stopped.try_recv() != Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
                return publisher.machine.ending().is_some();
            }
        }
    });
    crate::stage::until_on_air(&Ctx::new(&ctx.target, Door::Whep, "sess-18"), &whep).await?;
    let (mut viewer, _) = Wire::<Player>::live(&ctx, &whep).await?;
    want!(viewer.receives(20).await, "no media comes before the restart");
    let (after, answer) = restart(&ctx, &session, "*").await?;
    let (ufrag, pwd) = credentials(&answer.text());
    let check = crate::stun::Check::nominating(&ufrag, &after.ufrag, &pwd).bytes().0;
    let _ = changed.send((check, ()));
    let ssrcs = viewer.ssrcs.clone();
    want!(viewer.receives(100).await, "no media comes after the restart");
    want!(viewer.ssrcs.is_subset(&ssrcs) || ssrcs.is_empty(), "the viewer's SSRCs changed");
    want!(viewer.machine.ending().is_none(), "the viewer's session ended");
    want!(ctx.lives(&session).await?, "the publisher's session ended");
    let _ = stop.send(());
    let ended = sending.await.unwrap_or(true);
    want!(!ended, "the publisher's DTLS ended");
    Ok(())
}

pub(super) async fn sess_19_failed_restart(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let answer = ctx.patch(&session, Some("*"), &fragment("abc", "short", GOOD)).await?;
    want_status!(answer, 400..=499, "a restart with broken credentials");
    let trickle = ctx.patch(&session, Some(&session.etag), &session.trickle()).await?;
    want_status!(trickle, 204, "a trickle with the old tag after a failed restart");
    let bare = Bare::towards(&session).await?;
    let heard = bare.ask(&bare.check(), TRIES).await?;
    want!(heard.is_some_and(|heard| heard.kind == SUCCESS), "the old credentials open nothing any more");
    Ok(())
}

pub(super) async fn sess_20_tags(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let answer = ctx.patch(&session, None, &fragment(&token(8), &token(24), GOOD)).await?;
    want_status!(answer, 428, "a restart without If-Match");
    restart(&ctx, &session, &session.etag).await.map(|_| ())
}

pub(super) async fn sess_23_overlapping(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    // Says whether restarts are supported at all.
    restart(&ctx, &session, "*").await?;
    let mut running = JoinSet::new();
    for _ in 0..10 {
        let (ctx, session) = (Arc::clone(&ctx), session.clone());
        running.spawn(async move { restart(&ctx, &session, "*").await });
    }
    let mut after = Vec::new();
    while let Some(Ok(done)) = running.join_next().await {
        after.push(done?);
    }
    let tags: BTreeSet<_> = after.iter().map(|(session, _)| &session.etag).collect();
    want!(tags.len() == after.len(), "{} restarts have {} tags", after.len(), tags.len());
    let mut current = Vec::new();
    for (session, answer) in &after {
        if ctx.patch(session, Some(&session.etag), &session.trickle()).await?.status == 204 {
            current.push((session, answer));
        }
    }
    want!(current.len() == 1, "{} of the tags are current", current.len());
    let (session, answer) = current[0];
    let mut bare = Bare::towards(session).await?;
    (bare.ufrag, bare.pwd) = credentials(&answer.text());
    let heard = bare.ask(&bare.check(), TRIES).await?;
    want!(heard.is_some_and(|heard| heard.kind == SUCCESS), "the current reply's credentials open nothing");
    Ok(())
}

pub(super) async fn sess_24_missing_half(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let trickle = ctx.patch(&session, Some(&session.etag), &session.trickle()).await?;
    let restart = ctx.patch(&session, Some("*"), &fragment(&token(8), &token(24), GOOD)).await?;
    match (trickle.status, restart.status) {
        (204, 200) | (204, 422) | (422, 200) => Ok(()),
        (405, 405) => {
            want!(!trickle.lists("Allow", "PATCH"), "PATCH is not taken, and Allow lists it");
            Ok(())
        }
        (trickle, restart) => Err(Stop::Fail(format!("a trickle gets {trickle}, a restart {restart}"))),
    }
}
