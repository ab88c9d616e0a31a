//! Who comes in, and whose time is up: the desk's side of `auth`.

use super::Desk;
use crate::auth::{Door, Lock, OpenedBy, bearer};
use crate::{AdminRequest, Effect, Family, Key, KeySet, Method, Problem, Question, Request, Resource};

impl Desk {
    /// Whether that request may administer the server.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn may_administer(&self, request: &AdminRequest<'_>) -> Result<(), Problem> {
        self.config.may_administer(request)
    }

    /// What is to be found out before [`handle`](Self::handle) can judge the request. The answer to
    /// [`Question::Webhook`] goes into [`Request::verdict`], that to [`Question::KeySet`] is a call of
    /// [`set_key_set`](Self::set_key_set), after which this is to be asked once more, and told that there are no
    /// newer keys to be had.
    pub fn question(&self, request: &Request<'_>, has_newest_keys: bool) -> Option<Question> {
        let named = self.named_by_bearer(request);
        let request = &named.as_ref().map_or_else(|| request.clone(), |named| named.request(request.clone()));
        let (door, name) = match &request.resource {
            // Its apps' tokens are judged here.
            _ if request.family == Family::Talwtn => return None,
            Resource::WhipEndpoint(name) => (Door::Publish, name),
            Resource::WhepEndpoint(name) => (Door::Play, name),
            _ => return None,
        };
        let asks = request.method == Method::Post && request.verdict.is_none();
        asks.then(|| self.lock(name).question(door, name, request, has_newest_keys)).flatten()
    }

    /// These are the keys behind the JWKS URL now.
    pub fn set_key_set(&mut self, set: KeySet) {
        self.key_set = Some(set);
    }

    /// The JWKS URL is another one: what came from the old one is believed no more.
    pub fn forget_key_set(&mut self) {
        self.key_set = None;
    }

    /// What the doors of that stream are locked with.
    pub(super) fn lock(&self, name: &str) -> Lock<'_> {
        let has_url = self.config.auth.jwt.as_ref().is_some_and(|rules| rules.has_key_set);
        let key_set = self.key_set.as_ref().filter(|_| has_url);
        Lock { config: &self.config, key_set, endpoint: self.endpoint(name) }
    }

    /// A wrong key may be the right one of another endpoint: that is 403, not 401.
    pub(super) fn elsewhere(&self, problem: Problem, request: &Request<'_>) -> Problem {
        let Some(token) = request.authorization.and_then(bearer).filter(|_| problem.code == "bad_token")
        else {
            return problem;
        };
        let key = Key::new(token);
        let keys =
            self.endpoints().flat_map(|endpoint| endpoint.publish_keys.iter().chain(&endpoint.play_keys));
        let of_server = self.config.publish_keys.iter().chain(&self.config.play_keys);
        match keys.map(|each| &each.key).chain(of_server).fold(false, |found, each| found | (*each == key)) {
            true => Problem::wrong_scope("This key is for another stream."),
            false => problem,
        }
    }

    /// A session was opened so.
    pub(super) fn note_end(&mut self, door: Door, name: &str, opened_by: OpenedBy) {
        let end = self.lock(name).ends_at(door, opened_by).unwrap_or(u64::MAX);
        self.next_expiry = self.next_expiry.min(end);
    }

    /// Keys have changed: the next tick looks at every session.
    pub(super) fn look_through(&mut self) {
        self.next_expiry = 0;
    }

    /// Ends the sessions whose key or token has expired or was taken back, where the policy says so.
    pub(super) fn end_expired(&mut self, unix_now: u64) -> Vec<Effect> {
        if unix_now < self.next_expiry {
            return Vec::new();
        }
        let mut next = u64::MAX;
        let mut endings = Vec::new();
        for (id, session) in self.table.sessions() {
            let name = self.table.name_of(session.stream).unwrap_or_default();
            // What a TALWTN app has signed is good until its publisher goes.
            if !self.policy(name).end_on_revoke || session.way.family == Family::Talwtn {
                continue;
            }
            let (lock, door) = (self.lock(name), session.door());
            match lock.ending(door, session.opened_by, unix_now) {
                Some(ending) => endings.push((id, ending)),
                None => next = next.min(lock.ends_at(door, session.opened_by).unwrap_or(u64::MAX)),
            }
        }
        self.next_expiry = next;
        endings.sort_unstable_by_key(|(id, _)| *id);
        let end = |(id, ending)| {
            self.table.remove(id);
            Effect::End(id, ending)
        };
        endings.into_iter().map(end).collect()
    }
}
