//! POST to an endpoint: an offer in, a session and an answer out.

use super::Desk;
use super::table::{Part, Phase, Session, Stream, formats_of};
use crate::auth::{self, Door, OpenedBy};
use crate::reply::{Effect, SDP, SDPFRAG};
use crate::request::{is_media_type, is_stream_name};
use crate::token::{self, Secret};
use crate::{Problem, Random, Reply, Request, SecondPublisher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;
use wtn_media::{Admission, IceCredentials, Role, Ssrc};
use wtn_sdp::{Answered, Local, Offer, answer_publisher, answer_subscriber};

/// When to ask again while nobody publishes, and while somebody is about to.
const RETRY_IDLE_S: u32 = 2;
const RETRY_CONNECTING_S: u32 = 1;

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

    /// Whether the stream's state and the bounds allow one more session.
    fn check_room(&self, door: Door, name: &str) -> Result<(), Problem> {
        if self.draining {
            return Err(Problem::draining());
        }
        let limits = &self.config.limits;
        let stream = self.table.stream(name);
        match (door, stream) {
            (Door::Play, Some(stream)) if stream.live.is_some() => {
                if stream.half_open_viewers >= limits.half_open_viewers {
                    return Err(Problem::full("connecting viewers of this stream", 1));
                }
            }
            (Door::Play, Some(stream)) if stream.half_open_publishers > 0 => {
                return Err(Problem::not_live(RETRY_CONNECTING_S));
            }
            (Door::Play, _) => return Err(Problem::not_live(RETRY_IDLE_S)),
            (Door::Publish, Some(stream)) => {
                // One on the way holds the place too, or two encoders would both be told 201.
                let is_taken = stream.live.is_some() || stream.half_open_publishers > 0;
                if is_taken && self.config.second_publisher == SecondPublisher::Reject {
                    return Err(Problem::taken());
                }
                if stream.half_open_publishers >= limits.half_open_publishers {
                    return Err(Problem::crowded_stream());
                }
            }
            (Door::Publish, None) => {
                if self.table.stream_count() >= limits.streams {
                    return Err(Problem::full("streams", 5));
                }
            }
        }
        if self.table.session_count() >= limits.sessions {
            return Err(Problem::full("sessions", 5));
        }
        Ok(())
    }

    /// Our end of a new session.
    fn local(&self, name: &str, reached_by: Option<IpAddr>, random: &mut dyn Random) -> Local {
        let mut bytes = [0; 24];
        random.fill(&mut bytes);
        let (ids, session) = bytes.split_at(16);
        Local {
            ice: IceCredentials { ufrag: token::hex::<8>(random), pwd: token::hex::<16>(random) },
            fingerprint: self.config.fingerprint.clone(),
            candidates: self.candidates(reached_by),
            sdp_session: session.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)),
            cname: token::hex::<8>(random),
            tls_id: token::hex::<16>(random),
            msid: name.to_owned(),
            ssrcs: ssrcs(ids),
        }
    }

    /// Where to reach us, best first: the address by which this client did, then all we know.
    fn candidates(&self, reached_by: Option<IpAddr>) -> Vec<SocketAddr> {
        let at_port = |ip| SocketAddr::new(ip, self.config.media_port);
        let mut candidates: Vec<SocketAddr> = reached_by
            .map(|ip| ip.to_canonical())
            .filter(is_usable)
            .into_iter()
            .flat_map(|ip| {
                // Who came by ::1 can do the other loopback too, which every client speaks.
                let v4 = (ip.is_loopback() && ip.is_ipv6()).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
                v4.into_iter().chain([ip])
            })
            .map(at_port)
            .collect();
        for address in &self.config.candidates {
            if !candidates.contains(address) {
                candidates.push(*address);
            }
        }
        candidates
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
        let phase = Phase::HalfOpen;
        self.table.add(
            name,
            Session { stream, secret, tag: tag.clone(), remote, opened_by, part, phase },
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
            max_bitrate_bps: None,
        };
        Reply::new(201)
            .with_body(SDP, answered.sdp)
            // A path: the one form that every client resolves (checklist, WHIP-04).
            .with("Location", format!("/session/{}", secret.text()))
            .with("ETag", format!("\"{tag}\""))
            .with("Accept-Post", SDP)
            .with("Accept-Patch", SDPFRAG)
            .with_effect(Effect::Admit(Box::new(admission)))
    }
}

/// Four different SSRCs, none of them 0, of 16 random bytes.
fn ssrcs(random: &[u8]) -> [(Ssrc, Ssrc); 2] {
    let mut chosen = [0u32; 4];
    for (index, four) in random.chunks_exact(4).take(4).enumerate() {
        let mut ssrc = four.iter().fold(0, |number: u32, byte| (number << 8) | u32::from(*byte));
        while ssrc == 0 || chosen[..index].contains(&ssrc) {
            ssrc = ssrc.wrapping_add(1);
        }
        chosen[index] = ssrc;
    }
    let [audio, audio_rtx, video, video_rtx] = chosen.map(Ssrc);
    [(audio, audio_rtx), (video, video_rtx)]
}

/// An address that a client can send to. Link-local IPv6 would need the client's own zone.
fn is_usable(ip: &IpAddr) -> bool {
    let is_link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !is_link_local && !is_broadcast
}
