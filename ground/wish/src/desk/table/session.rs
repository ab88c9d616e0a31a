//! One session, as signalling knows it.

use super::crowd::Place;
use crate::Family;
use crate::auth::{Door, OpenedBy};
use crate::events::{EventTypes, FeedId};
use crate::token::Secret;
use std::time::Instant;
use wtn_media::{Format, IceCredentials, Rid, StreamId};
use wtn_sdp::IceFrame;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::desk) enum Phase {
    /// Admitted; counts as on the way.
    HalfOpen,
    /// Past its deadline; counts no more.
    Overdue,
    /// ICE and DTLS are done.
    Connected,
}

/// What a publisher brought, or that it is a viewer.
#[derive(Clone, Debug)]
pub(in crate::desk) enum Part {
    /// Rising numbers within the stream; by kind, what was negotiated.
    Publisher {
        epoch: u32,
        formats: [Vec<Format>; 2],
        /// The encodings of its picture that it negotiated; empty if there is only one.
        rids: Vec<Rid>,
        input: Input,
    },
    Viewer,
}

/// A publisher among others of the same stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::desk) struct Input {
    /// Whether it waits to be shown, rather than take the stream.
    pub stands_by: bool,
    /// 0 for the main input, else the how manieth backup it is.
    pub backup: u8,
    pub connected_at: Option<Instant>,
    /// Since when it has been sending without a pause; `None` while it does not.
    pub flows_since: Option<Instant>,
    /// By kind: what its tracks carry.
    pub current: [Option<Format>; 2],
}

/// One WHIP or WHEP session.
#[derive(Debug)]
pub(in crate::desk) struct Session {
    pub stream: StreamId,
    pub secret: Secret,
    /// Its entity tag, without quotes.
    pub tag: String,
    /// The client's ICE credentials, by which a trickle is told from a restart.
    pub remote: IceCredentials,
    /// What a restart repeats of the answer.
    pub ice_frame: IceFrame,
    pub opened_by: OpenedBy,
    /// Where a viewer came from, if the shell knows.
    pub place: Option<Place>,
    pub part: Part,
    pub phase: Phase,
    pub way: Way,
    /// By kind of media: what is switched off.
    pub muted: [bool; 2],
    /// Where among the `m=` lines of its SDP the picture stands.
    pub picture: Option<u8>,
    /// How often the stream had come alive before the session was there.
    pub lives_before: u64,
    /// Its event streams. They end with it.
    pub feeds: Vec<FeedEntry>,
}

/// One event stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::desk) struct FeedEntry {
    pub id: FeedId,
    pub secret: Secret,
    pub types: EventTypes,
}

/// By which way a session was opened, as far as that matters later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::desk) struct Way {
    pub family: Family,
    pub is_key_in_url: bool,
    /// Of a TALWTN publisher: whether its viewers need tokens.
    pub sub_auth: bool,
}

impl Way {
    /// Whether who knows the session's URL may end it: its client has no header to show a key in, or shows one
    /// that may have expired by then.
    pub const fn is_url_capability(self) -> bool {
        self.is_key_in_url || matches!(self.family, Family::Talwtn)
    }
}

impl Session {
    /// What it is as a publisher.
    pub const fn input(&self) -> Option<&Input> {
        match &self.part {
            Part::Publisher { input, .. } => Some(input),
            Part::Viewer => None,
        }
    }

    /// The same, to be changed.
    pub const fn input_mut(&mut self) -> Option<&mut Input> {
        match &mut self.part {
            Part::Publisher { input, .. } => Some(input),
            Part::Viewer => None,
        }
    }

    /// Whether its end, when it is destroyed, is that of its viewers too.
    pub const fn is_talwtn_publisher(&self) -> bool {
        matches!((self.way.family, &self.part), (Family::Talwtn, Part::Publisher { .. }))
    }

    /// Which keys it answers to.
    pub const fn door(&self) -> Door {
        match self.part {
            Part::Publisher { .. } => Door::Publish,
            Part::Viewer => Door::Play,
        }
    }
}
