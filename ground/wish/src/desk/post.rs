//! POST to an endpoint: an offer in, a session and an answer out.

use super::Desk;
use super::table::{Part, Phase, Session, Stream, formats_of};
use crate::auth::{self, Door, OpenedBy};
use crate::reply::{Effect, SDP, SDPFRAG};
use crate::request::{is_media_type, is_stream_name};
use crate::token::{self, Secret};
use crate::{Problem, Random, Reply, Request};
use std::time::Instant;
use wtn_media::{Admission, IceCredentials, Role};
use wtn_sdp::{Answered, Offer, answer_publisher, answer_subscriber};

impl Desk {
    pub(super) fn post(
        &mut self,
        now: Instant,
        door: Door,
        name: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        let opened_by = auth::endpoint(&self.config, door, request.authorization)?;
        if !is_stream_name(name) {
            return Err(Problem::bad_name());
        }
        self.check_known(name)?;
        if !is_media_type(request.content_type, SDP) {
            return Err(Problem::offer_wanted());
        }
        if request.body.len() > Request::BODY_LEN_MAX {
            return Err(Problem::body_too_large());
        }
        let offer = Offer::parse(request.body)?;
        self.check_room(door, name)?;
        let local = self.local(name, request.reached_by, random);
        let answered = match (door, self.table.stream(name)) {
            (Door::Publish, _) => answer_publisher(&offer, &local)?,
            (Door::Play, stream) => {
                answer_subscriber(&offer, &local, &stream.map(Stream::tracks).unwrap_or_default())?
            }
        };
        Ok(self.admit(now, door, name, opened_by, local.ice, answered, random))
    }

    #[expect(clippy::too_many_arguments, reason = "what one POST brought together, used once")]
    fn admit(
        &mut self,
        now: Instant,
        door: Door,
        name: &str,
        opened_by: OpenedBy,
        local: IceCredentials,
        answered: Answered,
        random: &mut dyn Random,
    ) -> Reply {
        let (secret, tag) = (Secret::new(random), token::hex::<8>(random));
        let session = self.table.next_session();
        let (stream, epoch) = self.table.open_stream(name);
        let (role, part) = match door {
            Door::Publish => {
                (Role::Publisher { epoch }, Part::Publisher { epoch, formats: formats_of(&answered.plan) })
            }
            Door::Play => (Role::Subscriber, Part::Viewer),
        };
        let connect_by = now + self.config.connect_within;
        let remote = answered.remote.clone();
        let (ice_frame, phase) = (answered.ice_frame, Phase::HalfOpen);
        self.table.add(
            name,
            Session { stream, secret, tag: tag.clone(), remote, ice_frame, opened_by, part, phase },
            connect_by,
        );
        let admission = Admission {
            session,
            stream,
            role,
            local,
            remote: answered.remote,
            dtls_role: answered.dtls_role,
            fingerprints: answered.fingerprints,
            plan: answered.plan,
            connect_by,
        };
        let reply = Reply::new(201)
            .with_body(SDP, answered.sdp)
            .with("Location", self.location(secret))
            .with("ETag", format!("\"{tag}\""))
            .with("Accept-Post", SDP)
            .with_effect(Effect::Admit(Box::new(admission)));
        if self.takes_patch() { reply.with("Accept-Patch", SDPFRAG) } else { reply }
    }
}
