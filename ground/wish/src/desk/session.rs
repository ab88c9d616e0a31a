//! PATCH and DELETE on a session.

use super::Desk;
use super::table::Session;
use crate::reply::{Effect, Ending, SDPFRAG};
use crate::request::is_media_type;
use crate::{Policy, Problem, Reply, Request, auth, entity_tag, sdpfrag};
use wtn_media::SessionId;

impl Desk {
    /// Trickled candidates are welcome and not needed; an ICE restart is refused (RFC 9725 §4.3.1 allows
    /// either half alone).
    pub(super) fn patch(&self, id: &str, request: &Request<'_>) -> Result<Reply, Problem> {
        self.authorized(id, request)?;
        let (_, session) = self.table.by_secret(id).ok_or_else(Problem::not_found)?;
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
        // Credentials that are left out are the current ones.
        let is_new = |sent: Option<&str>, ours: &str| sent.is_some_and(|sent| sent != ours);
        match (is_new(fragment.ufrag, &session.remote.ufrag), is_new(fragment.pwd, &session.remote.pwd)) {
            (false, false) => Ok(Reply::new(204)),
            (true, true) if request.if_match.is_none() => Err(Problem::tag_missing()),
            (true, true) => Err(Problem::no_restart()),
            _ => Err(Problem::half_restart()),
        }
    }

    /// Ends the session, whatever `If-Match` says (RFC 9725 §4.3.1).
    pub(super) fn delete(&mut self, id: &str, request: &Request<'_>) -> Result<Reply, Problem> {
        let session = self.authorized(id, request)?;
        self.table.remove(session);
        Ok(Reply::new(200).with_effect(Effect::End(session, Ending::Deleted)))
    }

    /// Ends a session for the operator; `None` if there is none of that id.
    pub fn end_session(&mut self, id: SessionId) -> Option<Vec<Effect>> {
        self.table.remove(id).then(|| vec![Effect::End(id, Ending::Operator)])
    }

    /// The session of that URL, if the request may touch it. Who does not know one of 2^128 URLs learns
    /// nothing but that.
    fn authorized(&self, id: &str, request: &Request<'_>) -> Result<SessionId, Problem> {
        let (id, session) = self.table.by_secret(id).ok_or_else(Problem::not_found)?;
        if !self.session_policy(session).session_url_is_capability {
            auth::session(&self.config, session.door(), session.opened_by, request.authorization)?;
        }
        Ok(id)
    }

    /// What holds for the session's endpoint.
    fn session_policy(&self, session: &Session) -> &Policy {
        self.table.name_of(session.stream).map_or(&self.config.policy, |name| self.policy(name))
    }
}
