//! One stream, as signalling knows it.

use super::crowd::Crowd;
use std::sync::Arc;
use wtn_media::{Format, Layer, MediaKind, Rid, SessionId, SessionPlan, StreamId};
use wtn_sdp::{StreamTrack, StreamTracks};

/// One stream.
#[derive(Debug)]
pub(in crate::desk) struct Stream {
    pub id: StreamId,
    /// The epoch of its newest publisher.
    pub epoch: u32,
    /// The connected publisher; of several inputs the one that is shown.
    pub live: Option<SessionId>,
    /// All connected publishers, the oldest first.
    pub inputs: Vec<SessionId>,
    /// The input that is to be shown from its next keyframe on, and the epoch that it will have.
    pub cued: Option<(SessionId, u32)>,
    /// By kind: what its tracks carry, or carried last.
    pub current: [Option<Format>; 2],
    /// By kind: what its publisher negotiated.
    pub formats: [Vec<Format>; 2],
    /// The encodings of the picture that its publisher negotiated; empty if there is only one.
    pub rids: Vec<Rid>,
    /// The layers of the picture that have a name, as the engine tells of them.
    pub layers: Arc<[Layer]>,
    /// How often a publisher came where none was.
    pub lives: u64,
    /// Event streams of its viewers.
    pub feeds: usize,
    pub half_open_publishers: usize,
    pub half_open_viewers: usize,
    pub viewers: usize,
    /// Where its viewers come from.
    pub crowd: Crowd,
    /// False while it is there only because viewers wait for it.
    pub had_publisher: bool,
    pub sessions: usize,
}

impl Stream {
    /// A stream of that id, nobody in it.
    pub fn new(id: StreamId) -> Self {
        Self {
            id,
            epoch: 0,
            live: None,
            inputs: Vec::new(),
            cued: None,
            current: [None; 2],
            formats: [Vec::new(), Vec::new()],
            rids: Vec::new(),
            layers: Arc::new([]),
            lives: 0,
            feeds: 0,
            half_open_publishers: 0,
            half_open_viewers: 0,
            viewers: 0,
            crowd: Crowd::default(),
            had_publisher: false,
            sessions: 0,
        }
    }

    /// What a new viewer is measured against.
    pub fn tracks(&self) -> StreamTracks {
        let track = |kind: MediaKind| {
            let formats = &self.formats[kind.index()];
            let current = self.current[kind.index()].or_else(|| formats.first().copied())?;
            let others = formats.iter().copied().filter(|format| *format != current).collect();
            let has_choice = kind == MediaKind::Video && (self.rids.len() > 1 || self.layers.len() > 1);
            Some(StreamTrack { current, others, has_choice })
        };
        StreamTracks { audio: track(MediaKind::Audio), video: track(MediaKind::Video) }
    }

    /// What its tracks carry as far as we know, video first.
    pub fn codecs(&self) -> Vec<Format> {
        let tracks = self.tracks();
        [tracks.video, tracks.audio].into_iter().flatten().map(|track| track.current).collect()
    }
}

/// By kind: the formats of a publisher's plan.
pub(in crate::desk) fn formats_of(plan: &SessionPlan) -> [Vec<Format>; 2] {
    MediaKind::ALL.map(|kind| {
        plan.track(kind)
            .map_or_else(Vec::new, |track| track.formats.iter().map(|entry| entry.format).collect())
    })
}
