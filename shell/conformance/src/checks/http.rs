//! HTTP, for endpoints and sessions.

use crate::answer::Answer;
use crate::ctx::{Ctx, Door, FRAGMENT, SDP};
use crate::http::{Request, read};
use crate::verdict::{Outcome, Stop, want, want_status};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use url::Url;

/// A server that waits longer than this for a body holds too much.
const STALL_MAX: Duration = Duration::from_secs(60);

pub(super) async fn http_01_tls(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    want!(url.scheme() == "https" || is_loopback, "{host} is talked to by plain HTTP, tokens and all");
    ctx.get("OPTIONS", &url).await.map(|_| ())
}

pub(super) async fn http_02_media_types(ctx: Arc<Ctx>) -> Outcome {
    for kind in ["Application/SDP; charset=utf-8", "application/sdp;charset=UTF-8"] {
        let url = ctx.endpoint().await?;
        let answer = ctx.send(ctx.request("POST", &url).body(kind, ctx.offer().text())).await?;
        want_status!(answer, 201, format!("POST as {kind}"));
        ctx.clean_up().await;
    }
    let session = ctx.open().await?;
    let request = ctx.request("PATCH", &session.url).header("If-Match", &session.etag);
    let answer =
        ctx.send(request.body("Application/Trickle-ICE-sdpfrag; charset=utf-8", session.trickle())).await?;
    want_status!(answer, 204, "PATCH with parameters at the media type");
    Ok(())
}

pub(super) async fn http_03_wrong_media_types(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let offer = ctx.offer().text();
    for request in [
        ctx.request("POST", &url).body("text/plain", &offer),
        ctx.request("POST", &url).body("application/json", &offer),
        Request { body: offer.clone().into_bytes(), ..ctx.request("POST", &url) },
    ] {
        let kind = request.headers.last().map(|(_, value)| value.clone()).unwrap_or_default();
        let answer = ctx.send(request).await?;
        want_status!(answer, 415, format!("POST as {kind}"));
        want!(answer.lists("Accept-Post", SDP), "the 415 does not name Accept-Post: {SDP}");
    }
    let session = ctx.open().await?;
    let request = ctx.request("PATCH", &session.url).header("If-Match", &session.etag);
    let answer = ctx.send(request.body("application/json", session.trickle())).await?;
    want_status!(answer, 415, "PATCH as application/json");
    want!(answer.lists("Accept-Patch", FRAGMENT), "the 415 does not name Accept-Patch: {FRAGMENT}");
    Ok(())
}

pub(super) async fn http_04_unreadable_or_unacceptable(ctx: Arc<Ctx>) -> Outcome {
    let answer = ctx.try_offer("hello").await?;
    want_status!(answer, 400, "POST of `hello`");
    let strange = ctx.offer().text().replace("opus/48000/2", "x-strange/8000");
    let strange = ["VP8", "H264", "VP9", "AV1"]
        .iter()
        .fold(strange, |sdp, name| sdp.replace(&format!(" {name}/90000"), " x-strange/90000"));
    let answer = ctx.try_offer(&strange).await?;
    want_status!(answer, 422 | 406, "POST of an offer without any known codec");
    Ok(())
}

pub(super) async fn http_05_bounded_bodies(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let mut offer = ctx.offer().text();
    while offer.len() < 60_000 {
        offer += &format!("a=x-padding:{}\r\n", "x".repeat(500));
    }
    let answer = ctx.post(&url, &offer).await?;
    want_status!(answer, 201, "POST of 60 KiB");
    let request = ctx.request("POST", &url).body(SDP, vec![b'a'; 10 * 1024 * 1024]);
    let answer = ctx.send(request).await?;
    want_status!(answer, 413, "POST of 10 MiB");
    Ok(())
}

pub(super) async fn http_06_problem_details(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let session = ctx.open().await?;
    let gone = ctx.open().await?;
    ctx.delete(&gone).await?;
    let offer = ctx.offer().text();
    let mut answers = vec![
        ctx.post(&url, "hello").await?,
        ctx.send(ctx.request("POST", &url).body("text/plain", &offer)).await?,
        ctx.send(ctx.request("PUT", &url).body(SDP, &offer)).await?,
        ctx.patch(&session, None, &session.trickle()).await?,
        ctx.patch(&session, Some("\"no-such-tag\""), &session.trickle()).await?,
        ctx.patch(&gone, Some(&gone.etag), &gone.trickle()).await?,
    ];
    if ctx.key().is_some() {
        answers.push(ctx.post_as(&url, &offer, Some("wrong")).await?);
    }
    for answer in answers {
        is_problem(&answer, ctx.key())?;
    }
    Ok(())
}

fn is_problem(answer: &Answer, key: Option<&str>) -> Outcome {
    let status = answer.status;
    want!((400..500).contains(&status), "an error was to be provoked, and {status} came");
    let kind = answer.header("Content-Type").unwrap_or("none");
    want!(kind.starts_with("application/problem+json"), "the {status} has the type {kind}");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    want!(body["status"] == status, "the {status} says status {}", body["status"]);
    for member in ["type", "title", "detail"] {
        want!(body[member].is_string(), "the {status} has no {member}");
    }
    want!(key.is_none_or(|key| !answer.text().contains(key)), "the {status} shows the key");
    Ok(())
}

pub(super) async fn http_07_get(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    for url in [ctx.endpoint().await?, session.url.clone()] {
        let answer = ctx.get("GET", &url).await?;
        want_status!(answer, 200..=299, "GET");
        want!(answer.body.is_empty(), "GET has a body of {} bytes", answer.body.len());
    }
    Ok(())
}

pub(super) async fn http_08_head(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    for url in [ctx.endpoint().await?, session.url.clone()] {
        let [get, head] = [ctx.get("GET", &url).await?, ctx.get("HEAD", &url).await?];
        want!(get.status == head.status, "GET has {}, HEAD {}", get.status, head.status);
        want!(head.surplus.is_empty(), "HEAD has a body");
        let names = |answer: &Answer| -> BTreeSet<String> {
            let names = answer.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
            names.filter(|name| name != "date" && name != "content-length").collect()
        };
        want!(names(&get) == names(&head), "GET has the headers {:?}, HEAD {:?}", names(&get), names(&head));
    }
    Ok(())
}

pub(super) async fn http_09_allow(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let endpoint = ctx.endpoint().await?;
    for (method, url) in [
        ("PUT", &endpoint),
        ("DELETE", &endpoint),
        ("PATCH", &endpoint),
        ("PUT", &session.url),
        ("POST", &session.url),
    ] {
        let answer = ctx.send(ctx.request(method, url)).await?;
        want_status!(answer, 405, format!("{method} {}", place(url, &endpoint)));
        want!(answer.header("Allow").is_some(), "the 405 of {method} has no Allow");
        want!(!answer.lists("Allow", method), "the 405 of {method} allows it");
        let own = if *url == endpoint { "POST" } else { "DELETE" };
        want!(answer.lists("Allow", own), "the 405 of {method} does not list {own}");
    }
    want!(ctx.lives(&session).await?, "the session is gone");
    Ok(())
}

fn place(url: &Url, endpoint: &Url) -> &'static str {
    if url == endpoint { "on the endpoint" } else { "on the session" }
}

pub(super) async fn http_10_options(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    for request in
        [ctx.request("OPTIONS", &url), ctx.request("OPTIONS", &url).header("Origin", "https://example.org")]
    {
        let answer = ctx.send(request).await?;
        want_status!(answer, 200, "OPTIONS");
        want!(answer.lists("Accept-Post", SDP), "OPTIONS does not name Accept-Post: {SDP}");
    }
    Ok(())
}

pub(super) async fn http_11_accept_patch(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want!(session.answer.lists("Accept-Patch", FRAGMENT), "the 201 does not name Accept-Patch: {FRAGMENT}");
    let answer = ctx.get("OPTIONS", &session.url).await?;
    want!(answer.lists("Accept-Patch", FRAGMENT), "OPTIONS does not name Accept-Patch: {FRAGMENT}");
    Ok(())
}

pub(super) async fn http_12_framing(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let request = Request { chunked: true, ..ctx.request("POST", &url).body(SDP, ctx.offer().text()) };
    let answer = ctx.send(request).await?;
    want_status!(answer, 201, "POST in chunks");
    want!(answer.closed, "the connection stays open after Connection: close");

    let url = ctx.endpoint().await?;
    let request = ctx.request("POST", &url).body(SDP, ctx.offer().text()).header("Expect", "100-continue");
    let mut stream = ctx.target.connector.open(&url).await?;
    let head = format!("{}Content-Length: {}\r\n\r\n", request.head(), request.body.len());
    stream.write_all(head.as_bytes()).await?;
    // What the server says to the head alone: go on.
    let mut first = [0; 512];
    let reading = tokio::io::AsyncReadExt::read(&mut stream, &mut first);
    let len = tokio::time::timeout(Duration::from_secs(10), reading).await;
    let len = len.map_err(|_| Stop::Fail("Expect: 100-continue is not answered".to_owned()))??;
    let said = String::from_utf8_lossy(&first[..len]).into_owned();
    want!(said.starts_with("HTTP/1.1 100"), "to Expect: 100-continue it says {:?}", said.lines().next());
    stream.write_all(&request.body).await?;
    let answer = read(&mut stream, "POST").await?;
    want_status!(answer, 201, "POST after 100");
    // Its session was opened past the list of those to end.
    if let Some(Ok(url)) = answer.header("Location").map(|location| url.join(location)) {
        ctx.send(ctx.request("DELETE", &url)).await?;
    }
    Ok(())
}

pub(super) async fn http_13_contradicting_lengths(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let offer = ctx.offer().text();
    let head = ctx.request("POST", &url).header("Content-Type", SDP).head();
    let len = offer.len();
    for framing in [
        format!("Content-Length: {len}\r\nContent-Length: {}\r\n", len + 5),
        format!("Content-Length: {len}, {}\r\n", len - 5),
        "Content-Length: -1\r\n".to_owned(),
    ] {
        let request = ctx.request("POST", &url);
        let bytes = format!("{head}{framing}\r\n{offer}");
        match ctx.send_bytes(&request, bytes.as_bytes()).await {
            Ok(answer) => {
                want_status!(answer, 400..=499, format!("{:?}", framing.trim()));
                want!(answer.closed, "the connection stays open after {:?}", framing.trim());
            }
            // Closed without a word: refused as well.
            Err(Stop::Fail(_)) => {}
            Err(stop) => return Err(stop),
        }
    }
    // RFC 9112 §6.3 lets a server read the chunks, but it then has to close the connection.
    let bytes = format!(
        "{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{len:x}\r\n{offer}\r\n0\r\n\r\n"
    );
    let request = ctx.request("POST", &url);
    if let Ok(answer) = ctx.send_bytes(&request, bytes.as_bytes()).await {
        want_status!(answer, 201 | 400..=499, "a length beside chunks");
        want!(answer.closed, "the connection stays open after a length beside chunks");
    }
    Ok(())
}

pub(super) async fn http_15_stall(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let request = ctx.request("POST", &url).header("Content-Type", SDP);
    let mut stream = ctx.target.connector.open(&url).await?;
    stream.write_all(format!("{}Content-Length: 5000\r\n\r\nv=0\r\n", request.head()).as_bytes()).await?;
    let mut answer = Vec::new();
    let end =
        tokio::time::timeout(STALL_MAX, tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)).await;
    want!(end.is_ok(), "a body that never comes is waited for longer than {STALL_MAX:?}");
    let text = String::from_utf8_lossy(&answer);
    want!(
        answer.is_empty() || text.starts_with("HTTP/1.1 4"),
        "a body that never comes gets {:?}",
        text.lines().next()
    );
    Ok(())
}

pub(super) async fn http_16_no_store(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let url = ctx.endpoint().await?;
    let answers = [
        ("201", session.answer.clone()),
        ("428", ctx.patch(&session, None, &session.trickle()).await?),
        ("OPTIONS", ctx.get("OPTIONS", &url).await?),
        ("400", ctx.post(&url, "hello").await?),
    ];
    for (what, answer) in answers {
        want!(answer.lists("Cache-Control", "no-store"), "{what} has no Cache-Control: no-store");
    }
    Ok(())
}

pub(super) async fn http_17_odd_names(ctx: Arc<Ctx>) -> Outcome {
    ctx.wants_names()?;
    for door in [Door::Whip, Door::Whep] {
        let url = match door {
            Door::Whip => ctx.whip("NAME")?,
            Door::Whep => match ctx.whep("NAME") {
                Ok(url) => url,
                Err(_) => return Ok(()),
            },
        };
        let request = ctx.request_as("POST", &url, ctx.key_of(door)).header("Content-Type", SDP);
        let long = "x".repeat(4096);
        for name in
            ["a%2F..%2Fb", "%00", "a%0d%0aX-Injected:1", "%ff%fe", "..%2f..%2fetc%2fpasswd", "%", &long]
        {
            let path = url.path().replace("NAME", name);
            let offer = ctx.offer().text();
            let bytes = format!("{}Content-Length: {}\r\n\r\n{offer}", request.head_for(&path), offer.len());
            let answer = ctx.send_bytes(&request, bytes.as_bytes()).await?;
            let short: String = name.chars().take(20).collect();
            want_status!(answer, 400 | 404 | 414 | 431 | 409, format!("the name {short}"));
            want!(answer.header("X-Injected").is_none(), "a header can be put in by a name");
        }
    }
    Ok(())
}
