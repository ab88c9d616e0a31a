//! The webhook: one POST a question, 2xx allows.

use crate::{BadUrl, client, sentence};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wtn_wish::{Verdict, WebhookQuestion};

/// Questions under way at once. More wait, within their time: a service that is slow is not made slower.
const AT_ONCE: usize = 64;
/// Answers kept. When there are more, all are dropped: the time they are kept for is short.
const KEPT: usize = 4_096;
/// The same trouble is logged once in this time.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Where the webhook is, and how it is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The URL. Perhaps with user and password, so `Debug` hides it.
    pub url: String,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long an answer is good for the same question; zero: it is asked every time.
    pub keep: Duration,
}

/// A service that is asked about each client.
pub struct Webhook {
    config: WebhookConfig,
    url: reqwest::Url,
    client: reqwest::Client,
    slots: Semaphore,
    kept: Mutex<HashMap<[u8; 32], (Instant, Verdict)>>,
    said: Mutex<Option<Instant>>,
}

impl Webhook {
    /// # Errors
    /// A URL that is none.
    pub fn new(config: WebhookConfig) -> Result<Self, BadUrl> {
        let (client, url) = client(&config.url, config.timeout)?;
        Ok(Self {
            config,
            url,
            client,
            slots: Semaphore::new(AT_ONCE),
            kept: Mutex::default(),
            said: Mutex::default(),
        })
    }

    /// How it is asked.
    pub fn config(&self) -> &WebhookConfig {
        &self.config
    }

    /// What it says. No answer in time, or one that is neither yes nor no, is [`Verdict::Unreachable`].
    pub async fn ask(&self, question: &WebhookQuestion) -> Verdict {
        let digest = question.digest();
        if let Some(verdict) = self.kept(&digest) {
            return verdict;
        }
        let verdict = match timeout(self.config.timeout, self.post(question)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => self.unreachable(&why),
            Err(_) => self.unreachable("no answer in time"),
        };
        if verdict != Verdict::Unreachable && !self.config.keep.is_zero() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(digest, (Instant::now(), verdict));
        }
        verdict
    }

    async fn post(&self, question: &WebhookQuestion) -> Result<Verdict, String> {
        let _slot = self.slots.acquire().await.map_err(|_| "the server stops".to_owned())?;
        let post = self.client.post(self.url.clone()).header("Content-Type", "application/json");
        let answer = post.body(question.to_json()).send().await.map_err(sentence)?;
        let status = answer.status();
        match status.as_u16() {
            200..=299 => Ok(Verdict::Allowed),
            // Its own faults, and what only a proxy before it says, are no verdicts.
            300..=399 | 407 | 408 | 425 | 429 | 500.. => Err(format!("it answers {status}")),
            _ => Ok(Verdict::Denied),
        }
    }

    fn kept(&self, digest: &[u8; 32]) -> Option<Verdict> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(digest).filter(|(at, _)| at.elapsed() < self.config.keep).map(|(_, verdict)| *verdict)
    }

    fn unreachable(&self, why: &str) -> Verdict {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            *said = Some(Instant::now());
            tracing::error!(
                why,
                fix = "see that the service behind auth.webhook.url runs",
                "the webhook does not answer, so that nobody comes in by it"
            );
        }
        Verdict::Unreachable
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("config", &self.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, keep, .. } = self;
        f.debug_struct("WebhookConfig").field("timeout", timeout).field("keep", keep).finish_non_exhaustive()
    }
}
