//! Load balancing, extensions, and what strains a server.

use crate::ctx::{Ctx, Door, FRAGMENT, SDP, Session};
use crate::sdp::{Offer, Sdp};
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use crate::wire::Wire;
use std::sync::Arc;
use tokio::task::JoinSet;
use wtn_client::Player;

/// Enough to find a bound on sessions that never connect.
const FLOOD: usize = 300;

/// Posts that never connect, ten at a time: how many were refused, and whether each said when to come back.
async fn flood(ctx: &Arc<Ctx>) -> Result<usize, Stop> {
    let url = ctx.whip(&ctx.name)?;
    let mut refused = 0;
    for _ in 0..FLOOD / 10 {
        let mut running = JoinSet::new();
        for _ in 0..10 {
            let (ctx, url) = (Arc::clone(ctx), url.clone());
            running.spawn(async move {
                ctx.send(ctx.request("POST", &url).body(SDP, Offer::publish().text())).await
            });
        }
        while let Some(Ok(answer)) = running.join_next().await {
            let answer = answer?;
            want_status!(answer, 201 | 429 | 503 | 409, "a POST among many");
            if answer.status != 201 {
                refused += 1;
                let after = answer.header("Retry-After").unwrap_or("none");
                want!(after.parse::<u32>().is_ok(), "the {} has Retry-After {after}", answer.status);
            }
        }
    }
    Ok(refused)
}

pub(super) async fn http_14_flood(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    let refused = flood(&ctx).await?;
    want!(refused > 0, "{FLOOD} POSTs that never connect are all taken");
    let other = ctx.whip(&ctx.fresh())?;
    let answer = ctx.send(ctx.request("POST", &other).body(SDP, Offer::publish().text())).await?;
    want_status!(answer, 201, "another stream meanwhile");
    Ok(())
}

pub(super) async fn lb_05_overload(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    let viewer = Ctx::new(&ctx.target, Door::Whep, "lb-05");
    let (mut wire, session) = Wire::<Player>::live(&viewer, &viewer.endpoint().await?).await?;
    let refused = flood(&ctx).await?;
    want!(refused > 0, "{FLOOD} POSTs that never connect are all taken");
    let unharmed = wire.receives(20).await && viewer.lives(&session).await?;
    viewer.clean_up().await;
    want!(unharmed, "a running session was harmed");
    Ok(())
}

pub(super) async fn lb_01_redirect(ctx: Arc<Ctx>) -> Outcome {
    let Some(url) = ctx.target.options.redirect.clone() else {
        return skip("needs --redirect");
    };
    let answer = ctx.send(ctx.request("POST", &url).body(SDP, Offer::publish().text())).await?;
    want_status!(answer, 307 | 308, "POST to an endpoint that redirects");
    let location = answer.header("Location").unwrap_or_default();
    let is_whole = location.starts_with("http://") || location.starts_with("https://");
    want!(is_whole, "the {} has Location {location:?}", answer.status);
    Ok(())
}

pub(super) async fn lb_03_whole_urls(ctx: Arc<Ctx>) -> Outcome {
    let Some(url) = ctx.target.options.redirect.clone() else {
        return skip("needs --redirect");
    };
    let session = ctx.open_at(&url, &Offer::publish().text(), ctx.key()).await?;
    let location = session.answer.header("Location").unwrap_or_default();
    let is_whole = location.starts_with("http://") || location.starts_with("https://");
    want!(is_whole, "after a redirect the Location is {location}");
    Ok(())
}

pub(super) async fn lb_04_no_redirects(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let patch = ctx.request("PATCH", &session.url).header("If-Match", &session.etag);
    for (what, request) in [
        ("GET", ctx.request("GET", &session.url)),
        ("PATCH", patch.body(FRAGMENT, session.trickle())),
        ("DELETE", ctx.request("DELETE", &session.url)),
    ] {
        want_status!(ctx.send(request).await?, 200..=299, format!("{what} on the session"));
    }
    Ok(())
}

/// What each Link of a 201 is for.
fn relations(session: &Session) -> Vec<String> {
    let links = session.answer.all("Link");
    let rel = |link: &str| {
        let (_, rest) = link.split_once("rel=")?;
        Some(rest.trim_start_matches('"').split(['"', ';']).next()?.to_owned())
    };
    links.filter_map(rel).collect()
}

pub(super) async fn ext_01_links(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let own = if ctx.door == Door::Whip { "urn:ietf:params:whip:ext:" } else { "urn:ietf:params:whep:ext:" };
    for relation in relations(&session) {
        let is_extension = relation.starts_with("urn:ietf:params:");
        want!(!is_extension || relation.starts_with(own), "the 201 announces {relation}");
    }
    Ok(())
}

pub(super) async fn ext_02_without(ctx: Arc<Ctx>) -> Outcome {
    // The client behind it knows no extension.
    let (mut wire, session) = Wire::<Player>::live(&ctx, &ctx.endpoint().await?).await?;
    want!(wire.receives(30).await, "no media comes");
    want!(Sdp::read(&session.answer.text()).accepted().count() == 2, "not everything is accepted");
    Ok(())
}

pub(super) async fn ext_03_names(ctx: Arc<Ctx>) -> Outcome {
    // Registered for WHIP: nothing. For WHEP the draft names two.
    let known = ["urn:ietf:params:whep:ext:core:server-sent-events", "urn:ietf:params:whep:ext:core:layer"];
    let session = ctx.open().await?;
    for relation in relations(&session) {
        let is_private = !relation.starts_with("urn:ietf:params:");
        want!(is_private || known.contains(&&*relation), "{relation} is not registered");
    }
    Ok(())
}
