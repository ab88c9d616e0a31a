//! The keys of an identity server, fetched from its JWKS URL.

use crate::{BadUrl, client, sentence};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use wtn_wish::KeySet;

/// Real documents have some KiB.
const LEN_MAX: usize = 256 * 1024;
const FETCH_WITHIN: Duration = Duration::from_secs(5);
/// Not more often, whatever tokens say: anybody can make up the name of a key.
const PAUSE: Duration = Duration::from_secs(10);
/// And at least so often, so that a key that was taken back is believed no longer than that.
const GOOD_FOR: Duration = Duration::from_secs(3600);

/// A URL with keys behind it.
pub struct KeySetUrl {
    text: String,
    url: reqwest::Url,
    client: reqwest::Client,
    times: Mutex<Times>,
    pause: Duration,
}

#[derive(Debug, Default)]
struct Times {
    tried: Option<Instant>,
    fetched: Option<Instant>,
}

impl KeySetUrl {
    /// # Errors
    /// A URL that is none.
    pub fn new(url: &str) -> Result<Self, BadUrl> {
        let (client, parsed) = client(url, FETCH_WITHIN)?;
        Ok(Self { text: url.to_owned(), url: parsed, client, times: Mutex::default(), pause: PAUSE })
    }

    /// With another pause between two fetches.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.text
    }

    /// The keys as they are now, if they were not fetched only just. Who asks while they are being fetched waits
    /// and then has `None`, and finds what the first one brought. `None` too if they cannot be had: those one has
    /// stay good.
    pub async fn fetch(&self) -> Option<KeySet> {
        let asked = Instant::now();
        let mut times = self.times.lock().await;
        // Somebody has just been there, perhaps while we waited.
        if times.tried.is_some_and(|tried| tried >= asked || tried.elapsed() < self.pause) {
            return None;
        }
        let fetched = self.get().await;
        times.tried = Some(Instant::now());
        match fetched {
            Ok(set) => {
                times.fetched = times.tried;
                tracing::info!(keys = set.len(), "the keys of tokens were fetched");
                Some(set)
            }
            Err(why) => {
                tracing::warn!(
                    why,
                    fix = "see that the URL in auth.jwt.jwks_url answers; until then the keys that were known stay good",
                    "the keys of tokens could not be fetched"
                );
                None
            }
        }
    }

    /// As [`fetch`](Self::fetch), if the last time was long ago.
    pub async fn fetch_if_old(&self) -> Option<KeySet> {
        let is_fresh = self.times.lock().await.fetched.is_some_and(|fetched| fetched.elapsed() < GOOD_FOR);
        if is_fresh { None } else { self.fetch().await }
    }

    async fn get(&self) -> Result<KeySet, String> {
        let get =
            self.client.get(self.url.clone()).header("Accept", "application/jwk-set+json, application/json");
        let mut answer = get.send().await.map_err(sentence)?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(sentence)? {
            if body.len() + chunk.len() > LEN_MAX {
                return Err(format!("it sends more than {LEN_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        KeySet::from_json(&body)
    }
}

/// Without the URL, which may hold a secret.
impl fmt::Debug for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySetUrl").field("times", &self.times).finish_non_exhaustive()
    }
}
