//! Tokens, CORS, ICE servers.

use crate::answer::{Answer, ice_server};
use crate::ctx::{Ctx, Door, SDP, Session};
use crate::http::Request;
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use std::sync::Arc;
use url::Url;

const ORIGIN: &str = "https://pages.example.org";

fn wants_key(ctx: &Ctx) -> Result<String, Stop> {
    let flag = if ctx.door == Door::Whip { "--key" } else { "--play-key" };
    ctx.key().map_or_else(|| skip(format!("needs {flag}")), |key| Ok(key.to_owned()))
}

pub(super) async fn auth_01_bearer(ctx: Arc<Ctx>) -> Outcome {
    let key = wants_key(&ctx)?;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let url = ctx.endpoint().await?;
        let request = Request::new("POST", &url).header("Authorization", format!("{scheme} {key}"));
        let answer = ctx.send(request.body(SDP, ctx.offer().text())).await?;
        want_status!(answer, 201, format!("POST with {scheme}"));
        ctx.clean_up().await;
    }
    Ok(())
}

pub(super) async fn auth_02_challenges(ctx: Arc<Ctx>) -> Outcome {
    wants_key(&ctx)?;
    let url = ctx.endpoint().await?;
    let offer = ctx.offer().text();
    let none = ctx.post_as(&url, &offer, None).await?;
    want_status!(none, 401, "POST without token");
    let challenge = none.header("WWW-Authenticate").unwrap_or("missing");
    want!(challenge.starts_with("Bearer") && !challenge.contains("error"), "the challenge is {challenge}");
    let bad = ctx.post_as(&url, &offer, Some("no-such-token")).await?;
    want_status!(bad, 401, "POST with an unknown token");
    let challenge = bad.header("WWW-Authenticate").unwrap_or("missing");
    want!(challenge.contains("error=\"invalid_token\""), "the challenge is {challenge}");
    let other = if ctx.door == Door::Whip { Door::Whep } else { Door::Whip };
    if let Some(key) = ctx.key_of(other).filter(|key| Some(*key) != ctx.key()) {
        let wrong = ctx.post_as(&url, &offer, Some(key)).await?;
        want_status!(wrong, 403, "POST with the token of the other side");
        let challenge = wrong.header("WWW-Authenticate").unwrap_or("missing");
        want!(challenge.contains("error=\"insufficient_scope\""), "the challenge is {challenge}");
    }
    Ok(())
}

pub(super) async fn auth_03_first_of_all(ctx: Arc<Ctx>) -> Outcome {
    wants_key(&ctx)?;
    let url = ctx.endpoint().await?;
    let garbage = ctx.post_as(&url, "hello", None).await?;
    want_status!(garbage, 401, "garbage without token");
    if ctx.wants_names().is_ok() {
        let place = |name: &str| if ctx.door == Door::Whip { ctx.whip(name) } else { ctx.whep(name) };
        let idle = ctx.post_as(&place(&ctx.fresh())?, "hello", None).await?;
        want!(
            idle.status == garbage.status && idle.body == garbage.body,
            "the refusal tells which streams are there"
        );
    }
    Ok(())
}

pub(super) async fn auth_04_session(ctx: Arc<Ctx>) -> Outcome {
    wants_key(&ctx)?;
    let session = ctx.open().await?;
    let stranger = Session { key: None, ..session.clone() };
    let answer = ctx.delete(&stranger).await?;
    want_status!(answer, 401 | 403 | 404 | 200, "DELETE without token");
    want!(ctx.lives(&session).await? == (answer.status != 200), "the session's fate is not what DELETE said");
    Ok(())
}

pub(super) async fn auth_05_not_wanted(ctx: Arc<Ctx>) -> Outcome {
    if ctx.key().is_some() {
        return skip("a token is wanted here");
    }
    let url = ctx.endpoint().await?;
    for value in ["Bearer undefined", "Basic eDp5", "nonsense"] {
        let request = Request::new("POST", &url).header("Authorization", value);
        let answer = ctx.send(request.body(SDP, ctx.offer().text())).await?;
        want_status!(answer, 201, format!("Authorization: {value}"));
        ctx.clean_up().await;
    }
    Ok(())
}

pub(super) async fn auth_06_scopes(ctx: Arc<Ctx>) -> Outcome {
    wants_key(&ctx)?;
    let url = ctx.endpoint().await?;
    // {"alg":"none"} and {"sub":"x","exp":9999999999}, unsigned.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    want_status!(
        ctx.post_as(&url, &ctx.offer().text(), Some(unsigned)).await?,
        401 | 403,
        "an unsigned token"
    );
    let Some(play) = ctx.key_of(Door::Whep).filter(|key| Some(*key) != ctx.key()) else {
        return skip("needs --play-key for the rest");
    };
    want_status!(
        ctx.post_as(&url, &ctx.offer().text(), Some(play)).await?,
        401 | 403,
        "publishing with a key to play"
    );
    Ok(())
}

pub(super) async fn sess_29_other_credentials(ctx: Arc<Ctx>) -> Outcome {
    wants_key(&ctx)?;
    let options = &ctx.target.options;
    let Some(other) = options.other_key.as_ref().or(options.play_key.as_ref()) else {
        return skip("needs --other-key or --play-key");
    };
    let session = ctx.open().await?;
    let stranger = Session { key: Some(other.clone()), ..session.clone() };
    want_status!(
        ctx.patch(&stranger, Some(&session.etag), &session.trickle()).await?,
        401 | 403 | 404,
        "PATCH with another key"
    );
    want_status!(ctx.delete(&stranger).await?, 401 | 403 | 404, "DELETE with another key");
    want!(ctx.lives(&session).await?, "the session is gone");
    Ok(())
}

pub(super) async fn auth_08_not_shown(ctx: Arc<Ctx>) -> Outcome {
    let key = wants_key(&ctx)?;
    let session = ctx.open().await?;
    let url = ctx.endpoint().await?;
    for answer in [session.answer, ctx.post(&url, "hello").await?, ctx.get("GET", &url).await?] {
        let shown =
            answer.text().contains(&key) || answer.headers.iter().any(|(_, value)| value.contains(&key));
        want!(!shown, "the {} shows the key", answer.status);
    }
    Ok(())
}

fn preflight(url: &Url, method: &str) -> Request {
    Request::new("OPTIONS", url)
        .header("Origin", ORIGIN)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization,content-type,if-match")
}

pub(super) async fn auth_09_preflight(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    for (url, method) in
        [(ctx.endpoint().await?, "POST"), (session.url.clone(), "PATCH"), (session.url, "DELETE")]
    {
        let answer = ctx.send(preflight(&url, method)).await?;
        want_status!(answer, 200..=299, format!("the preflight of {method}"));
        for wanted in ["POST", "PATCH", "DELETE", "OPTIONS"] {
            let there = answer.lists("Access-Control-Allow-Methods", wanted);
            want!(there, "the preflight of {method} does not allow {wanted}");
        }
        for wanted in ["Authorization", "Content-Type", "If-Match"] {
            let there = answer.lists("Access-Control-Allow-Headers", wanted);
            want!(there, "the preflight of {method} does not allow the header {wanted}");
        }
        want!(allows(&answer, ORIGIN), "the preflight of {method} does not allow the origin");
    }
    Ok(())
}

fn allows(answer: &Answer, origin: &str) -> bool {
    matches!(answer.header("Access-Control-Allow-Origin"), Some(allowed) if allowed == "*" || allowed == origin)
}

pub(super) async fn auth_10_readable(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let with_origin = |request: Request| request.header("Origin", ORIGIN);
    let created = ctx.send(with_origin(ctx.request("POST", &url).body(SDP, ctx.offer().text()))).await?;
    want_status!(created, 201, "POST from another origin");
    let refused = ctx.send(with_origin(ctx.request("POST", &url).body(SDP, "hello"))).await?;
    for answer in [&created, &refused] {
        want!(allows(answer, ORIGIN), "the {} cannot be read by other origins", answer.status);
    }
    for wanted in ["Location", "Link", "ETag"] {
        want!(created.lists("Access-Control-Expose-Headers", wanted), "the 201 does not expose {wanted}");
    }
    want!(
        refused.lists("Access-Control-Expose-Headers", "Retry-After"),
        "the {} does not expose Retry-After",
        refused.status
    );
    Ok(())
}

pub(super) async fn auth_11_origin_null(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let request = ctx.request("POST", &url).header("Origin", "null").body(SDP, ctx.offer().text());
    let answer = ctx.send(request).await?;
    want_status!(answer, 201, "POST with Origin: null");
    want!(allows(&answer, "null"), "the 201 cannot be read by Origin: null");
    Ok(())
}

/// The ICE servers of an answer: the URL, and what follows it.
fn ice_servers(answer: &Answer) -> Vec<(String, String)> {
    answer.all("Link").filter_map(ice_server).collect()
}

pub(super) async fn auth_12_links(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let servers = ice_servers(&session.answer);
    if servers.is_empty() {
        return skip("no ICE servers are announced here");
    }
    for (url, rest) in servers {
        let is_turn = url.starts_with("turn:") || url.starts_with("turns:");
        want!(
            is_turn || url.starts_with("stun:") || url.starts_with("stuns:"),
            "<{url}> is no STUN or TURN URL"
        );
        want!(!url.contains(','), "two links in one line");
        let parts: Vec<_> = rest.split("; ").collect();
        want!(parts.get(1) == Some(&"rel=\"ice-server\""), "after <{url}> comes {rest:?}");
        if is_turn {
            let is = |at: usize, name: &str| {
                parts
                    .get(at)
                    .is_some_and(|part| part.starts_with(&format!("{name}=\"")) && part.ends_with('"'))
            };
            let good = is(2, "username")
                && is(3, "credential")
                && parts.get(4) == Some(&"credential-type=\"password\"");
            want!(
                good && parts.len() == 5,
                "after <{url}> username, credential, credential-type are not in this form"
            );
        }
    }
    Ok(())
}

pub(super) async fn auth_13_alphabet(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let servers = ice_servers(&session.answer);
    let secret = |rest: &str| {
        let value = rest
            .split_once("; credential=\"")
            .map(|(_, value)| value.split('"').next().unwrap_or_default().to_owned());
        value.filter(|value| !value.is_empty())
    };
    let Some(credential) = servers.iter().find_map(|(_, rest)| secret(rest)) else {
        return skip("no TURN server is announced here");
    };
    want!(!credential.contains([',', ';', '\\']), "a credential has , ; or \\");
    Ok(())
}

pub(super) async fn auth_14_options(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let answer = ctx.send(preflight(&url, "POST")).await?;
    want!(answer.header("Link").is_none(), "the preflight has a Link");
    let plain = ctx.get("OPTIONS", &url).await?;
    for link in plain.all("Link") {
        want!(link.contains("ice-server"), "OPTIONS has another Link: {link}");
    }
    if ctx.key().is_some() {
        let stranger = ctx.send(Request::new("OPTIONS", &url)).await?;
        want!(ice_servers(&stranger).is_empty(), "OPTIONS shows ICE servers to who has no token");
    }
    Ok(())
}
