//! The one stream that is on air while checks of viewers run.

use crate::ctx::{Ctx, Door};
use crate::sdp::Offer;
use crate::verdict::Stop;
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;
use wtn_client::{Length, PublishOptions, publish_test};
use wtn_media::Codec;

/// How long a stream may take to be on air.
const ON_AIR_WITHIN: Duration = Duration::from_secs(40);

/// A stream with H.264 and Opus.
pub(crate) struct Stage {
    pub whep: Url,
    _publisher: Option<DropGuard>,
}

impl Stage {
    /// Publishes, if we may, and waits until viewers are let in.
    pub async fn open(ctx: &Ctx) -> Result<Self, Stop> {
        let name = format!("{}-stage", ctx.target.options.stream_prefix);
        let whep = ctx.whep(&name)?;
        let publisher = ctx.whip(&name).ok().map(|whip| publish(ctx, &whip));
        until_on_air(ctx, &whep).await?;
        Ok(Self { whep, _publisher: publisher.map(CancellationToken::drop_guard) })
    }
}

/// Publishes the test picture, with H.264 and Opus, until the token is cancelled.
pub(crate) fn publish(ctx: &Ctx, whip: &Url) -> CancellationToken {
    let options = PublishOptions {
        url: whip.to_string(),
        key: ctx.key_of(Door::Whip).map(str::to_owned),
        ca: ctx.target.options.ca.clone(),
        codec: Codec::H264,
        length: Length::Forever,
        wait: ON_AIR_WITHIN,
    };
    let stop = CancellationToken::new();
    tokio::spawn(publish_test(options, stop.clone()));
    stop
}

/// Asks as a viewer until it is let in.
pub(crate) async fn until_on_air(ctx: &Ctx, whep: &Url) -> Result<(), Stop> {
    let begun = Instant::now();
    // Its own sessions alone are ended afterwards.
    let probe = Ctx::new(&ctx.target, Door::Whep, "probe");
    loop {
        let answer = probe.post(whep, &Offer::play().text()).await?;
        if answer.status == 201 {
            probe.clean_up().await;
            return Ok(());
        }
        if begun.elapsed() > ON_AIR_WITHIN {
            return Err(Stop::Skip(format!(
                "no stream could be brought on air: a viewer gets {}",
                answer.brief()
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
