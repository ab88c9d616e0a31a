//! The endpoints that the operator has named, and the policy that holds for each.

use super::Desk;
use super::table::Stream;
use crate::config::Names;
use crate::{Effect, Ending, Endpoint, IceServer, Policy, Problem};
use std::collections::BTreeMap;
use std::time::Duration;
use wtn_media::StreamId;

/// Every named endpoint. As many as the operator makes: nobody else can.
#[derive(Debug, Default)]
pub(super) struct Endpoints(BTreeMap<String, Named>);

#[derive(Debug)]
struct Named {
    endpoint: Endpoint,
    /// Its own policy over the server's.
    policy: Policy,
}

impl Endpoints {
    pub fn get(&self, name: &str) -> Option<&Endpoint> {
        self.0.get(name).map(|named| &named.endpoint)
    }

    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.0.get(name).map(|named| &named.policy)
    }

    /// The server's policy is another one now.
    pub fn inherit(&mut self, policy: &Policy) {
        for named in self.0.values_mut() {
            named.policy = policy.with(&named.endpoint.policy);
        }
    }
}

impl Desk {
    /// Makes an endpoint, or changes the one of that name. Running sessions go on, but for those that it
    /// forbids.
    pub fn put_endpoint(&mut self, endpoint: Endpoint) -> Vec<Effect> {
        let before = self.graces();
        let policy = self.config.policy.with(&endpoint.policy);
        self.endpoints.0.insert(endpoint.name.clone(), Named { endpoint, policy });
        self.look_through();
        self.regrace(&before)
    }

    /// Removes an endpoint and ends its sessions; `None` if there is none of that name.
    pub fn remove_endpoint(&mut self, name: &str) -> Option<Vec<Effect>> {
        self.endpoints.0.remove(name)?;
        self.pendings.forget(name);
        let sessions = self.table.sessions_of(name);
        let end = |id| {
            self.table.remove(id);
            Effect::End(id, Ending::EndpointRemoved)
        };
        Some(sessions.into_iter().map(end).collect())
    }

    /// The endpoint of that name, if the operator has made it.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.get(name)
    }

    /// Every endpoint that the operator has made, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.0.values().map(|named| &named.endpoint)
    }

    /// What holds for the endpoint of that name, made or not.
    pub fn policy(&self, name: &str) -> &Policy {
        self.endpoints.policy(name).unwrap_or(&self.config.policy)
    }

    /// The ICE servers that clients of that endpoint are told of.
    pub(super) fn ice_servers(&self, name: &str) -> &[IceServer] {
        let own = self.endpoint(name).and_then(|endpoint| endpoint.ice_servers.as_ref());
        own.unwrap_or(&self.config.ice_servers)
    }

    /// How long the viewers of each stream may wait, oldest stream first.
    pub(super) fn graces(&self) -> Vec<(StreamId, Option<Duration>)> {
        let grace = |(name, stream): (&str, &Stream)| (stream.id, self.policy(name).grace());
        let mut graces: Vec<_> = self.table.streams().map(grace).collect();
        graces.sort_unstable_by_key(|(stream, _)| *stream);
        graces
    }

    /// What differs from `before` is told to the engine: viewers are there by the old rule.
    pub(super) fn regrace(&self, before: &[(StreamId, Option<Duration>)]) -> Vec<Effect> {
        let both = self.graces().into_iter().zip(before);
        both.filter(|(now, before)| now != *before)
            .map(|((stream, grace), _)| Effect::Grace(stream, grace))
            .collect()
    }

    /// Whether there is such an endpoint. To be asked once the key was right: who has none learns nothing.
    pub(super) fn check_known(&self, name: &str) -> Result<(), Problem> {
        match self.config.names {
            Names::Listed if self.endpoint(name).is_none() => Err(Problem::unknown_stream()),
            _ => Ok(()),
        }
    }
}
