//! WHEP's extensions: events and layers. Where a server has none, there is nothing to see.

use crate::answer::{Answer, Extension, extension};
use crate::ctx::{Ctx, Door, Session};
use crate::http::{PATIENCE, Stream};
use crate::sse::{Block, Feed};
use crate::stage::{publish, until_on_air};
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use crate::wire::{SOON, Wire};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use url::Url;
use wtn_client::Player;

const EVENTS: &str = "urn:ietf:params:whep:ext:core:server-sent-events";
const LAYER: &str = "urn:ietf:params:whep:ext:core:layer";
const JSON: &str = "application/json";
/// A publisher's going is told as soon as it is noticed, which may take a server a while.
const NOTICED: std::time::Duration = std::time::Duration::from_secs(60);

/// The extension of that name, if the 201 announces it.
fn announced(session: &Session, relation: &str) -> Result<Option<(Url, Vec<String>)>, Stop> {
    // Several may stand in one line.
    let links = session.answer.all("Link").flat_map(|line| line.split(", <"));
    for link in links.filter(|link| link.contains(relation)) {
        let link = format!("<{}", link.trim_start_matches('<'));
        let found = extension(&link).map_err(|fault| Stop::Fail(format!("Link: {link} has {fault}")))?;
        if let Some(Extension { url, relation: found, events }) = found
            && found == relation
        {
            let url = session.url.join(&url).map_err(|_| Stop::Fail(format!("Link: {url} is no URL")))?;
            return Ok(Some((url, events)));
        }
    }
    Ok(None)
}

fn events_of(session: &Session) -> Result<(Url, Vec<String>), Stop> {
    announced(session, EVENTS)?.map_or_else(|| skip("no events are announced here"), Ok)
}

fn layer_of(session: &Session) -> Result<Url, Stop> {
    announced(session, LAYER)?
        .map_or_else(|| skip("no choice of layers is announced here"), |(url, _)| Ok(url))
}

async fn ask(ctx: &Ctx, url: &Url, key: Option<&str>, body: &str) -> Result<Answer, Stop> {
    let request = ctx.request_as("POST", url, key);
    ctx.send(if body.is_empty() { request } else { request.body(JSON, body) }).await
}

/// An event stream of those types; ends the check if the server has not all of them.
async fn subscribe(ctx: &Ctx, session: &Session, types: &[&str]) -> Result<Url, Stop> {
    let (url, offered) = events_of(session)?;
    let is_offered = |kind: &&str| offered.iter().any(|each| each == kind);
    if !types.iter().all(is_offered) {
        return skip(format!("of {types:?} only {offered:?} are announced"));
    }
    let body = serde_json::to_string(types).unwrap_or_default();
    let made = ask(ctx, &url, session.key.as_deref(), &body).await?;
    want_status!(made, 201, format!("POST of {body}"));
    let location = made.header("Location").unwrap_or_default();
    want!(!location.is_empty(), "the 201 has no Location");
    url.join(location).map_err(|_| Stop::Fail(format!("Location is no URL: {location}")))
}

/// Somebody who reads events, without a key, as browsers do.
struct Source {
    stream: Box<dyn Stream>,
    feed: Feed,
    types: Vec<String>,
}

impl Source {
    async fn open(ctx: &Ctx, url: &Url, types: &[&str]) -> Result<Self, Stop> {
        let mut stream = ctx.target.connector.open(url).await?;
        let request = ctx.request_as("GET", url, None).header("Accept", "text/event-stream");
        // A connection that is to be closed after the answer goes on as long as any other.
        stream.write_all(&request.bytes()).await?;
        let mut bytes = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            let read = timeout_at(deadline, stream.read_buf(&mut bytes)).await;
            want!(matches!(read, Ok(Ok(1..))), "GET on an event stream is not answered");
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap_or_default();
        want!(status == "200", "GET on an event stream: {status}");
        let line =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("none").trim();
        let kind = line("content-type:");
        want!(kind.starts_with("text/event-stream"), "an event stream has the type {kind}");
        let mut feed = Feed::new(line("transfer-encoding:").contains("chunked"));
        feed.push(&bytes[end + 4..]);
        Ok(Self { stream, feed, types: types.iter().map(|kind| (*kind).to_owned()).collect() })
    }

    /// The next event; `None` if the stream ends before. Ends the check if nothing comes within that time.
    async fn next(&mut self, within: std::time::Duration, what: &str) -> Result<Option<Block>, Stop> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(block) = self.feed.next() {
                let Block { name, data } = &block;
                want!(self.types.contains(name), "an event {name:?} comes, which nobody asked for");
                want!(data.len() == 1, "{name} has {} data lines", data.len());
                return Ok(Some(block));
            }
            if self.feed.is_over {
                return Ok(None);
            }
            let mut bytes = [0; 4096];
            match timeout_at(deadline, self.stream.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => self.feed.is_over = true,
                Ok(Ok(len)) => self.feed.push(&bytes[..len]),
                Err(_) => return Err(Stop::Fail(format!("{what}: nothing is told within {within:?}"))),
            }
        }
    }

    /// Until that event comes; its data.
    async fn hears(&mut self, name: &str, within: std::time::Duration) -> Result<serde_json::Value, Stop> {
        loop {
            let Some(block) = self.next(within, name).await? else {
                return Err(Stop::Fail(format!("the event stream ends before {name}")));
            };
            if block.name == name {
                return serde_json::from_str(&block.data[0])
                    .map_err(|_| Stop::Fail(format!("the data of {name} is no JSON: {}", block.data[0])));
            }
        }
    }
}

/// A viewer that gets media, and its session.
async fn viewer(ctx: &Ctx, url: &Url) -> Result<(Wire<Player>, Session), Stop> {
    let (mut wire, session) = Wire::<Player>::live(ctx, url).await?;
    want!(wire.receives(10).await, "no media comes");
    Ok((wire, session))
}

pub(super) async fn whep_21_link(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (_, types) = events_of(&session)?;
    want!(types.iter().any(|kind| !kind.is_empty()), "the Link has no list of events");
    Ok(())
}

pub(super) async fn whep_22_made(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (url, types) = events_of(&session)?;
    let kind = types.first().cloned().unwrap_or_default();
    let key = session.key.as_deref();
    let unknown = ask(&ctx, &url, key, &format!("[\"{kind}\",\"no-such-event\"]")).await?;
    want_status!(unknown, 400, "POST with an unknown type");
    want!(unknown.header("Location").is_none(), "an event stream is made all the same");
    for body in [format!("[\"{kind}\"]"), String::new()] {
        let made = ask(&ctx, &url, key, &body).await?;
        want_status!(made, 201, format!("POST of {body:?}"));
        want!(made.header("Location").is_some(), "the 201 has no Location");
    }
    Ok(())
}

pub(super) async fn whep_23_stream(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (_, offered) = events_of(&session)?;
    let kind = ["viewercount", "active"].into_iter().find(|kind| offered.iter().any(|each| each == kind));
    let Some(kind) = kind else { return skip("neither viewercount nor active are announced") };
    let url = subscribe(&ctx, &session, &[kind]).await?;
    let mut source = Source::open(&ctx, &url, &[kind]).await?;
    source.hears(kind, SOON).await?;
    Ok(())
}

pub(super) async fn whep_24_publisher(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    let (whip, whep) = (ctx.whip(&ctx.name)?, ctx.whep(&ctx.name)?);
    let first = publish(&ctx, &whip).drop_guard();
    until_on_air(&ctx, &whep).await?;
    let (mut wire, session) = viewer(&ctx, &whep).await?;
    let types = ["active", "inactive"];
    let url = subscribe(&ctx, &session, &types).await?;
    let mut source = Source::open(&ctx, &url, &types).await?;
    drop(first);
    let told = async {
        let gone = source.hears("inactive", NOTICED).await?;
        want!(gone.is_object(), "the data of inactive is {gone}");
        let _second = publish(&ctx, &whip).drop_guard();
        let back = source.hears("active", NOTICED).await?;
        want!(back.is_object(), "the data of active is {back}");
        Ok(())
    };
    // The viewer has to answer for as long as it takes.
    tokio::select! {
        outcome = told => outcome,
        _ = wire.run(NOTICED * 3, |_| false) => skip("the viewer's session took too long"),
    }
}

pub(super) async fn whep_25_viewers(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let (mut wire, session) = viewer(&ctx, &url).await?;
    let stream = subscribe(&ctx, &session, &["viewercount"]).await?;
    let mut source = Source::open(&ctx, &stream, &["viewercount"]).await?;
    let second = Ctx::new(&ctx.target, Door::Whep, "second");
    let counted = async {
        let (mut other, _) = viewer(&second, &url).await?;
        let count = async {
            loop {
                let data = source.hears("viewercount", SOON).await?;
                let Some(count) = data.get("viewercount").and_then(serde_json::Value::as_u64) else {
                    return Err(Stop::Fail(format!("the data of viewercount is {data}")));
                };
                if count >= 2 {
                    return Ok(());
                }
            }
        };
        tokio::select! {
            outcome = count => outcome,
            _ = other.run(SOON * 3, |_| false) => skip("the second viewer took too long"),
        }
    };
    let outcome = tokio::select! {
        outcome = counted => outcome,
        _ = wire.run(SOON * 5, |_| false) => skip("the viewers' sessions took too long"),
    };
    second.clean_up().await;
    outcome
}

pub(super) async fn whep_26_ends(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let (_, offered) = events_of(&session)?;
    let types: Vec<&str> = offered.iter().map(String::as_str).collect();
    for by_session in [false, true] {
        let url = subscribe(&ctx, &session, &types).await?;
        let mut source = Source::open(&ctx, &url, &types).await?;
        if by_session {
            want_status!(ctx.delete(&session).await?, 200..=299, "DELETE of the session");
        } else {
            let gone = ctx.send(ctx.request_as("DELETE", &url, session.key.as_deref())).await?;
            want_status!(gone, 200..=299, "DELETE of the event stream");
        }
        while source.next(SOON, "the end of an event stream").await?.is_some() {}
        want_status!(ctx.send(ctx.request_as("GET", &url, None)).await?, 404, "GET on what has ended");
    }
    Ok(())
}

pub(super) async fn whep_27_both_links(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let tells =
        announced(&session, EVENTS)?.is_some_and(|(_, types)| types.iter().any(|kind| kind == "layers"));
    match announced(&session, LAYER)? {
        Some(_) => want!(tells, "layers may be chosen, and no event tells of them"),
        None => want!(!tells, "events tell of layers, and none may be chosen"),
    }
    Ok(())
}

pub(super) async fn whep_28_layers(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let url = subscribe(&ctx, &session, &["layers"]).await?;
    let mut source = Source::open(&ctx, &url, &["layers"]).await?;
    let data = match source.hears("layers", SOON / 4).await {
        Err(Stop::Fail(why)) if why.contains("nothing is told") => {
            return skip("the stream on air has one layer only, of which nothing is told");
        }
        data => data?,
    };
    let sections = data.as_object().filter(|sections| !sections.is_empty());
    let Some(sections) = sections else { return Err(Stop::Fail(format!("the data of layers is {data}"))) };
    for (index, layers) in sections {
        want!(index.parse::<u8>().is_ok(), "{index:?} is not the number of an m= line");
        for layer in layers.as_array().into_iter().flatten() {
            let has = |name: &str| layer.get(name).is_some();
            want!(
                has("rid") || has("spatialLayerId") || has("temporalLayerId"),
                "{layer} has neither rid nor number"
            );
            want!(!has("heigth"), "{layer} has a height that is spelt wrong");
        }
    }
    Ok(())
}

pub(super) async fn whep_29_choice(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let url = layer_of(&session)?;
    let key = session.key.as_deref();
    let accepted = |media: &crate::sdp::Media| media.kind == "video";
    let index = session.sdp.media.iter().position(accepted).unwrap_or_default();
    let automatic = format!("{{\"mediaId\":\"{index}\"}}");
    want_status!(ask(&ctx, &url, key, &automatic).await?, 200, "POST with only the mediaId");
    let unknown = format!("{{\"mediaId\":\"{index}\",\"rid\":\"no-such-rid\"}}");
    want_status!(ask(&ctx, &url, key, &unknown).await?, 400..=499, "POST with an unknown rid");
    want_status!(ask(&ctx, &url, key, "{\"mediaId\":").await?, 400..=499, "POST of what is no JSON");
    Ok(())
}

pub(super) async fn ext_04_rights(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let events = announced(&session, EVENTS)?.map(|(url, _)| url);
    let layer = announced(&session, LAYER)?.map(|(url, _)| url);
    let urls: Vec<_> = [events, layer].into_iter().flatten().collect();
    if urls.is_empty() {
        return skip("no extensions are announced here");
    }
    if session.key.is_some() {
        for url in &urls {
            let answer = ask(&ctx, url, Some("certainly-not-the-key"), "[]").await?;
            want_status!(answer, 401 | 403 | 404, "an extension with a wrong key");
        }
    }
    want_status!(ctx.delete(&session).await?, 200..=299, "DELETE");
    for url in &urls {
        want_status!(ask(&ctx, url, session.key.as_deref(), "[]").await?, 404, "an extension after DELETE");
    }
    Ok(())
}
