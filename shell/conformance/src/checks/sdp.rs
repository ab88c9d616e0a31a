//! Answers: structure, transport, candidates. For WHIP and WHEP alike.

use super::live::TRIES;
use crate::ctx::{Ctx, Door, Session};
use crate::sdp::{Offer, only, token, without};
use crate::stun::SUCCESS;
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use crate::wire::{Bare, Wire};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use wtn_client::{Player, Publisher};

async fn answered(ctx: &Ctx, offer: &str) -> Result<Session, Stop> {
    let url = match ctx.door {
        Door::Whip => ctx.whip(&ctx.fresh())?,
        Door::Whep => ctx.endpoint().await?,
    };
    ctx.open_at(&url, offer, ctx.key()).await
}

pub(super) async fn sdp_01_media_lines(ctx: Arc<Ctx>) -> Outcome {
    for proto in ["UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP"] {
        let offer = ctx.offer().text().replace("UDP/TLS/RTP/SAVPF", proto);
        let session = answered(&ctx, &offer).await?;
        let found: Vec<_> = session.sdp.media.iter().map(|media| (&*media.kind, &*media.proto)).collect();
        want!(
            found == [("audio", proto), ("video", proto)],
            "offered audio and video over {proto}, answered {found:?}"
        );
        let mids: Vec<_> = session.sdp.media.iter().filter_map(|media| media.first("mid")).collect();
        want!(mids == ["0", "1"], "the mids are {mids:?}");
    }
    let plain = ctx.offer().text().replace("UDP/TLS/RTP/SAVPF", "RTP/AVP");
    want_status!(ctx.try_offer(&plain).await?, 400..=499, "an offer over RTP/AVP");
    Ok(())
}

pub(super) async fn sdp_02_line_feeds(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    answered(&ctx, &offer.replace("\r\n", "\n")).await?;
    answered(&ctx, offer.trim_end()).await?;
    let odd = offer
        .replace("a=mid:0\r\n", "a=mid:0\r\na=foo\r\na=x-y:z\r\n")
        .replace("c=IN IP4 0.0.0.0\r\n", "i=title\r\nc=IN IP4 0.0.0.0\r\nb=AS:1000\r\n");
    answered(&ctx, &odd).await.map(|_| ())
}

pub(super) async fn sdp_03_levels(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let moved: Vec<&str> = offer
        .lines()
        .filter(|line| {
            ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"].iter().any(|name| line.starts_with(name))
        })
        .collect();
    let session_level = moved[..moved.len() / 2].join("\r\n") + "\r\n";
    let rest = ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"]
        .iter()
        .fold(offer.clone(), |sdp, name| without(&sdp, name));
    let moved = rest.replacen("m=audio", &format!("{session_level}m=audio"), 1);
    let session = answered(&ctx, &moved).await?;
    // The credentials count: a check signed by them is answered.
    let bare = Bare::towards(&session).await?;
    let heard = bare.ask(&bare.check(), TRIES).await?;
    want!(
        heard.is_some_and(|heard| heard.kind == SUCCESS),
        "credentials of the session level are not in force"
    );
    Ok(())
}

pub(super) async fn sdp_04_bundle_only(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let (head, video) = offer.split_once("m=video 9").unwrap_or_default();
    let inherited = ["a=ice-", "a=fingerprint", "a=setup", "a=rtcp"]
        .iter()
        .fold(video.to_owned(), |sdp, name| without(&sdp, name));
    let bundle_only = format!("{head}m=video 0{}a=bundle-only\r\n", inherited);
    let session = answered(&ctx, &bundle_only).await?;
    want!(session.sdp.kind("video").is_some(), "a bundle-only section is rejected");
    let disabled = format!("{head}m=video 0{video}");
    let answer = ctx.try_offer(&disabled).await?;
    match answer.status {
        400..=499 => Ok(()),
        201 => {
            let sdp = crate::sdp::Sdp::read(&answer.text());
            want!(sdp.kind("video").is_none(), "a disabled section is accepted");
            Ok(())
        }
        status => Err(Stop::Fail(format!("a disabled section: {status}"))),
    }
}

pub(super) async fn sdp_05_bundle(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let answer = ctx.try_offer(&without(&offer, "a=group")).await?;
    want_status!(answer, 400..=499, "two sections without BUNDLE");
    let audio = without(&only(&offer, "audio"), "a=group");
    want_status!(ctx.try_offer(&audio).await?, 201, "one section without BUNDLE");
    Ok(())
}

pub(super) async fn sdp_06_group(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text().replace("a=mid:0", "a=mid:first").replace("a=mid:1", "a=mid:second");
    let session = answered(&ctx, &offer.replace("BUNDLE 0 1", "BUNDLE first second")).await?;
    let groups: Vec<_> = session.sdp.all("group").filter(|group| group.starts_with("BUNDLE")).collect();
    want!(groups == ["BUNDLE first second"], "the groups are {groups:?}");
    Ok(())
}

pub(super) async fn sdp_07_ports(ctx: Arc<Ctx>) -> Outcome {
    let session = answered(&ctx, &ctx.offer().text()).await?;
    let ports: BTreeSet<_> = session.sdp.media.iter().map(|media| &media.port).collect();
    want!(ports.len() == 1 && !ports.contains(&"0".to_owned()), "the ports are {ports:?}");
    for name in ["bundle-only", "rtcp"] {
        want!(!session.sdp.media.iter().any(|media| media.has(name)), "the answer has a={name}");
    }
    Ok(())
}

pub(super) async fn sdp_08_rtcp_mux(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let session = answered(&ctx, &offer).await?;
    want!(
        session.sdp.accepted().all(|media| media.has("rtcp-mux")),
        "a section of the answer has no rtcp-mux"
    );
    want_status!(
        ctx.try_offer(&without(&offer, "a=rtcp-mux")).await?,
        400..=499,
        "an offer without rtcp-mux"
    );
    Ok(())
}

pub(super) async fn sdp_09_mux_only(ctx: Arc<Ctx>) -> Outcome {
    // Ours has none, as most clients' have none.
    let session = answered(&ctx, &ctx.offer().text()).await?;
    let all = session.sdp.accepted().all(|media| media.has("rtcp-mux-only"));
    want!(all, "a bundled section of the answer has no rtcp-mux-only");
    Ok(())
}

pub(super) async fn sdp_10_setup(ctx: Arc<Ctx>) -> Outcome {
    for (offered, allowed) in
        [("actpass", &["passive", "active"][..]), ("active", &["passive"]), ("passive", &["active"])]
    {
        let offer = ctx.offer().text().replace("a=setup:actpass", &format!("a=setup:{offered}"));
        let session = answered(&ctx, &offer).await?;
        let setup = session.sdp.first("setup").unwrap_or("missing");
        want!(allowed.contains(&setup), "{offered} is answered by {setup}");
    }
    Ok(())
}

pub(super) async fn sdp_11_fingerprint(ctx: Arc<Ctx>) -> Outcome {
    // The other stack compares it with the certificate of the handshake.
    let session = match ctx.door {
        Door::Whip => Wire::<Publisher>::live(&ctx, &ctx.endpoint().await?).await?.1,
        Door::Whep => Wire::<Player>::live(&ctx, &ctx.endpoint().await?).await?.1,
    };
    let fingerprint = session.sdp.first("fingerprint").unwrap_or_default().to_owned();
    let digest = fingerprint.strip_prefix("sha-256 ").unwrap_or_default();
    let pairs: Vec<_> = digest.split(':').collect();
    let is_pair = |pair: &&str| {
        pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
    };
    want!(pairs.len() == 32 && pairs.iter().all(is_pair), "a=fingerprint:{fingerprint}");
    Ok(())
}

pub(super) async fn sdp_12_hashes(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let digest = ["3A"; 48].join(":");
    let more = offer.replace("a=setup", &format!("a=fingerprint:SHA-384 {digest}\r\na=setup"));
    answered(&ctx, &more).await?;
    let lower =
        offer.replace(&["3A"; 31].join(":"), &["3a"; 31].join(":")).replace("sha-256 7F", "SHA-256 7f");
    answered(&ctx, &lower).await?;
    want_status!(
        ctx.try_offer(&without(&offer, "a=fingerprint")).await?,
        400..=499,
        "an offer without fingerprint"
    );
    Ok(())
}

pub(super) async fn sdp_13_tls_id(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let session = answered(&ctx, &offer).await?;
    want!(
        !session.sdp.lines().any(|line| line.starts_with("a=tls-id")),
        "tls-id is answered and was not offered"
    );
    let offer = offer.replace("a=setup", &format!("a=tls-id:{}\r\na=setup", token(24)));
    let session = answered(&ctx, &offer).await?;
    want!(session.sdp.lines().any(|line| line.starts_with("a=tls-id")), "tls-id is offered and not answered");
    Ok(())
}

pub(super) async fn sdp_14_lite(ctx: Arc<Ctx>) -> Outcome {
    let session = answered(&ctx, &ctx.offer().text()).await?;
    let in_section = session.sdp.media.iter().any(|media| media.has("ice-lite"));
    want!(!in_section, "a=ice-lite stands in a section");
    Ok(())
}

pub(super) async fn sdp_15_ice_options(ctx: Arc<Ctx>) -> Outcome {
    let offer = ctx.offer().text();
    let session = answered(&ctx, &offer).await?;
    let sdp = &session.sdp;
    let options: BTreeSet<&str> = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a=ice-options:"))
        .flat_map(|line| line.split(' '))
        .collect();
    want!(options.contains("ice2"), "ice-options are {options:?}, without ice2");
    want!(options.contains("trickle"), "ice-options are {options:?}, without the trickle that was offered");
    for odd in ["a=ice-options:ice2,trickle", "a=ice-options:", "a=x"] {
        answered(&ctx, &offer.replace("a=ice-options:trickle", odd)).await?;
    }
    Ok(())
}

pub(super) async fn sdp_16_candidates(ctx: Arc<Ctx>) -> Outcome {
    let session = answered(&ctx, &ctx.offer().text()).await?;
    let lines: Vec<_> = session.sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")).collect();
    want!(!lines.is_empty(), "the answer has no candidates");
    let (mut seen_tcp, mut seen_v6, mut priorities) = (false, false, BTreeSet::new());
    for (index, line) in lines.iter().enumerate() {
        let words: Vec<_> = line.split(' ').collect();
        let [foundation, component, transport, priority, address, port, typ, kind, ..] = words[..] else {
            return Err(Stop::Fail(format!("a=candidate:{line}")));
        };
        let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        let is_foundation = (1..=32).contains(&foundation.len()) && foundation.bytes().all(is_ice_char);
        let is_good = is_foundation && component == "1" && typ == "typ" && port.parse::<u16>().is_ok();
        want!(is_good && priority.parse::<u32>().is_ok_and(|priority| priority > 0), "a=candidate:{line}");
        let is_tcp = transport.eq_ignore_ascii_case("tcp");
        let is_v6 = address.contains(':');
        want!(index > 0 || (!is_tcp && kind == "host"), "the first candidate is {line}");
        want!(is_tcp || !seen_tcp, "a UDP candidate comes after one of TCP");
        want!(is_v6 || is_tcp || !seen_v6, "an IPv4 candidate comes after one of IPv6");
        (seen_tcp, seen_v6) = (seen_tcp || is_tcp, seen_v6 || (is_v6 && !is_tcp));
        want!(priorities.insert(priority.to_owned()), "two candidates have the priority {priority}");
    }
    want!(session.sdp.lines().any(|line| line == "a=end-of-candidates"), "no a=end-of-candidates");
    Ok(())
}

pub(super) async fn sdp_17_first_section(ctx: Arc<Ctx>) -> Outcome {
    let session = answered(&ctx, &ctx.offer().text()).await?;
    let sdp = &session.sdp;
    let first = sdp.accepted().next().ok_or_else(|| Stop::Fail("nothing is accepted".to_owned()))?;
    for name in ["ice-ufrag", "ice-pwd", "fingerprint", "setup", "candidate"] {
        let there = first.has(name) || (name != "candidate" && sdp.all(name).next().is_some());
        want!(there, "the first section has no {name}");
    }
    for name in ["ice-ufrag", "ice-pwd", "fingerprint", "setup"] {
        let values: BTreeSet<_> = sdp.accepted().flat_map(|media| media.all(name)).collect();
        want!(values.len() <= 1, "the sections differ in {name}");
    }
    Ok(())
}

pub(super) async fn sdp_18_public_address(ctx: Arc<Ctx>) -> Outcome {
    let Some(address) = ctx.target.options.public_address else {
        return skip("needs --public-address");
    };
    let session = answered(&ctx, &ctx.offer().text()).await?;
    let host = session.sdp.lines().any(|line| {
        line.starts_with("a=candidate:")
            && line.contains(&format!(" {address} "))
            && line.contains(" typ host")
    });
    want!(host, "no candidate `typ host` has {address}");
    Ok(())
}

/// Long enough for a server that wants to speak first.
pub(super) const MOMENT: Duration = Duration::from_secs(1);

/// An offer with a client that waits for the server to begin DTLS.
pub(super) fn passive(offer: &Offer) -> String {
    offer.text().replace("a=setup:actpass", "a=setup:passive")
}
