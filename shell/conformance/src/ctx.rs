//! What a check has to work with: requests, sessions that are cleaned up after it, a stream that is on air.

use crate::Options;
use crate::answer::Answer;
use crate::http::{Connector, Request};
use crate::sdp::{Offer, Sdp, token};
use crate::stage::Stage;
use crate::verdict::{Stop, skip, want_status};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

pub(crate) const SDP: &str = "application/sdp";
pub(crate) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// The half of the server that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Whip,
    Whep,
}

/// What all checks share.
pub(crate) struct Target {
    pub options: Options,
    pub connector: Connector,
    pub stage: OnceCell<Result<Stage, Stop>>,
}

/// One check's own things.
pub(crate) struct Ctx {
    pub target: Arc<Target>,
    pub door: Door,
    /// The name of the check's own stream.
    pub name: String,
    names: AtomicU32,
    /// Sessions to end when the check is over, each with the key that made it.
    open: Mutex<Vec<(Url, Option<String>)>>,
}

/// A session that the server has answered with 201.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub url: Url,
    pub etag: String,
    pub key: Option<String>,
    pub answer: Answer,
    pub sdp: Sdp,
    /// Our credentials.
    pub ufrag: String,
    pub pwd: String,
}

impl Ctx {
    pub fn new(target: &Arc<Target>, door: Door, row: &str) -> Arc<Self> {
        let row = row.to_ascii_lowercase();
        let name = format!("{}-{row}-{}", target.options.stream_prefix, token(5));
        let (names, open) = Default::default();
        Arc::new(Self { target: Arc::clone(target), door, name, names, open })
    }

    /// Another name of our own.
    pub fn fresh(&self) -> String {
        format!("{}-{}", self.name, self.names.fetch_add(1, Ordering::Relaxed))
    }

    pub fn whip(&self, name: &str) -> Result<Url, Stop> {
        self.target
            .options
            .whip
            .as_ref()
            .map_or_else(|| skip("no WHIP URL given"), |place| Ok(place.url(name)))
    }

    pub fn whep(&self, name: &str) -> Result<Url, Stop> {
        self.target
            .options
            .whep
            .as_ref()
            .map_or_else(|| skip("no WHEP URL given"), |place| Ok(place.url(name)))
    }

    /// Ends the check unless names can be chosen freely.
    pub fn wants_names(&self) -> Result<(), Stop> {
        match &self.target.options.whip {
            Some(place) if place.is_pattern() => Ok(()),
            _ => skip("needs a WHIP URL with {name}, or a base URL"),
        }
    }

    /// The endpoint of this check: for WHIP a stream of its own, another one with each call, as a server may keep
    /// second publishers out; for WHEP the stream on air.
    pub async fn endpoint(&self) -> Result<Url, Stop> {
        match self.door {
            Door::Whip => self.whip(&self.fresh()),
            Door::Whep => Ok(self.stage().await?.whep.clone()),
        }
    }

    pub fn offer(&self) -> Offer {
        match self.door {
            Door::Whip => Offer::publish(),
            Door::Whep => Offer::play(),
        }
    }

    pub fn key(&self) -> Option<&str> {
        self.key_of(self.door)
    }

    pub fn key_of(&self, door: Door) -> Option<&str> {
        match door {
            Door::Whip => self.target.options.key.as_deref(),
            Door::Whep => self.target.options.play_key.as_deref(),
        }
    }

    /// The stream that is on air for everybody.
    pub async fn stage(&self) -> Result<&Stage, Stop> {
        let stage = self.target.stage.get_or_init(|| Stage::open(self)).await;
        stage.as_ref().map_err(Clone::clone)
    }

    /// A request with the key of this check's side.
    pub fn request(&self, method: &str, url: &Url) -> Request {
        self.request_as(method, url, self.key())
    }

    pub fn request_as(&self, method: &str, url: &Url, key: Option<&str>) -> Request {
        let request = Request::new(method, url);
        match key {
            Some(key) => request.header("Authorization", format!("Bearer {key}")),
            None => request,
        }
    }

    pub async fn send(&self, request: Request) -> Result<Answer, Stop> {
        self.send_bytes(&request, &request.bytes()).await
    }

    /// Sends what stands in `bytes`; sessions that come of it are noted, to be ended.
    pub async fn send_bytes(&self, request: &Request, bytes: &[u8]) -> Result<Answer, Stop> {
        let answer = self.target.connector.exchange(&request.url, &request.method, bytes).await?;
        if matches!(answer.status, 201 | 406)
            && let Some(url) = answer.header("Location").and_then(|location| request.url.join(location).ok())
        {
            let key = request.headers.iter().find(|(name, _)| name == "Authorization");
            let key = key.and_then(|(_, value)| value.split_once(' ')).map(|(_, key)| key.to_owned());
            self.open.lock().unwrap_or_else(PoisonError::into_inner).push((url, key));
        }
        Ok(answer)
    }

    pub async fn get(&self, method: &str, url: &Url) -> Result<Answer, Stop> {
        self.send(self.request(method, url)).await
    }

    /// POST of an offer. Where the server asks for patience, it gets some.
    pub async fn post(&self, url: &Url, offer: &str) -> Result<Answer, Stop> {
        self.post_as(url, offer, self.key()).await
    }

    pub async fn post_as(&self, url: &Url, offer: &str, key: Option<&str>) -> Result<Answer, Stop> {
        let mut url = url.clone();
        for _ in 0..6 {
            let answer = self.send(self.request_as("POST", &url, key).body(SDP, offer)).await?;
            let pause = answer.header("Retry-After").and_then(|after| after.parse::<u64>().ok());
            match (answer.status, pause, answer.header("Location")) {
                (429 | 503, Some(seconds), _) if seconds <= 15 => {
                    tokio::time::sleep(Duration::from_secs(seconds.max(1))).await;
                }
                // One endpoint for all, and the check's own session before this one is in the way.
                (409, ..)
                    if self.door == Door::Whip && self.wants_names().is_err() && self.has_sessions() =>
                {
                    self.clean_up().await;
                }
                (307 | 308, _, Some(location)) if url.join(location).is_ok() => {
                    url = url.join(location).unwrap_or(url)
                }
                _ => return Ok(answer),
            }
        }
        Err(Stop::Fail("POST: six times redirected, or told to come later".to_owned()))
    }

    /// A session on this check's endpoint.
    pub async fn open(&self) -> Result<Session, Stop> {
        let url = self.endpoint().await?;
        self.open_at(&url, &self.offer().text(), self.key()).await
    }

    pub async fn open_at(&self, url: &Url, offer: &str, key: Option<&str>) -> Result<Session, Stop> {
        let answer = self.post_as(url, offer, key).await?;
        want_status!(answer, 201, "POST of a good offer");
        let location =
            answer.header("Location").ok_or_else(|| Stop::Fail("the 201 has no Location".to_owned()))?;
        let url = url.join(location).map_err(|_| Stop::Fail(format!("Location is no URL: {location}")))?;
        let ours = Sdp::read(offer);
        let value = |name| ours.first(name).unwrap_or_default().to_owned();
        Ok(Session {
            url,
            etag: answer.header("ETag").unwrap_or_default().to_owned(),
            key: key.map(str::to_owned),
            sdp: Sdp::read(&answer.text()),
            ufrag: value("ice-ufrag"),
            pwd: value("ice-pwd"),
            answer,
        })
    }

    /// An offer that a check has made odd: what the server says.
    pub async fn try_offer(&self, offer: &str) -> Result<Answer, Stop> {
        let url = match self.door {
            Door::Whip => self.whip(&self.fresh())?,
            Door::Whep => self.endpoint().await?,
        };
        if self.door == Door::Whip && self.wants_names().is_err() {
            // One endpoint for all: what this check had before would be in the way.
            self.clean_up().await;
        }
        let probe = Self::new(&self.target, self.door, "probe");
        let answer = probe.post(&url, offer).await;
        probe.clean_up().await;
        answer
    }

    pub async fn delete(&self, session: &Session) -> Result<Answer, Stop> {
        self.send(self.request_as("DELETE", &session.url, session.key.as_deref())).await
    }

    /// PATCH of a fragment.
    pub async fn patch(&self, session: &Session, tag: Option<&str>, body: &str) -> Result<Answer, Stop> {
        let request = self.request_as("PATCH", &session.url, session.key.as_deref());
        let request = match tag {
            Some(tag) => request.header("If-Match", tag),
            None => request,
        };
        self.send(request.body(FRAGMENT, body)).await
    }

    /// Whether the session's URL still has somebody behind it.
    pub async fn lives(&self, session: &Session) -> Result<bool, Stop> {
        let answer = self.send(self.request_as("GET", &session.url, session.key.as_deref())).await?;
        Ok((200..300).contains(&answer.status))
    }

    fn has_sessions(&self) -> bool {
        !self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Ends whatever this check has opened.
    pub async fn clean_up(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for (url, key) in open {
            let _ = self.send(self.request_as("DELETE", &url, key.as_deref())).await;
        }
    }
}

impl Session {
    /// A trickle with these credentials and one candidate of the address block for documentation.
    pub fn trickle(&self) -> String {
        fragment(&self.ufrag, &self.pwd, "a=candidate:1 1 udp 2130706431 192.0.2.9 40000 typ host\r\n")
    }
}

/// A fragment with one section.
pub(crate) fn fragment(ufrag: &str, pwd: &str, lines: &str) -> String {
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{lines}"
    )
}
