//! PATCH and DELETE on a session.

use super::Desk;
use super::table::{Session, Way};
use crate::auth::{Door, OpenedBy};
use crate::reply::{Effect, Ending, SDPFRAG};
use crate::request::is_media_type;
use crate::sdpfrag::Intent;
use crate::token::ice_credentials;
use crate::{Policy, Problem, Random, Reply, Request, entity_tag, sdpfrag, token};
use std::time::Instant;
use wtn_media::{IceCredentials, SessionId};

impl Desk {
    /// Trickled candidates are read and not needed, for we are ICE-lite: who holds the password is found by his
    /// checks, wherever he is. New credentials are an ICE restart (RFC 9725 §4.3.3).
    pub(super) fn patch(
        &mut self,
        now: Instant,
        id: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        if let Some(pending) = self.pendings.get(id) {
            self.check_owner(&pending.name, Door::Play, (pending.opened_by, pending.way), request)?;
            return self.answer(now, id, request);
        }
        let key = self.authorized(id, request)?;
        let session = self.table.session(key).ok_or_else(Problem::not_found)?;
        if !self.takes_patch() {
            return Err(Problem::method_not_allowed(self.session_methods()));
        }
        if !is_media_type(request.content_type, SDPFRAG) {
            return Err(Problem::fragment_wanted());
        }
        match request.if_match {
            Some(tags) if !entity_tag::admits(tags, &session.tag) => return Err(Problem::tag_outdated()),
            None if !self.session_policy(session).trickle_without_tag => return Err(Problem::tag_missing()),
            _ => {}
        }
        if request.body.len() > Request::BODY_LEN_MAX {
            return Err(Problem::body_too_large());
        }
        let fragment = sdpfrag::read(request.body).map_err(Problem::bad_fragment)?;
        match fragment.intent(&session.remote) {
            Intent::Trickle if !self.config.trickle => Err(Problem::no_trickle()),
            Intent::Trickle => Ok(Reply::new(204)),
            // A late trickle of an earlier ICE session must not be taken for a restart (RFC 9725 §4.3.1).
            Intent::Restart(_) if request.if_match.is_none() => Err(Problem::tag_missing()),
            Intent::Restart(_) if !self.config.ice_restart => Err(Problem::no_restart()),
            Intent::Restart(remote) => Ok(self.restart(key, remote, request, random)),
            Intent::HalfRestart => Err(Problem::half_restart()),
        }
    }

    /// New credentials and a new entity tag; what runs goes on until the client has made use of them.
    fn restart(
        &mut self,
        key: SessionId,
        remote: IceCredentials,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Reply {
        let local = ice_credentials(random);
        let tag = token::hex::<8>(random);
        let candidates = self.candidates(request.reached_by);
        let Some(session) = self.table.session_mut(key) else { return Problem::not_found().into_reply() };
        session.remote = remote.clone();
        session.tag.clone_from(&tag);
        Reply::new(200)
            .with_body(SDPFRAG, session.ice_frame.fragment(&local, &candidates, self.config.tcp))
            .with("ETag", format!("\"{tag}\""))
            .with_effect(Effect::Restart { session: key, local, remote })
    }

    /// Whether PATCH has any use on a session.
    pub(super) const fn takes_patch(&self) -> bool {
        self.config.trickle || self.config.ice_restart
    }

    /// What `Allow` says of a session.
    pub(super) const fn session_methods(&self) -> &'static str {
        if self.takes_patch() { "OPTIONS, GET, HEAD, PATCH, DELETE" } else { "OPTIONS, GET, HEAD, DELETE" }
    }

    /// Ends the session, whatever `If-Match` says (RFC 9725 §4.3.1).
    pub(super) fn delete(&mut self, now: Instant, id: &str, request: &Request<'_>) -> Result<Reply, Problem> {
        if let Some(reply) = self.delete_departed(now, id) {
            return Ok(reply);
        }
        if let Some(pending) = self.pendings.get(id) {
            self.check_owner(&pending.name, Door::Play, (pending.opened_by, pending.way), request)?;
            self.pendings.remove(id);
            return Ok(Reply::new(200));
        }
        let session = self.authorized(id, request)?;
        let viewers = self.viewers_that_go_with(session);
        self.table.remove(session);
        let reply = Reply::new(200).with_effect(Effect::End(session, Ending::Deleted));
        Ok(viewers.into_iter().fold(reply, |reply, viewer| {
            self.table.remove(viewer);
            reply.with_effect(Effect::End(viewer, Ending::StreamDestroyed))
        }))
    }

    /// Ends a session for the operator; `None` if there is none of that id.
    pub fn end_session(&mut self, id: SessionId) -> Option<Vec<Effect>> {
        self.table.remove(id).then(|| vec![Effect::End(id, Ending::Operator)])
    }

    /// The session of that URL, if the request may touch it. Who does not know one of 2^128 URLs learns
    /// nothing but that.
    pub(super) fn authorized(&self, id: &str, request: &Request<'_>) -> Result<SessionId, Problem> {
        let (id, session) = self.table.by_secret(id).ok_or_else(Problem::not_found)?;
        let name = self.table.name_of(session.stream).unwrap_or_default();
        self.check_owner(name, session.door(), (session.opened_by, session.way), request)?;
        Ok(id)
    }

    /// Whether who asks is who opened the session.
    fn check_owner(
        &self,
        name: &str,
        door: Door,
        (opened_by, way): (OpenedBy, Way),
        request: &Request<'_>,
    ) -> Result<(), Problem> {
        if self.policy(name).session_url_is_capability || way.is_url_capability() {
            return Ok(());
        }
        let authorization = way.key_of(request.authorization);
        let request = Request { authorization: authorization.as_deref(), ..request.clone() };
        self.lock(name).session(door, name, opened_by, &request)
    }

    /// What holds for the session's endpoint.
    fn session_policy(&self, session: &Session) -> &Policy {
        self.table.name_of(session.stream).map_or(&self.config.policy, |name| self.policy(name))
    }
}
