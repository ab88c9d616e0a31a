//! Sockets, HTTP and the clock for either machine, and when to give up.

use crate::error::{ClientError, Failure};
use crate::link::{Ending, Machine};
use crate::player::Player;
use crate::signalling::{self, Backoff, Granted, Posted, Reply, Signalling};
use crate::sockets::Sockets;
use reqwest::Url;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a POST under way may still bring a session that then has to be deleted.
const STOPPED_POST_MAX: Duration = Duration::from_secs(2);
/// However long a player has waited for its publisher, it then gets this long to connect, unless the whole
/// wait was to be shorter.
const CONNECT_MIN: Duration = Duration::from_secs(5);

/// A session that the server has granted.
pub(super) struct Joined {
    session: signalling::Session,
    pub posted_at: Instant,
    pub answered_at: Instant,
    /// POSTs that it took.
    pub attempts: u32,
    connect_by: Instant,
}

/// Why [`Shell::drive`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
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

pub(super) struct Shell {
    endpoint: Url,
    signalling: Signalling,
    sockets: Sockets,
    wait: Duration,
    deadline: Instant,
    stop: CancellationToken,
}

impl Shell {
    pub async fn open(
        url: &str,
        key: Option<&str>,
        ca: Option<&Path>,
        wait: Duration,
        stop: CancellationToken,
    ) -> Result<Self, ClientError> {
        let endpoint = signalling::endpoint(url)?;
        let signalling = Signalling::new(key, ca)?;
        let sockets = Sockets::open(&addresses_of(&endpoint).await).await?;
        Ok(Self { endpoint, signalling, sockets, wait, deadline: Instant::now() + wait, stop })
    }

    /// The candidates.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.addresses()
    }

    /// POSTs until the server grants a session, refuses for good, or the time is over.
    pub async fn join(&self, offer: &str) -> Result<(Reply, Joined), ClientError> {
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (after, error) = match self.post(offer).await? {
                Posted::Granted(granted) => return Ok(self.joined(granted, attempts)),
                Posted::Later { after, error } => (after, error),
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            let Some(delay) = backoff.after_refusal(after, left) else {
                return Err(error);
            };
            tracing::info!(%error, "trying again in {:.1} s", delay.as_secs_f64());
            tokio::select! {
                () = self.stop.cancelled() => return Err(ClientError::Stopped),
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    fn joined(&self, granted: Granted, attempts: u32) -> (Reply, Joined) {
        let Granted { reply, session, posted_at, answered_at } = granted;
        let connect_by = self.deadline.max(answered_at + self.wait.min(CONNECT_MIN));
        (reply, Joined { session, posted_at, answered_at, attempts, connect_by })
    }

    /// One POST. If it is stopped half-way, a session that it may have made is deleted.
    async fn post(&self, offer: &str) -> Result<Posted, ClientError> {
        let post = self.signalling.post(&self.endpoint, offer);
        tokio::pin!(post);
        tokio::select! {
            posted = &mut post => return posted,
            () = self.stop.cancelled() => {}
        }
        if let Ok(Ok(Posted::Granted(granted))) = tokio::time::timeout(STOPPED_POST_MAX, post).await {
            self.signalling.delete(&granted.session).await;
        }
        Err(ClientError::Stopped)
    }

    /// Takes a server's counter-offer (WHEP "Determining Server Response Type").
    pub async fn answer(&self, offer: &str, joined: &Joined) -> Result<Player, ClientError> {
        let player = Player::answering(Instant::now(), &self.addresses(), offer)?;
        self.signalling.patch(&joined.session, player.sdp()).await?;
        Ok(player)
    }

    /// Waits for ICE and DTLS.
    pub async fn connect<M: Machine>(&mut self, machine: &mut M, joined: &Joined) -> Outcome {
        let connected = |machine: &M| machine.connected_at().is_some();
        let outcome = self.drive(machine, Some(joined.connect_by), connected).await;
        match outcome {
            Outcome::TimeUp => Outcome::NotConnected,
            Outcome::Reached => {
                tracing::info!("connected");
                outcome
            }
            _ => outcome,
        }
    }

    /// Carries datagrams and time until `is_reached`, the end of the session, `until`, or a stop.
    pub async fn drive<M: Machine>(
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
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Outcome::TimeUp;
            }
            // A machine that has not ended always names a time.
            let wake_at = [machine.next_timeout(), until].into_iter().flatten().min().unwrap_or(now);
            tokio::select! {
                () = self.stop.cancelled() => return Outcome::Stopped,
                received = self.sockets.receive() => {
                    let (source, destination) = (received.source, received.destination);
                    machine.handle_datagram(Instant::now(), source, destination, &received.bytes);
                }
                () = tokio::time::sleep_until(wake_at.into()) => machine.handle_timeout(Instant::now()),
            }
        }
    }

    /// First the DELETE, which the server answers while it still knows the session, then DTLS is closed
    /// (RFC 9725 §4.2). True if the DELETE was accepted.
    pub async fn leave(&self, machine: &mut impl Machine, joined: &Joined) -> bool {
        let deleted = self.signalling.delete(&joined.session).await;
        machine.close(Instant::now());
        self.flush(machine).await;
        deleted
    }

    async fn flush(&self, machine: &mut impl Machine) {
        while let Some(datagram) = machine.poll_transmit() {
            self.sockets.send(&datagram).await;
        }
    }
}

/// What went wrong with the session itself, if anything.
pub(super) fn failure(machine: &impl Machine, joined: &Joined, outcome: Outcome) -> Vec<Failure> {
    let error = match outcome {
        Outcome::Reached | Outcome::TimeUp => return Vec::new(),
        Outcome::Stopped if machine.connected_at().is_some() => return Vec::new(),
        Outcome::Stopped => ClientError::Stopped,
        Outcome::NotConnected => ClientError::NotConnected(joined.connect_by - joined.answered_at),
        Outcome::Ended => {
            let unknown = Ending::Failed("for no known reason".to_owned());
            ClientError::Ended(machine.ending().cloned().unwrap_or(unknown))
        }
    };
    vec![(&error).into()]
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
