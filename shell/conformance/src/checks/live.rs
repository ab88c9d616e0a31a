//! ICE, DTLS and how sessions end, as far as it shows from outside.

use super::sdp::{MOMENT, passive};
use crate::ctx::{Ctx, Door};
use crate::sdp::{Offer, token};
use crate::stun::{CONTROLLED, CONTROLLING, ERROR, PRIORITY, SUCCESS};
use crate::verdict::{Outcome, Stop, skip, want, want_status};
use crate::wire::{Bare, SILENCE, SOON, Wire, is_client_hello};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UdpSocket};
use wtn_client::{Ending, Machine as _, Player, Publisher};

/// Datagrams may be lost, so what must be answered is asked so often.
pub(super) const TRIES: u32 = 15;
/// When media to a viewer that fell silent must have ended (RFC 7675 §5.1), and room for a slow machine.
const SILENT_WITHIN: Duration = Duration::from_secs(36);
/// A session that never connects: 30 s, and room for a slow machine.
const NEVER_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn sess_27_goodbye(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let (mut wire, session) = Wire::<Publisher>::live(&ctx, &url).await?;
    want_status!(ctx.delete(&session).await?, 200, "DELETE");
    let told = wire.run(SOON, |wire| wire.machine.ending().is_some()).await;
    want!(
        told && wire.machine.ending() == Some(&Ending::ClosedByServer),
        "DTLS says no goodbye after DELETE"
    );
    let answer = ctx.send(ctx.request("POST", &url).body(crate::ctx::SDP, Offer::publish().text())).await?;
    want_status!(answer, 201, "the next publisher right after DELETE");
    Ok(())
}

pub(super) async fn sess_28_silence(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let bare = Bare::towards(&session).await?;
    let before = bare.ask(&bare.check(), TRIES).await?;
    want!(before.is_some_and(|heard| heard.kind == SUCCESS), "a check is not answered before DELETE");
    ctx.delete(&session).await?;
    let begun = Instant::now();
    // Whoever owns the session may hear of it a moment later.
    loop {
        match bare.ask(&bare.check(), 1).await? {
            None => return Ok(()),
            Some(heard) if heard.kind == ERROR => return Ok(()),
            Some(_) => want!(begun.elapsed() < SOON, "checks are answered after DELETE"),
        }
    }
}

pub(super) async fn auth_15_unproven(ctx: Arc<Ctx>) -> Outcome {
    let probe = ctx.open().await?;
    let url = ctx.endpoint().await?;
    let victim = Bare::towards(&probe).await?;
    let address = victim.socket.local_addr()?;
    let offer = passive(&ctx.offer());
    let line = format!("a=candidate:1 1 udp 2130706431 {} {} typ host\r\n", address.ip(), address.port());
    let session =
        ctx.open_at(&url, &offer.replace("a=mid:0\r\n", &format!("a=mid:0\r\n{line}")), ctx.key()).await?;
    let body = session.trickle().replace("192.0.2.9 40000", &format!("{} {}", address.ip(), address.port()));
    ctx.patch(&session, Some(&session.etag), &body).await?;
    let begun = Instant::now();
    while begun.elapsed() < MOMENT {
        match victim.receive(MOMENT).await {
            // Full ICE may send checks, paced; anything else is for those who proved themselves.
            Some(bytes) => want!(
                bytes.first().is_some_and(|first| *first < 4),
                "a datagram that is no check goes to an address that only stood in the offer"
            ),
            None => break,
        }
    }
    Ok(())
}

pub(super) async fn auth_16_connects_to_nobody(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let bare = Bare::towards(&session).await?;
    let listener = TcpListener::bind((bare.socket.local_addr()?.ip(), 0)).await?;
    let address = listener.local_addr()?;
    let lines = format!(
        "a=candidate:1 1 tcp 1518280447 {} {} typ host tcptype passive\r\n\
         a=candidate:2 1 udp 2122260223 localhost 80 typ host\r\na=candidate:3 1 udp 2122260222 169.254.169.254 80 typ host\r\n",
        address.ip(),
        address.port()
    );
    let body = crate::ctx::fragment(&session.ufrag, &session.pwd, &lines);
    want_status!(ctx.patch(&session, Some(&session.etag), &body).await?, 204, "candidates of odd kinds");
    let came = tokio::time::timeout(MOMENT, listener.accept()).await;
    want!(came.is_err(), "the server connects to a TCP port that a client names");
    Ok(())
}

pub(super) async fn auth_17_garbage(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, session) = Wire::<Publisher>::live(&ctx, &ctx.whip(&ctx.name)?).await?;
    for at in 0..200u32 {
        let len = (at as usize * 7) % 200 + 1;
        let bytes: Vec<u8> =
            (0..len).map(|index| (at.wrapping_mul(31).wrapping_add(index as u32 * 17) >> 1) as u8).collect();
        wire.inject(&bytes).await?;
        wire.run(Duration::from_millis(2), |_| false).await;
    }
    wire.run(MOMENT, |_| false).await;
    want!(wire.machine.ending().is_none() && ctx.lives(&session).await?, "garbage ended the session");
    Ok(())
}

pub(super) async fn live_02_integrity(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let bare = Bare::towards(&session).await?;
    let good = bare
        .ask(&bare.check(), TRIES)
        .await?
        .ok_or_else(|| Stop::Fail("a good check is not answered".to_owned()))?;
    want!(good.kind == SUCCESS, "a good check gets {:#x}", good.kind);
    want!(good.signed && good.fingerprint, "the answer has no integrity or no fingerprint");
    want!(good.mapped == Some(bare.socket.local_addr()?), "the mapped address is {:?}", good.mapped);
    let wrong = crate::stun::Check::nominating(&bare.ufrag, &bare.ours, "a-password-of-nobody-at-all");
    let unsigned = crate::stun::Check { pwd: None, ..bare.check() };
    let stranger = crate::stun::Check { username: format!("{}:{}", token(8), bare.ours), ..bare.check() };
    for (what, check) in
        [("a wrong password", wrong), ("no integrity", unsigned), ("an unknown user", stranger)]
    {
        let heard = bare.ask(&check, 2).await?;
        want!(heard.is_none_or(|heard| heard.kind != SUCCESS), "a check with {what} succeeds");
    }
    Ok(())
}

pub(super) async fn live_03_bare_requests(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let bare = Bare::towards(&session).await?;
    let check = bare.check().without(PRIORITY).without(CONTROLLING);
    let heard = bare.ask(&check, TRIES).await?;
    want!(
        heard.is_some_and(|heard| heard.kind == SUCCESS),
        "a check without PRIORITY and ICE-CONTROLLING is not answered"
    );
    Ok(())
}

pub(super) async fn live_04_unknown_address(ctx: Arc<Ctx>) -> Outcome {
    // No candidate of ours was ever named; that the pair is selected shows by the ClientHello over it.
    let session = ctx.open_at(&ctx.whip(&ctx.name)?, &passive(&Offer::publish()), ctx.key()).await?;
    let bare = Bare::towards(&session).await?;
    let heard = bare.ask(&bare.check(), TRIES).await?;
    want!(
        heard.is_some_and(|heard| heard.kind == SUCCESS),
        "a check from an unknown address is not answered"
    );
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        if bare.receive(SOON).await.is_some_and(|bytes| is_client_hello(&bytes)) {
            return Ok(());
        }
    }
    Err(Stop::Fail("nothing follows a nomination from an unknown address".to_owned()))
}

pub(super) async fn live_05_roles(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let bare = Bare::towards(&session).await?;
    let mut check = bare.check().without(CONTROLLING).without(crate::stun::USE_CANDIDATE);
    check.attributes.push((CONTROLLED, vec![7; 8]));
    let heard = bare.ask(&check, TRIES).await?;
    let answer =
        heard.ok_or_else(|| Stop::Fail("a client that claims to be controlled gets no answer".to_owned()))?;
    let switched = answer.kind == SUCCESS && !session.sdp.lines().any(|line| line == "a=ice-lite");
    want!(
        answer.error == Some(487) || switched,
        "a client that claims to be controlled gets {:?}",
        answer.error
    );
    let good = bare.ask(&bare.check(), TRIES).await?;
    want!(
        good.is_some_and(|heard| heard.kind == SUCCESS),
        "the same client in its right role is not answered"
    );
    Ok(())
}

pub(super) async fn live_06_moving(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, _) = Wire::<Player>::live(&ctx, &ctx.endpoint().await?).await?;
    want!(wire.receives(20).await, "no media comes");
    wire.move_away().await?;
    want!(
        wire.run(SOON * 2, {
            let before = wire.media;
            move |wire| wire.media > before + 20
        })
        .await,
        "no media follows a viewer to its new port"
    );
    Ok(())
}

pub(super) async fn live_07_first_byte(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, session) = Wire::<Publisher>::live(&ctx, &ctx.whip(&ctx.name)?).await?;
    for first in 0..=255u8 {
        wire.inject(&[&[first][..], &[0x5a; 40]].concat()).await?;
    }
    wire.inject(&[]).await?;
    wire.run(MOMENT, |_| false).await;
    want!(wire.machine.ending().is_none(), "datagrams of every first byte ended the session");
    want!(ctx.lives(&session).await?, "datagrams of every first byte removed the session");
    Ok(())
}

pub(super) async fn live_09_wrong_certificate(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.whip(&ctx.name)?;
    let (mut wire, session) = Wire::<Publisher>::post(&ctx, &url, |offer| {
        let lines =
            offer.split_inclusive('\n').map(|line| match line.strip_prefix("a=fingerprint:sha-256 ") {
                Some(_) => format!("a=fingerprint:sha-256 {}\r\n", ["A5"; 32].join(":")),
                None => line.to_owned(),
            });
        lines.collect()
    })
    .await?;
    // The client may take itself for connected before it is told.
    let ended = wire.run(SOON, |wire| wire.machine.ending().is_some()).await;
    want!(ended, "another certificate than the offer's is not refused by DTLS");
    let begun = Instant::now();
    while ctx.lives(&session).await? {
        want!(begun.elapsed() < NEVER_WITHIN, "the session of another certificate is kept");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

pub(super) async fn live_10_client_hello(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open_at(&ctx.whip(&ctx.name)?, &passive(&Offer::publish()), ctx.key()).await?;
    let bare = Bare::towards(&session).await?;
    let heard = bare.ask(&bare.check(), TRIES).await?;
    want!(heard.is_some(), "a check is not answered");
    let (begun, mut hellos) = (Instant::now(), 0);
    while hellos < 2 {
        want!(
            begun.elapsed() < SOON,
            "{hellos} ClientHello come to a client that answers none, within {SOON:?}"
        );
        if bare.receive(Duration::from_secs(1)).await.is_some_and(|bytes| is_client_hello(&bytes)) {
            hellos += 1;
        }
    }
    Ok(())
}

pub(super) async fn live_12_consent(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, session) = Wire::<Publisher>::live(&ctx, &ctx.whip(&ctx.name)?).await?;
    // Media goes on meanwhile; the other stack gives up by itself when its checks are not answered.
    let ended = wire.run(Duration::from_secs(8), |wire| wire.machine.ending().is_some()).await;
    want!(!ended && ctx.lives(&session).await?, "the session ends by itself");
    let bare = Bare::towards(&session).await?;
    let heard =
        bare.ask(&crate::stun::Check { ..bare.check().without(crate::stun::USE_CANDIDATE) }, TRIES).await?;
    want!(heard.is_some_and(|heard| heard.kind == SUCCESS), "a check on a session in use is not answered");
    Ok(())
}

pub(super) async fn live_14_silent_viewer(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, session) = Wire::<Player>::live(&ctx, &ctx.endpoint().await?).await?;
    want!(wire.receives(20).await, "no media comes");
    // The player is dead from now on; its socket goes on counting.
    let begun = Instant::now();
    let mut last = begun;
    while begun.elapsed() < SILENT_WITHIN {
        if wire.count_media(SILENCE).await > 0 {
            last = Instant::now();
        } else if last.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
    want!(last.elapsed() > SILENCE, "a viewer that fell silent is sent media after {:?}", begun.elapsed());
    while ctx.lives(&session).await? {
        want!(begun.elapsed() < NEVER_WITHIN, "the session of a silent viewer is kept");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

pub(super) async fn live_15_goodbye(ctx: Arc<Ctx>) -> Outcome {
    let url = ctx.endpoint().await?;
    let session = match ctx.door {
        Door::Whip => {
            let (mut wire, session) = Wire::<Publisher>::live(&ctx, &url).await?;
            wire.close().await;
            session
        }
        Door::Whep => {
            let (mut wire, session) = Wire::<Player>::live(&ctx, &url).await?;
            wire.close().await;
            session
        }
    };
    let begun = Instant::now();
    while ctx.lives(&session).await? {
        want!(begun.elapsed() < SOON, "the session lives on after the client's close_notify");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

pub(super) async fn live_16_never_connected(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let begun = Instant::now();
    while ctx.lives(&session).await? {
        want!(
            begun.elapsed() < NEVER_WITHIN,
            "a session that never connects is there after {NEVER_WITHIN:?}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

pub(super) async fn live_17_told(ctx: Arc<Ctx>) -> Outcome {
    let (mut wire, session) = Wire::<Player>::live(&ctx, &ctx.endpoint().await?).await?;
    want!(wire.receives(20).await, "no media comes");
    want_status!(ctx.delete(&session).await?, 200, "DELETE");
    let told = wire.run(SOON, |wire| wire.machine.ending().is_some()).await;
    want!(told, "the viewer is not told");
    // What was on its way may still come.
    wire.count_media(Duration::from_millis(300)).await;
    let late = wire.count_media(MOMENT).await;
    want!(late == 0, "{late} packets come after the end");
    Ok(())
}

pub(super) async fn live_18_tcp(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let lines: Vec<_> = session.sdp.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    let tcp: Vec<_> = lines.iter().filter(|line| line.to_ascii_lowercase().contains(" tcp ")).collect();
    if tcp.is_empty() {
        return skip("no ICE-TCP here");
    }
    for line in tcp {
        want!(line.contains("tcptype passive") && line.contains("typ host"), "{line}");
    }
    Ok(())
}

pub(super) async fn live_19_ipv6(ctx: Arc<Ctx>) -> Outcome {
    let session = ctx.open().await?;
    let candidates = session.sdp.udp_candidates();
    let Some(server) = candidates.iter().find(|address| address.is_ipv6()) else {
        return skip("no IPv6 candidate here");
    };
    let mut bare = Bare::towards(&session).await?;
    if UdpSocket::bind("[::]:0").await?.connect(server).await.is_err() {
        return skip("no IPv6 from here");
    }
    (bare.server, bare.socket) = (*server, crate::wire::socket_towards(*server).await?);
    let heard = bare.ask(&bare.check(), TRIES).await?;
    want!(heard.is_some_and(|heard| heard.kind == SUCCESS), "a check to {server} is not answered");
    Ok(())
}
