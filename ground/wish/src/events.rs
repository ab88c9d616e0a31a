//! Server-sent events of WHEP sessions: what a listener is told, and in which words.
//!
//! Nothing is queued for anybody. There is one [`Bulletin`] a stream, which says how things stand, and a listener is told
//! how that differs from what it was told last. So one that is slow hears less often and not late, and costs no memory.
//!
//! The words are those of the draft's companion on events ("Server Sent Events extension"); docs/whep-extensions.md
//! has them for people.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use wtn_media::{Layer, StreamId};

/// One kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Somebody publishes.
    Active,
    /// Nobody publishes any more.
    Inactive,
    /// The layers of the picture.
    Layers,
    /// How many watch.
    ViewerCount,
    /// The session is about to end: begin another.
    Reconnect,
}

impl EventType {
    /// All of them, in the order in which they are announced.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Inactive, Self::Layers, Self::ViewerCount, Self::Reconnect];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Layers => "layers",
            Self::ViewerCount => "viewercount",
            Self::Reconnect => "reconnect",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTypes(u8);

impl EventTypes {
    /// Those of a session; without a picture there are no layers to tell of.
    pub const fn of_session(has_picture: bool) -> Self {
        let all = (1 << EventType::ALL.len()) - 1;
        Self(if has_picture { all } else { all & !EventType::Layers.bit() })
    }

    /// Whether it is among them.
    pub const fn has(self, kind: EventType) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The one of that name, if it is among them.
    pub fn named(self, name: &str) -> Option<EventType> {
        EventType::ALL.into_iter().find(|kind| self.has(*kind) && kind.name() == name)
    }
}

impl FromIterator<EventType> for EventTypes {
    fn from_iter<I: IntoIterator<Item = EventType>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | kind.bit()))
    }
}

/// `active,inactive,…`
impl fmt::Display for EventTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            EventType::ALL.into_iter().filter(|kind| self.has(*kind)).map(EventType::name).collect();
        f.write_str(&names.join(","))
    }
}

/// One event stream, counted up by the desk. Not secret: its URL is another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedId(pub u64);

/// What a listener listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The event stream.
    pub id: FeedId,
    /// Whose events.
    pub stream: StreamId,
    /// Which of them.
    pub types: EventTypes,
    /// Where among the `m=` lines of the session's SDP its picture stands, from 0.
    pub picture: Option<u8>,
    /// Whether somebody has published while the session was there: it may be told that nobody does any more.
    pub was_active: bool,
}

/// How things stand with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulletin {
    /// Whether somebody publishes.
    pub live: bool,
    /// How many watch.
    pub viewers: usize,
    /// The layers of its picture, as far as they are known. Each has a rid, or a number of one of the two kinds: what has no name
    /// cannot be chosen.
    pub layers: Arc<[Layer]>,
    /// Whether its viewers had better go elsewhere: this server stops.
    pub leave: bool,
}

/// One listener: what it has been told.
#[derive(Clone, Debug)]
pub struct EventReader {
    feed: Feed,
    live: Option<bool>,
    viewers: Option<usize>,
    layers: Arc<[Layer]>,
    leave: bool,
}

/// One event, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// What it tells of.
    pub kind: EventType,
    /// JSON, in one line.
    pub data: String,
}

/// As WHATWG has it: one line with the name, one with the data, one that is empty.
impl fmt::Display for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event: {}\ndata: {}\n\n", self.kind.name(), self.data)
    }
}

impl EventReader {
    /// A listener that has heard nothing yet.
    pub fn new(feed: Feed) -> Self {
        Self { feed, live: None, viewers: None, layers: Arc::new([]), leave: false }
    }

    /// What it listens to.
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What it is to be told next of how things stand; `None`: it knows all that it wanted to know.
    pub fn next(&mut self, bulletin: &Bulletin) -> Option<ServerEvent> {
        EventType::ALL.into_iter().find_map(|kind| {
            let data = self.tell(kind, bulletin)?;
            self.feed.types.has(kind).then_some(ServerEvent { kind, data })
        })
    }

    /// Notes what the bulletin says of that kind; the data, if that is news.
    fn tell(&mut self, kind: EventType, bulletin: &Bulletin) -> Option<String> {
        const NOTHING: &str = "{}";
        match kind {
            EventType::Active => {
                let is_news = bulletin.live && self.live.replace(true) != Some(true);
                is_news.then(|| NOTHING.to_owned())
            }
            // An idle session is not told that nothing happens.
            EventType::Inactive => {
                let may = self.live == Some(true) || self.live.is_none() && self.feed.was_active;
                let is_news = !bulletin.live && may;
                if is_news {
                    self.live = Some(false);
                }
                is_news.then(|| NOTHING.to_owned())
            }
            EventType::Layers => {
                if self.layers == bulletin.layers {
                    return None;
                }
                self.layers = Arc::clone(&bulletin.layers);
                self.feed.picture.map(|index| layers_json(index, &bulletin.layers))
            }
            EventType::ViewerCount => {
                let is_news = self.viewers.replace(bulletin.viewers) != Some(bulletin.viewers);
                is_news.then(|| format!("{{\"viewercount\":{}}}", bulletin.viewers))
            }
            EventType::Reconnect => {
                let is_news = bulletin.leave && !std::mem::replace(&mut self.leave, true);
                is_news.then(|| NOTHING.to_owned())
            }
        }
    }
}

/// One layer in the draft's words; what is unknown is left out, and a layer that rests has no bits.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spatial_layer_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temporal_layer_id: Option<u8>,
    bitrate: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u16>,
}

/// `{"1":[{"rid":"h","bitrate":900000,"width":1280,"height":720},…]}`
fn layers_json(index: u8, layers: &[Layer]) -> String {
    let lines: Vec<_> = layers
        .iter()
        .map(|layer| Line {
            rid: layer.rid.as_ref().map(|rid| rid.as_str()),
            spatial_layer_id: layer.spatial,
            temporal_layer_id: layer.temporal,
            bitrate: layer.bitrate,
            width: Some(layer.width).filter(|width| *width > 0),
            height: Some(layer.height).filter(|height| *height > 0),
        })
        .collect();
    // Numbers and short texts under a number: that cannot fail to be written.
    serde_json::to_string(&BTreeMap::from([(index.to_string(), lines)])).unwrap_or_default()
}
