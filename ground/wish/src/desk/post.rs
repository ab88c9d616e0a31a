//! POST to an endpoint: an offer in, a session and an answer out.

use super::Desk;
use super::aliases::muted_at_first;
use super::table::{Input, Part, Phase, Place, Session, Stream, Way, formats_of};
use crate::auth::{Door, OpenedBy};
use crate::ice_servers;
use crate::reply::{Effect, SDP, SDPFRAG};
use crate::request::{is_media_type, is_stream_name};
use crate::token::{self, Secret};
use crate::{Family, Problem, Random, Reply, Request};
use std::time::Instant;
use wtn_media::{Admission, IceCredentials, MediaKind, Role};
use wtn_sdp::{Answered, Offer, StreamTracks, Terms, answer_publisher, answer_subscriber};

/// Who comes, to where, and by what right.
pub(super) struct Arrival<'a> {
    pub now: Instant,
    pub door: Door,
    pub name: &'a str,
    pub opened_by: OpenedBy,
    pub place: Option<Place>,
    pub way: Way,
    pub muted: [bool; 2],
    /// Where among the `m=` lines the picture stands.
    pub picture: Option<u8>,
    /// What it is as a publisher.
    pub input: Input,
}

impl Desk {
    pub(super) fn post(
        &mut self,
        now: Instant,
        door: Door,
        name: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        let (opened_by, way) = match request.family {
            Family::Talwtn => (OpenedBy::Nothing, self.open_talwtn(door, name, request)?),
            _ => {
                let opened_by = match self.is_handed_over(door, name, request) {
                    true => OpenedBy::Nothing,
                    false => self
                        .lock(name)
                        .open(door, name, request)
                        .map_err(|problem| self.elsewhere(problem, request))?,
                };
                if !is_stream_name(name) {
                    return Err(Problem::bad_name());
                }
                if let Some(elsewhere) = self.redirect(door, name, request) {
                    return Ok(elsewhere);
                }
                self.check_known(name)?;
                (opened_by, Way::of(request))
            }
        };
        if !is_media_type(request.content_type, SDP) {
            return Err(Problem::offer_wanted());
        }
        if request.body.len() > Request::BODY_LEN_MAX {
            return Err(Problem::body_too_large());
        }
        let offer = Offer::parse(request.body)?;
        let place = request.client.filter(|_| door == Door::Play).map(Place::of);
        let input = match door {
            Door::Publish => self.input_of(name, request)?,
            Door::Play => Input::default(),
        };
        self.check_room(door, name, place)?;
        let local = self.local(name, request.reached_by, random);
        let muted = muted_at_first(request);
        let arrival = Arrival { now, door, name, opened_by, place, way, muted, picture: None, input };
        let mut answered = match door {
            Door::Publish => answer_publisher(&offer, &local, &self.terms(name))?,
            Door::Play => {
                let tracks = self.tracks(name);
                match answer_subscriber(&offer, &local, &tracks) {
                    Ok(answered) => answered,
                    Err(fault) => {
                        return self.counter_offer(&arrival, local, tracks, fault, request, random);
                    }
                }
            }
        };
        let (secret, tag) = (Secret::new(random), token::hex::<8>(random));
        let arrival = Arrival { picture: picture_index(&answered.sdp), ..arrival };
        let reply = Reply::new(201)
            .with_body(SDP, std::mem::take(&mut answered.sdp))
            .with("Location", self.location(secret, request))
            .with("ETag", format!("\"{tag}\""))
            .with("Accept-Post", SDP);
        let session = self.table.next_session();
        let effects = self.admit(&arrival, local.ice, answered, secret, tag);
        let reply = effects.into_iter().fold(reply, Reply::with_effect);
        let mut links = ice_servers::links(self.ice_servers(name), request.unix_now, random);
        links.extend(self.extension_links(session, request));
        let reply = links.into_iter().fold(reply, |reply, link| reply.with("Link", link));
        let reply = if self.takes_patch() { reply.with("Accept-Patch", SDPFRAG) } else { reply };
        Ok(self.at_its_base(reply, request))
    }

    /// What a publisher of that endpoint may send.
    fn terms(&self, name: &str) -> Terms<'_> {
        let policy = self.policy(name);
        Terms { codecs: policy.codecs.as_deref(), max_bitrate_kbps: policy.max_bitrate_kbps }
    }

    /// What a viewer is measured against. Who waits is measured against nothing: nobody knows what will come.
    fn tracks(&self, name: &str) -> StreamTracks {
        let live = self.table.stream(name).filter(|stream| stream.live.is_some());
        live.map(Stream::tracks).unwrap_or_default()
    }

    /// Notes a new session; the effect tells the engine of it.
    pub(super) fn admit(
        &mut self,
        arrival: &Arrival<'_>,
        local: IceCredentials,
        answered: Answered,
        secret: Secret,
        tag: String,
    ) -> Vec<Effect> {
        let &Arrival { now, door, name, opened_by, place, way, muted, picture, input } = arrival;
        let session = self.table.next_session();
        self.note_end(door, name, opened_by);
        let (stream, epoch) = self.table.open_stream(name);
        let (role, part) = match door {
            Door::Publish => {
                let formats = formats_of(&answered.plan);
                let video = answered.plan.track(MediaKind::Video);
                let rids = video.map(|track| track.rids.clone()).unwrap_or_default();
                (Role::Publisher { epoch }, Part::Publisher { epoch, formats, rids, input })
            }
            Door::Play => (Role::Subscriber, Part::Viewer),
        };
        let connect_by = now + self.config.connect_within;
        let remote = answered.remote.clone();
        let (ice_frame, phase) = (answered.ice_frame, Phase::HalfOpen);
        let (lives_before, feeds) = (0, Vec::new());
        let entry = Session {
            stream,
            secret,
            tag,
            remote,
            ice_frame,
            opened_by,
            place,
            part,
            phase,
            way,
            muted,
            picture,
            lives_before,
            feeds,
        };
        self.table.add(now, name, entry, connect_by);
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
            max_bitrate_bps: self.policy(name).max_bitrate_kbps.map(|kbps| u64::from(kbps) * 1000),
            grace: self.policy(name).grace(),
            stands_by: input.stands_by,
        };
        let mut effects = vec![Effect::Admit(Box::new(admission))];
        if let [audio, video] = muted
            && (audio || video)
        {
            effects.push(Effect::Mute { session, audio, video });
        }
        effects
    }
}

/// Where among the `m=` lines of an answer the picture stands, if it is accepted.
pub(super) fn picture_index(answer: &str) -> Option<u8> {
    let mut sections = answer.lines().filter(|line| line.starts_with("m="));
    let index = sections.position(|line| line.starts_with("m=video ") && !line.starts_with("m=video 0 "))?;
    u8::try_from(index).ok()
}
