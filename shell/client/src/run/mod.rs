//! The two commands: HTTP, UDP and the clock around the publisher and the player.

mod shell;

use crate::clip::Clip;
use crate::error::ClientError;
use crate::expect::Expectation;
use crate::link::Machine;
use crate::player::Player;
use crate::publisher::{Publisher, PublisherConfig};
use crate::report::{PlayReport, PublishReport, judge, ms_between, rounded};
use crate::signalling::Reply;
use shell::{Outcome, Shell};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;
use wtn_media::Codec;

/// What [`PublishOptions::wait`] and [`PlayOptions::wait`] are unless somebody says otherwise.
pub const WAIT: Duration = Duration::from_secs(10);

/// How much of the clip to publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// One pass: ten seconds.
    #[default]
    Once,
    /// That long, over and over if need be.
    For(Duration),
    /// Until stopped.
    Forever,
}

impl Length {
    /// As the flags of the command say: `--for` wins, `--loop` alone never ends, neither is one pass.
    pub fn from_flags(length: Option<Duration>, repeat: bool) -> Self {
        match (length, repeat) {
            (Some(length), _) => Self::For(length),
            (None, true) => Self::Forever,
            (None, false) => Self::Once,
        }
    }
}

/// `wtn publish test`.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// The WHIP endpoint.
    pub url: String,
    /// Sent as bearer token.
    pub key: Option<String>,
    /// A PEM file of certificates to trust for https, instead of the system's.
    pub ca: Option<PathBuf>,
    /// H.264, VP8, VP9 or AV1.
    pub codec: Codec,
    /// How much.
    pub length: Length,
    /// How long to try to get connected, refusals that may pass included.
    pub wait: Duration,
}

/// `wtn play`.
#[derive(Clone, Debug)]
pub struct PlayOptions {
    /// The WHEP endpoint.
    pub url: String,
    /// Sent as bearer token.
    pub key: Option<String>,
    /// A PEM file of certificates to trust for https, instead of the system's.
    pub ca: Option<PathBuf>,
    /// From connected on; without it, until stopped.
    pub length: Option<Duration>,
    /// How long to try to get connected, waiting for a publisher included.
    pub wait: Duration,
    /// What must arrive for the report to be `ok`.
    pub expect: Expectation,
}

/// Publishes the test clip until it is over or `stop` is cancelled, and ends with a DELETE either way.
///
/// Errors are for sessions that never were. One that broke is a report that is not `ok`.
pub async fn publish_test(
    options: PublishOptions,
    stop: CancellationToken,
) -> Result<PublishReport, ClientError> {
    let clip = Clip::embedded(options.codec)?;
    let length = match options.length {
        Length::Once => Some(clip.duration()),
        Length::For(length) => Some(length),
        Length::Forever => None,
    };
    let mut shell =
        Shell::open(&options.url, options.key.as_deref(), options.ca.as_deref(), options.wait, stop).await?;
    let config = PublisherConfig {
        length,
        rtp_start: rand::random(),
        wall: Some((Instant::now(), SystemTime::now())),
    };
    let mut publisher = Publisher::new(Instant::now(), clip, &shell.addresses(), config);
    let (reply, joined) = shell.join(publisher.offer()).await?;
    let accepted = match reply {
        Reply::Answer(sdp) => publisher.accept_answer(Instant::now(), &sdp).map_err(ClientError::from),
        Reply::CounterOffer(_) => {
            Err(ClientError::BadReply("a counter-offer, which WHIP does not have".to_owned()))
        }
    };
    if let Err(error) = accepted {
        shell.leave(&mut publisher, &joined).await;
        return Err(error);
    }
    let mut outcome = shell.connect(&mut publisher, &joined).await;
    if outcome == Outcome::Reached {
        outcome = shell.drive(&mut publisher, None, Publisher::is_over).await;
    }
    let ended_at = Instant::now();
    let mut report = PublishReport::blank(&options.url, joined.attempts);
    report.deleted = shell.leave(&mut publisher, &joined).await;
    report.seconds = seconds_connected(&publisher, ended_at);
    report.times_ms.answer = ms_between(joined.posted_at, Some(joined.answered_at));
    report.times_ms.connected = ms_between(joined.posted_at, publisher.connected_at());
    report.take_media(options.codec, &publisher.stats());
    report.fail(shell::failure(&publisher, &joined, outcome));
    Ok(report)
}

/// Plays until the time is over or `stop` is cancelled, judges what came, and ends with a DELETE.
///
/// Errors are for sessions that never were. One that broke, or brought less than expected, is a report that
/// is not `ok`.
pub async fn play(options: PlayOptions, stop: CancellationToken) -> Result<PlayReport, ClientError> {
    let mut shell =
        Shell::open(&options.url, options.key.as_deref(), options.ca.as_deref(), options.wait, stop).await?;
    let mut player = Player::new(Instant::now(), &shell.addresses());
    let (reply, joined) = shell.join(player.sdp()).await?;
    let accepted = match reply {
        Reply::Answer(sdp) => player.accept_answer(Instant::now(), &sdp).map_err(ClientError::from),
        Reply::CounterOffer(sdp) => shell.answer(&sdp, &joined).await.map(|answering| player = answering),
    };
    if let Err(error) = accepted {
        shell.leave(&mut player, &joined).await;
        return Err(error);
    }
    let mut outcome = shell.connect(&mut player, &joined).await;
    if outcome == Outcome::Reached {
        let until = options.length.map(|length| Instant::now() + length);
        outcome = shell.drive(&mut player, until, |_| false).await;
    }
    let ended_at = Instant::now();
    let mut report = PlayReport::blank(&options.url, joined.attempts);
    report.deleted = shell.leave(&mut player, &joined).await;
    report.seconds = seconds_connected(&player, ended_at);
    report.times_ms.answer = ms_between(joined.posted_at, Some(joined.answered_at));
    report.times_ms.connected = ms_between(joined.posted_at, player.connected_at());
    report.take_media(player.tracks(joined.posted_at, ended_at), &player.stats());
    report.fail(shell::failure(&player, &joined, outcome));
    if player.connected_at().is_some() {
        report.fail(judge(&options.expect, &report.tracks));
    }
    Ok(report)
}

fn seconds_connected(machine: &impl Machine, ended_at: Instant) -> f64 {
    let connected_at = machine.connected_at().unwrap_or(ended_at);
    rounded(ended_at.saturating_duration_since(connected_at).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_how_long_to_publish() {
        let ten = Duration::from_secs(10);
        assert_eq!(Length::from_flags(None, false), Length::Once);
        assert_eq!(Length::from_flags(None, true), Length::Forever);
        assert_eq!(Length::from_flags(Some(ten), false), Length::For(ten));
        assert_eq!(Length::from_flags(Some(ten), true), Length::For(ten));
    }
}
