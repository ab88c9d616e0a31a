//! WHEP's other way round (draft-ietf-wish-whep, "Server Sends Counter-Offer"): where the viewer's offer cannot be
//! answered, we offer, and the session waits for the viewer's answer.

use super::Desk;
use super::post::{Arrival, picture_index};
use super::table::{Input, Place, Way};
use crate::auth::{Door, OpenedBy};
use crate::reply::SDP;
use crate::request::is_media_type;
use crate::token::{self, Secret};
use crate::{Problem, Random, Reply, Request};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, UNIX_EPOCH};
use wtn_sdp::{CounterOffer, FaultKind, Local, Offer, SdpFault, StreamTracks};

/// How long an offer of ours stands; the draft's 30 s, said in the reply too.
const STANDS_FOR: Duration = Duration::from_secs(30);

/// Offers of ours that stand at once, some 2 KiB each. Viewers whose offer cannot be answered are few; past this they
/// are refused as if there were no counter-offers.
const PENDING_MAX: usize = 1_024;

/// Sessions that wait for the viewer's answer.
#[derive(Debug, Default)]
pub(super) struct Pendings {
    by_secret: HashMap<Secret, Pending>,
    /// In order, as all stand equally long. Those of answered ones stay until their time.
    deadlines: VecDeque<(Instant, Secret)>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Pending {
    pub name: String,
    pub opened_by: OpenedBy,
    pub way: Way,
    /// Its entity tag, without quotes; the session keeps it.
    tag: String,
    offer: CounterOffer,
}

impl Pendings {
    /// The one of that URL.
    pub fn get(&self, text: &str) -> Option<&Pending> {
        self.by_secret.get(&Secret::from_text(text)?)
    }

    pub fn remove(&mut self, text: &str) -> Option<Pending> {
        self.by_secret.remove(&Secret::from_text(text)?)
    }

    /// Forgets those of a stream.
    pub fn forget(&mut self, name: &str) {
        self.by_secret.retain(|_, pending| pending.name != name);
    }

    /// Lets those go whose time is over.
    pub fn expire(&mut self, now: Instant) {
        while self.deadlines.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, secret)) = self.deadlines.pop_front()
        {
            self.by_secret.remove(&secret);
        }
    }

    fn is_full(&self) -> bool {
        // Whoever posts and deletes in a loop fills the deadlines.
        self.deadlines.len() >= PENDING_MAX
    }
}

impl Desk {
    /// A viewer's offer cannot be answered, because of `fault`. Where the endpoint says so, ours goes out instead.
    pub(super) fn counter_offer(
        &mut self,
        arrival: &Arrival<'_>,
        local: Local,
        tracks: StreamTracks,
        fault: SdpFault,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        let &Arrival { now, name, opened_by, way, .. } = arrival;
        let may_help = fault.kind == FaultKind::Unacceptable && self.policy(name).counter_offer;
        let offer = CounterOffer::new(local, tracks).filter(|_| may_help && !self.pendings.is_full());
        let Some(offer) = offer else { return Err(fault.into()) };
        let sdp = offer.sdp()?;
        let (secret, tag) = (Secret::new(random), token::hex::<8>(random));
        let valid_until = UNIX_EPOCH + Duration::from_secs(request.unix_now) + STANDS_FOR;
        let content_type = format!("{SDP}; valid-until=\"{}\"", httpdate::fmt_http_date(valid_until));
        let mut reply = Reply::new(406)
            .with("Content-Type", content_type)
            .with("Location", self.location(secret, request))
            .with("ETag", format!("\"{tag}\""))
            .with("Accept-Patch", SDP);
        reply.body = sdp.into_bytes();
        self.pendings.deadlines.push_back((now + STANDS_FOR, secret));
        self.pendings.by_secret.insert(secret, Pending { name: name.to_owned(), opened_by, way, tag, offer });
        Ok(reply)
    }

    /// The viewer's answer to our offer. No tag is asked for, since there is no ICE session yet.
    pub(super) fn answer(&mut self, now: Instant, id: &str, request: &Request<'_>) -> Result<Reply, Problem> {
        let pending = self.pendings.get(id).ok_or_else(Problem::not_found)?;
        if !is_media_type(request.content_type, SDP) {
            return Err(Problem::answer_wanted());
        }
        if request.body.len() > Request::BODY_LEN_MAX {
            return Err(Problem::body_too_large());
        }
        let answer = Offer::parse(request.body)?;
        let answered = pending.offer.accept(&answer)?;
        let name = pending.name.clone();
        let place = request.client.map(Place::of);
        self.check_room(Door::Play, &name, place)?;
        let secret = Secret::from_text(id).ok_or_else(Problem::not_found)?;
        let Some(Pending { opened_by, way, tag, offer, .. }) = self.pendings.remove(id) else {
            return Err(Problem::not_found());
        };
        let picture = std::str::from_utf8(request.body).ok().and_then(picture_index);
        let (muted, input) = ([false; 2], Input::default());
        let arrival =
            Arrival { now, door: Door::Play, name: &name, opened_by, place, way, muted, picture, input };
        let session = self.table.next_session();
        let effects = self.admit(&arrival, offer.ice().clone(), answered, secret, tag);
        let reply = effects.into_iter().fold(Reply::new(204), Reply::with_effect);
        let links = self.extension_links(session, request);
        Ok(links.into_iter().fold(reply, |reply, link| reply.with("Link", link)))
    }
}
