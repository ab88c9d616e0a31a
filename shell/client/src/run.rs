//! The two commands: HTTP, UDP and the clock around the publisher and the player.

use crate::clip::Clip;
use crate::error::{ClientError, Failure};
use crate::expect::Expectation;
use crate::link::{Datagram, Ending};
use crate::player::Player;
use crate::publisher::{Publisher, PublisherConfig};
use crate::report::{
    PlayReport, PlayTimes, PublishReport, PublishTimes, SCHEMA, judge, ms_between, printable,
};
use crate::signalling::{self, Backoff, Reply, Session, Signalling};
use crate::sockets::Sockets;
use reqwest::Url;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wtn_media::Codec;

/// How long a POST under way may still bring a session that then has to be deleted.
const STOPPED_POST_MAX: Duration = Duration::from_secs(2);
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
    /// From connected on; without it, until stopped.
    pub length: Option<Duration>,
    /// How long to try to get connected, waiting for a publisher included.
    pub wait: Duration,
    /// What must arrive for the report to be `ok`.
    pub expect: Expectation,
}

/// Cancelled by SIGINT (Ctrl-C) or SIGTERM: the `stop` of a command line.
pub fn stop_on_signals() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated() => {}
        }
        stopping.cancel();
    });
    stop
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
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
    let mut shell = Shell::open(&options.url, options.key.as_deref(), options.wait, stop).await?;
    let config = PublisherConfig { length, rtp_start: rand::random() };
    let mut publisher = Publisher::new(Instant::now(), clip, &shell.sockets.addresses(), config);
    let joined = match shell.join(publisher.offer()).await? {
        (Reply::Answer { sdp, session, posted_at, at }, attempts) => {
            if let Err(bad) = publisher.accept_answer(Instant::now(), &sdp) {
                shell.leave(&mut publisher, &session).await;
                return Err(bad.into());
            }
            Joined { session, posted_at, answered_at: at, attempts }
        }
        (Reply::CounterOffer { session, .. }, _) => {
            shell.leave(&mut publisher, &session).await;
            return Err(ClientError::BadReply("a counter-offer, which WHIP does not have".to_owned()));
        }
        (Reply::Later { error, .. }, _) => return Err(error),
    };
    let outcome = shell.connect(&mut publisher).await;
    let outcome = match outcome {
        Outcome::Reached => shell.drive(&mut publisher, None, Publisher::is_over).await,
        other => other,
    };
    let ended_at = Instant::now();
    let deleted = shell.leave(&mut publisher, &joined.session).await;
    let failures = shell.failures(&publisher, outcome);
    let mut report = PublishReport {
        schema: SCHEMA,
        url: printable(&options.url),
        ok: failures.is_empty(),
        failures,
        attempts: joined.attempts,
        seconds: seconds_connected(&publisher, ended_at),
        times_ms: PublishTimes {
            answer: ms_between(joined.posted_at, Some(joined.answered_at)),
            connected: ms_between(joined.posted_at, publisher.connected_at()),
        },
        tracks: Vec::new(),
        retransmissions: 0,
        keyframe_requests: 0,
        lost: 0,
        rtt_ms: None,
        deleted,
    };
    report.take_stats(options.codec, &publisher.stats());
    Ok(report)
}

/// Plays until the time is over or `stop` is cancelled, judges what came, and ends with a DELETE.
///
/// Errors are for sessions that never were. One that broke, or brought less than expected, is a report that
/// is not `ok`.
pub async fn play(options: PlayOptions, stop: CancellationToken) -> Result<PlayReport, ClientError> {
    let mut shell = Shell::open(&options.url, options.key.as_deref(), options.wait, stop).await?;
    let mut player = Player::new(Instant::now(), &shell.sockets.addresses());
    let (reply, attempts) = shell.join(player.sdp()).await?;
    let joined = match reply {
        Reply::Answer { sdp, session, posted_at, at } => {
            if let Err(bad) = player.accept_answer(Instant::now(), &sdp) {
                shell.leave(&mut player, &session).await;
                return Err(bad.into());
            }
            Joined { session, posted_at, answered_at: at, attempts }
        }
        Reply::CounterOffer { sdp, session, posted_at, at } => {
            player = shell.answer(&sdp, &session).await?;
            Joined { session, posted_at, answered_at: at, attempts }
        }
        Reply::Later { error, .. } => return Err(error),
    };
    let outcome = shell.connect(&mut player).await;
    let outcome = match (outcome, player.connected_at()) {
        (Outcome::Reached, Some(connected_at)) => {
            let until = options.length.map(|length| connected_at + length);
            shell.drive(&mut player, until, |_| false).await
        }
        (other, _) => other,
    };
    let ended_at = Instant::now();
    let deleted = shell.leave(&mut player, &joined.session).await;
    Ok(shell.play_report(&options, &player, outcome, &joined, ended_at, deleted))
}

/// A session that the server has granted.
struct Joined {
    session: Session,
    posted_at: Instant,
    answered_at: Instant,
    attempts: u32,
}

/// Why [`Shell::drive`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// What was waited for is there.
    Reached,
    /// The time is up.
    TimeUp,
    /// Somebody wants us to stop.
    Stopped,
    /// The session has ended by itself.
    Ended,
    /// The connection did not come about.
    NotConnected,
}

/// What publisher and player have in common.
trait Machine {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, bytes: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self) -> Option<Datagram>;
    fn next_timeout(&self) -> Option<Instant>;
    fn connected_at(&self) -> Option<Instant>;
    fn ending(&self) -> Option<&Ending>;
    fn close(&mut self, now: Instant);
}

macro_rules! machine {
    ($name:ty) => {
        impl Machine for $name {
            fn handle_datagram(
                &mut self,
                now: Instant,
                source: SocketAddr,
                destination: SocketAddr,
                bytes: &[u8],
            ) {
                self.handle_datagram(now, source, destination, bytes);
            }
            fn handle_timeout(&mut self, now: Instant) {
                self.handle_timeout(now);
            }
            fn poll_transmit(&mut self) -> Option<Datagram> {
                self.poll_transmit()
            }
            fn next_timeout(&self) -> Option<Instant> {
                self.next_timeout()
            }
            fn connected_at(&self) -> Option<Instant> {
                self.connected_at()
            }
            fn ending(&self) -> Option<&Ending> {
                self.ending()
            }
            fn close(&mut self, now: Instant) {
                self.close(now);
            }
        }
    };
}

machine!(Publisher);
machine!(Player);

/// Sockets, HTTP, and when to give up.
struct Shell {
    endpoint: Url,
    signalling: Signalling,
    sockets: Sockets,
    started_at: Instant,
    deadline: Instant,
    stop: CancellationToken,
}

impl Shell {
    async fn open(
        url: &str,
        key: Option<&str>,
        wait: Duration,
        stop: CancellationToken,
    ) -> Result<Self, ClientError> {
        let endpoint = signalling::endpoint(url)?;
        let signalling = Signalling::new(key)?;
        let sockets = Sockets::open(&addresses_of(&endpoint).await).await?;
        let started_at = Instant::now();
        Ok(Self { endpoint, signalling, sockets, started_at, deadline: started_at + wait, stop })
    }

    /// POSTs until the server grants a session, refuses for good, or the time is over. Counts the POSTs.
    async fn join(&self, offer: &str) -> Result<(Reply, u32), ClientError> {
        let mut backoff = Backoff::default();
        for attempt in 1.. {
            let (after, error) = match self.post(offer).await? {
                Reply::Later { after, error } => (after, error),
                reply => return Ok((reply, attempt)),
            };
            let delay = backoff.after_refusal(after);
            if Instant::now() + delay > self.deadline {
                return Err(error);
            }
            tracing::info!(%error, "trying again in {:.1} s", delay.as_secs_f64());
            tokio::select! {
                () = self.stop.cancelled() => return Err(ClientError::Stopped),
                () = tokio::time::sleep(delay) => {}
            }
        }
        Err(ClientError::Stopped)
    }

    /// One POST. If it is stopped half-way, a session that it may have made is deleted.
    async fn post(&self, offer: &str) -> Result<Reply, ClientError> {
        let post = self.signalling.post(&self.endpoint, offer);
        tokio::pin!(post);
        tokio::select! {
            reply = &mut post => return reply,
            () = self.stop.cancelled() => {}
        }
        if let Ok(Ok(Reply::Answer { session, .. } | Reply::CounterOffer { session, .. })) =
            tokio::time::timeout(STOPPED_POST_MAX, post).await
        {
            self.signalling.delete(&session).await;
        }
        Err(ClientError::Stopped)
    }

    /// Takes a server's counter-offer (WHEP "Determining Server Response Type").
    async fn answer(&self, offer: &str, session: &Session) -> Result<Player, ClientError> {
        let answered = match Player::answering(Instant::now(), &self.sockets.addresses(), offer) {
            Ok(player) => self.signalling.patch(session, player.sdp()).await.map(|()| player),
            Err(bad) => Err(bad.into()),
        };
        if answered.is_err() {
            self.signalling.delete(session).await;
        }
        answered
    }

    async fn connect<M: Machine>(&mut self, machine: &mut M) -> Outcome {
        let connected = |machine: &M| machine.connected_at().is_some();
        match self.drive(machine, Some(self.deadline), connected).await {
            Outcome::TimeUp => Outcome::NotConnected,
            Outcome::Reached => {
                tracing::info!("connected");
                Outcome::Reached
            }
            other => other,
        }
    }

    /// Carries datagrams and time until `is_reached`, the end of the session, `until`, or a stop.
    async fn drive<M: Machine>(
        &mut self,
        machine: &mut M,
        until: Option<Instant>,
        is_reached: impl Fn(&M) -> bool,
    ) -> Outcome {
        loop {
            self.flush(machine).await;
            if is_reached(machine) {
                return Outcome::Reached;
            }
            if machine.ending().is_some() {
                return Outcome::Ended;
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Outcome::TimeUp;
            }
            let wake_at = [machine.next_timeout(), until].into_iter().flatten().min();
            // A machine that has not ended always names a time.
            let wake_at = wake_at.unwrap_or_else(Instant::now);
            tokio::select! {
                () = self.stop.cancelled() => return Outcome::Stopped,
                received = self.sockets.receive() => {
                    machine.handle_datagram(
                        Instant::now(), received.source, received.destination, &received.bytes);
                }
                () = tokio::time::sleep_until(wake_at.into()) => machine.handle_timeout(Instant::now()),
            }
        }
    }

    async fn flush<M: Machine>(&self, machine: &mut M) {
        while let Some(datagram) = machine.poll_transmit() {
            self.sockets.send(&datagram).await;
        }
    }

    /// First the DELETE, which the server answers while it still knows the session, then DTLS is closed
    /// (RFC 9725 §4.2). True if the DELETE was accepted.
    async fn leave<M: Machine>(&self, machine: &mut M, session: &Session) -> bool {
        let deleted = self.signalling.delete(session).await;
        machine.close(Instant::now());
        self.flush(machine).await;
        deleted
    }

    /// What went wrong with the session itself.
    fn failures<M: Machine>(&self, machine: &M, outcome: Outcome) -> Vec<Failure> {
        let error = match outcome {
            Outcome::Reached | Outcome::TimeUp => return Vec::new(),
            Outcome::Stopped if machine.connected_at().is_some() => return Vec::new(),
            Outcome::Stopped => ClientError::Stopped,
            Outcome::NotConnected => ClientError::NotConnected(self.deadline - self.started_at),
            Outcome::Ended => {
                let unknown = Ending::Failed("for no known reason".to_owned());
                ClientError::Ended(machine.ending().cloned().unwrap_or(unknown))
            }
        };
        vec![(&error).into()]
    }

    fn play_report(
        &self,
        options: &PlayOptions,
        player: &Player,
        outcome: Outcome,
        joined: &Joined,
        ended_at: Instant,
        deleted: bool,
    ) -> PlayReport {
        let tracks = player.tracks(joined.posted_at, ended_at);
        let mut failures = self.failures(player, outcome);
        if player.connected_at().is_some() {
            failures.extend(judge(&options.expect, &tracks));
        }
        let first = |of: fn(&crate::report::TrackReport) -> Option<f64>| {
            tracks.iter().filter_map(of).min_by(f64::total_cmp)
        };
        let times_ms = PlayTimes {
            answer: ms_between(joined.posted_at, Some(joined.answered_at)),
            connected: ms_between(joined.posted_at, player.connected_at()),
            first_packet: first(|track| track.first_packet_ms),
            first_keyframe: first(|track| track.first_keyframe_ms),
        };
        let mut report = PlayReport {
            schema: SCHEMA,
            url: printable(&options.url),
            ok: failures.is_empty(),
            failures,
            attempts: joined.attempts,
            seconds: seconds_connected(player, ended_at),
            times_ms,
            tracks,
            sound_late_ms: None,
            retransmissions: 0,
            keyframe_requests: 0,
            nacks: 0,
            deleted,
        };
        report.take_stats(&player.stats());
        report
    }
}

fn seconds_connected<M: Machine>(machine: &M, ended_at: Instant) -> f64 {
    let connected_at = machine.connected_at().unwrap_or(ended_at);
    ended_at.saturating_duration_since(connected_at).as_secs_f64()
}

/// Where the endpoint's host is, to find out by which of our addresses it is reached. Nothing if it cannot be
/// looked up: the POST will say so.
async fn addresses_of(endpoint: &Url) -> Vec<SocketAddr> {
    let host = endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = endpoint.port_or_known_default().unwrap_or(80);
    tokio::net::lookup_host((host, port)).await.map(Iterator::collect).unwrap_or_default()
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

    #[tokio::test]
    async fn hosts_are_found_by_name_and_as_literals() {
        for (url, host) in
            [("http://127.0.0.1:8080/whip/a", "127.0.0.1:8080"), ("https://[::1]/a", "[::1]:443")]
        {
            let addresses = addresses_of(&Url::parse(url).expect("a URL")).await;
            assert_eq!(addresses, [host.parse().expect("an address")]);
        }
    }
}
