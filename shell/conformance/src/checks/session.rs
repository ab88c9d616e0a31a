//! Sessions: trickle, entity tags, DELETE. For WHIP and WHEP alike.

use crate::ctx::{Ctx, FRAGMENT, Session, fragment};
use crate::sdp::token;
use crate::verdict::{Outcome, want, want_status};
use std::sync::Arc;
use tokio::task::JoinSet;

const GOOD: &str = "a=candidate:1 1 udp 2130706431 192.0.2.9 40000 typ host\r\n";

/// That a trickle of those lines is taken.
async fn is_taken(ctx: &Ctx, session: &Session, lines: &str, what: &str) -> Outcome {
    let body = fragment(&session.ufrag, &session.pwd, lines);
    want_status!(ctx.patch(session, Some(&session.etag), &body).await?, 204, what);
    Ok(())
}

pub(super) async fn sess_01_trickle(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let answer = ctx.patch(&session, Some(&session.etag), &session.trickle()).await?;
    want_status!(answer, 204, "a trickle");
    want!(answer.header("ETag").is_none(), "the 204 has an ETag");
    want!(answer.body.is_empty() && answer.surplus.is_empty(), "the 204 has a body");
    Ok(())
}

pub(super) async fn sess_02_broken_fragments(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    for body in ["a=candidate:garbage\r\n", "hello", "{\"candidate\":\"x\"}"] {
        let answer = ctx.patch(&session, Some(&session.etag), body).await?;
        want_status!(answer, 400..=499, format!("the fragment {body:?}"));
    }
    let binary = ctx.request("PATCH", &session.url).header("If-Match", &session.etag);
    want_status!(ctx.send(binary.body(FRAGMENT, b"\xff\xfe\x00\x01")).await?, 400..=499, "a binary fragment");
    is_taken(&ctx, &session, GOOD, "a good fragment after broken ones").await
}

pub(super) async fn sess_03_no_tag(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let answer = ctx.patch(&session, None, &session.trickle()).await?;
    want_status!(answer, 428, "PATCH without If-Match");
    Ok(())
}

pub(super) async fn sess_04_outdated_tag(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let answer = ctx.patch(&session, Some("\"no-such-tag\""), &session.trickle()).await?;
    want_status!(answer, 412, "PATCH with another tag");
    is_taken(&ctx, &session, GOOD, "the current tag after another one").await
}

pub(super) async fn sess_05_star(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want_status!(
        ctx.patch(&session, Some("*"), &session.trickle()).await?,
        204,
        "a trickle with If-Match: *"
    );
    is_taken(&ctx, &session, GOOD, "the same tag after it").await
}

pub(super) async fn sess_06_lists_and_weak_tags(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let list = format!("\"x\", {}", session.etag);
    want_status!(ctx.patch(&session, Some(&list), &session.trickle()).await?, 204, "a list of tags");
    let weak = format!("W/{}", session.etag);
    want_status!(ctx.patch(&session, Some(&weak), &session.trickle()).await?, 412, "a weak tag");
    Ok(())
}

pub(super) async fn sess_07_odd_tags(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want_status!(ctx.patch(&session, Some("\"*\""), &session.trickle()).await?, 204, "If-Match: \"*\"");
    let bare = session.etag.trim_matches('"').to_owned();
    want_status!(
        ctx.patch(&session, Some(&bare), &session.trickle()).await?,
        204,
        "a tag without its quotes"
    );
    Ok(())
}

pub(super) async fn sess_08_unusable_candidates(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let lines = "a=candidate:1 1 tcp 1518280447 192.0.2.9 9 typ host tcptype active\r\n\
        a=candidate:2 1 udp 2122260223 0f4d2a1c-7b3e-4c0a-9d51-2f6f0a6e8b11.local 50000 typ host\r\n\
        a=candidate:3 1 udp 2122260222 example.com 50000 typ host\r\n\
        a=candidate:4 2 udp 2122260221 192.0.2.9 50001 typ host\r\n\
        a=candidate:5 1 sctp 2122260220 192.0.2.9 50001 typ host\r\n";
    is_taken(&ctx, &session, &format!("{lines}{GOOD}"), "good candidates among unusable ones").await
}

pub(super) async fn sess_09_unknown_parts(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let lines = "a=x-unknown:1\r\na=flag\r\n\
        a=candidate:1 1 udp 2130706431 192.0.2.9 40000 typ host generation 0 ufrag X network-id 1 foo bar\r\n\
        a=Candidate:2 1 UDP 2130706430 192.0.2.9 40001 typ host\r\n";
    is_taken(&ctx, &session, lines, "unknown attributes and extensions").await
}

pub(super) async fn sess_10_pseudo_media_lines(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    for line in ["m=audio 9 RTP/AVP 0", "m=video 0 UDP/TLS/RTP/SAVPF 96", "m=application 7 X 1"] {
        let body = session.trickle().replace("m=audio 9 UDP/TLS/RTP/SAVPF 0", line);
        want_status!(
            ctx.patch(&session, Some(&session.etag), &body).await?,
            204,
            format!("a section {line}")
        );
    }
    Ok(())
}

pub(super) async fn sess_11_levels(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want_status!(
        ctx.patch(&session, Some(&session.etag), &session.trickle()).await?,
        204,
        "credentials of the session"
    );
    let body = format!(
        "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n{GOOD}",
        session.ufrag, session.pwd
    );
    want_status!(ctx.patch(&session, Some(&session.etag), &body).await?, 204, "credentials of the section");
    Ok(())
}

pub(super) async fn sess_12_twice(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    for _ in 0..2 {
        is_taken(&ctx, &session, GOOD, "the same trickle again").await?;
    }
    Ok(())
}

pub(super) async fn sess_13_end_of_candidates(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    is_taken(&ctx, &session, &format!("{GOOD}a=end-of-candidates\r\n"), "end-of-candidates in a section")
        .await?;
    let body = format!("a=end-of-candidates\r\n{}", session.trickle());
    want_status!(
        ctx.patch(&session, Some(&session.etag), &body).await?,
        204,
        "end-of-candidates of the session"
    );
    is_taken(&ctx, &session, GOOD, "a candidate after the end of candidates").await
}

pub(super) async fn sess_14_other_mids(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let lines = format!(
        "{GOOD}m=video 9 RTP/AVP 0\r\na=mid:1\r\n{GOOD}m=application 9 RTP/AVP 0\r\na=mid:99\r\n{GOOD}"
    );
    is_taken(&ctx, &session, &lines, "sections for mids 0, 1 and 99").await
}

pub(super) async fn sess_21_half_a_restart(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let body = fragment(&token(8), &session.pwd, GOOD);
    want_status!(ctx.patch(&session, Some("*"), &body).await?, 400..=499, "a new ufrag with the old pwd");
    is_taken(&ctx, &session, GOOD, "a trickle after half a restart").await
}

pub(super) async fn sess_22_grammar(ctx: Arc<Ctx>) -> Outcome {
    let long = ctx.offer();
    let text = long.text().replace(&long.ufrag, &"u".repeat(256)).replace(&long.pwd, &"p".repeat(256));
    let answer = ctx.try_offer(&text).await?;
    want_status!(answer, 201, "a ufrag and a pwd of 256 characters");
    for (ufrag, pwd) in [("abc", &*token(24)), (&*token(8), "only-21-characters-xx"), ("a_b-c", &*token(24))]
    {
        let text = long.text().replace(&long.ufrag, ufrag).replace(&long.pwd, pwd);
        want_status!(
            ctx.try_offer(&text).await?,
            400 | 422,
            format!("an offer with ufrag {ufrag} and pwd {pwd}")
        );
    }
    let session = ctx.open().await?;
    let ufrag = session.sdp.first("ice-ufrag").unwrap_or_default();
    let pwd = session.sdp.first("ice-pwd").unwrap_or_default();
    want!((4..=32).contains(&ufrag.len()), "the server's ufrag has {} characters", ufrag.len());
    want!((22..=256).contains(&pwd.len()), "the server's pwd has {} characters", pwd.len());
    let body = fragment("abc", &token(21), GOOD);
    want_status!(ctx.patch(&session, Some("*"), &body).await?, 400, "a fragment with credentials too short");
    Ok(())
}

pub(super) async fn sess_25_delete(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    want_status!(ctx.delete(&session).await?, 200, "DELETE");
    want_status!(ctx.get("GET", &session.url).await?, 404, "GET after DELETE");
    want_status!(
        ctx.patch(&session, Some(&session.etag), &session.trickle()).await?,
        404,
        "PATCH after DELETE"
    );
    want_status!(ctx.delete(&session).await?, 404, "DELETE after DELETE");
    Ok(())
}

pub(super) async fn sess_26_delete_and_tags(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let answer = ctx.send(ctx.request("DELETE", &session.url).header("If-Match", "\"no-such-tag\"")).await?;
    want_status!(answer, 200, "DELETE with another tag");
    want!(!ctx.lives(&session).await?, "the session is still there");
    Ok(())
}

pub(super) async fn sess_30_at_once(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let mut running = JoinSet::new();
    for at in 0..30 {
        let (ctx, session) = (Arc::clone(&ctx), session.clone());
        running.spawn(async move {
            match at {
                15 | 20 => ctx.delete(&session).await,
                _ if at % 3 == 0 => ctx.patch(&session, Some("\"other\""), &session.trickle()).await,
                _ => ctx.patch(&session, Some(&session.etag), &session.trickle()).await,
            }
        });
    }
    let mut deleted = 0;
    while let Some(Ok(answer)) = running.join_next().await {
        let answer = answer?;
        want_status!(answer, 200 | 204 | 404 | 412, "requests at once");
        deleted += u32::from(answer.status == 200);
    }
    want!(deleted == 1, "{deleted} of two DELETEs succeeded");
    Ok(())
}
