//! Before the desk is asked: whether this client asks too fast, and what only others can answer.

use crate::signalling::Signalling;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use wtn_auth::{KeySetUrl, Webhook};
use wtn_wish::limiter::{Limiter, Rate, Subject};
use wtn_wish::{Key, Method, Problem, Question, Reply, Request, Verdict};

/// How often it is seen to whether the keys of tokens are old.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What a wrong key costs, beside the request itself: ten times as much, so that guessing is slow.
const WRONG_KEY_COSTS: u32 = 9;
/// What asking for a session costs that there is not.
const WRONG_SESSION_COSTS: u32 = 4;

/// Who is asked elsewhere.
#[derive(Debug, Default)]
pub struct Outside {
    /// About clients.
    pub webhook: Option<Webhook>,
    /// For the keys of tokens.
    pub key_set: Option<KeySetUrl>,
}

/// How fast requests may come that change something: POST, PATCH and DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// From one address, or IPv6 network of 64 bits. Crowds come from one address too, and each of them needs
    /// some requests to join.
    pub per_address: Rate,
    /// With one credential, which a whole audience may share.
    pub per_key: Rate,
    /// Whether loopback addresses are held to the first too. They are programs on this machine, and a proxy
    /// there speaks for everybody.
    pub limit_loopback: bool,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            per_address: Rate { per_second: 100, burst: 500 },
            per_key: Rate { per_second: 1_000, burst: 5_000 },
            limit_loopback: false,
        }
    }
}

/// What is held against [`Rates`].
#[derive(Debug)]
pub(crate) struct Gate {
    limit_loopback: bool,
    addresses: Limiter,
    keys: Limiter,
}

/// Both, as the configuration has them now.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    outside: RwLock<Arc<Outside>>,
    gate: Mutex<Gate>,
}

impl Default for Gate {
    fn default() -> Self {
        let Rates { per_address, per_key, limit_loopback } = Rates::default();
        Self { limit_loopback, addresses: Limiter::new(per_address), keys: Limiter::new(per_key) }
    }
}

impl Gate {
    fn subject(&self, request: &Request<'_>) -> Option<Subject> {
        let client =
            request.client.filter(|client| self.limit_loopback || !client.to_canonical().is_loopback());
        client.map(Subject::of_address)
    }

    fn admit(&mut self, now: Instant, request: &Request<'_>) -> Result<(), Problem> {
        if let Some(subject) = self.subject(request) {
            self.addresses.take(now, subject).map_err(Problem::too_many_requests)?;
        }
        if let Some(credential) = request.authorization {
            let subject = Subject::of_key(&Key::new(credential));
            self.keys.take(now, subject).map_err(Problem::too_many_requests)?;
        }
        Ok(())
    }

    fn charge(&mut self, now: Instant, request: &Request<'_>, status: u16) {
        let cost = match (status, &request.resource) {
            (401 | 403, _) => WRONG_KEY_COSTS,
            (404, resource) if resource.is_sessions() => WRONG_SESSION_COSTS,
            _ => return,
        };
        if let Some(subject) = self.subject(request) {
            self.addresses.charge(now, subject, cost);
        }
    }
}

impl Signalling {
    /// Asks these from now on. Keys from another URL than before are forgotten.
    pub fn set_outside(&self, outside: Outside) {
        let url = |outside: &Outside| outside.key_set.as_ref().map(|key_set| key_set.url().to_owned());
        if url(&outside) != url(&self.outside()) {
            self.front().desk.forget_key_set();
        }
        *self.asking.outside.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(outside);
    }

    /// Who is asked now.
    pub fn outside(&self) -> Arc<Outside> {
        Arc::clone(&self.asking.outside.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Holds requests to these rates from now on.
    pub fn set_rates(&self, rates: Rates) {
        let mut gate = self.gate();
        gate.limit_loopback = rates.limit_loopback;
        gate.addresses.set_rate(rates.per_address);
        gate.keys.set_rate(rates.per_key);
    }

    /// Keeps the keys of tokens fresh for as long as there is somebody who wants them.
    pub async fn keep_keys(this: Weak<Self>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let Some(this) = this.upgrade() else { return };
            if let Some(url) = &this.outside().key_set
                && let Some(set) = url.fetch_if_old().await
            {
                this.front().desk.set_key_set(set);
            }
        }
    }

    /// Whether the client may ask now. To be asked before its body is read.
    pub(crate) fn admit(&self, request: &Request<'_>) -> Result<(), Problem> {
        match request.method {
            Method::Post | Method::Patch | Method::Delete => self.gate().admit(Instant::now(), request),
            _ => Ok(()),
        }
    }

    /// What was refused for want of the right key costs more.
    pub(crate) fn charge(&self, request: &Request<'_>, reply: &Reply) {
        self.gate().charge(Instant::now(), request, reply.status);
    }

    /// Finds out what only others can answer. The desk's lock is not held meanwhile.
    pub(crate) async fn find_out(&self, request: &mut Request<'_>) {
        let mut question = self.front().desk.question(request, false);
        if question.is_none() {
            return;
        }
        let outside = self.outside();
        if matches!(question, Some(Question::KeySet)) {
            if let Some(url) = &outside.key_set
                && let Some(set) = url.fetch().await
            {
                self.front().desk.set_key_set(set);
            }
            question = self.front().desk.question(request, true);
        }
        if let Some(Question::Webhook(question)) = question {
            request.verdict = Some(match &outside.webhook {
                Some(webhook) => webhook.ask(&question).await,
                None => Verdict::Unreachable,
            });
        }
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.asking.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
