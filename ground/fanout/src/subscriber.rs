//! One viewer: for each packet of its stream, new numbers or a reason why not.

mod reports;

use crate::breaker::{Breaker, Sent};
use crate::catch_up::{CatchUp, Step};
use crate::gop_cache::GopCache;
use crate::ladder::Ladder;
use crate::line::{Line, LineReport};
use crate::retransmission::Retransmission;
use crate::rewriter::{Numbers, Origin, Rewriter};
use crate::thinning::{Place, Thinning};
use std::time::{Duration, Instant};
use wtn_media::layers::Rids;
use wtn_media::peek::PictureIds;
use wtn_media::plan::{Feedback, PayloadFormat};
use wtn_media::rtp::{HeaderFields, HeaderWriter};
use wtn_media::unwrap::seq_near;
use wtn_media::{
    EncodingId, ExtensionKind, ExtensionMap, Format, LayerSelection, MediaKind, Mid, Packet, PayloadType,
    Rung, SeqNo, SessionPlan, Ssrc, dependency,
};

/// Sender reports per viewer and track: often enough for lip-sync right after the start, rare enough to cost
/// nothing beside media (RFC 3550 §6.2 would allow more).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// The numbers under which a packet goes to one viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Our SSRC towards the viewer, that of the track or of its retransmissions.
    pub ssrc: Ssrc,
    /// The viewer's payload type.
    pub payload_type: PayloadType,
    /// The viewer's sequence number, extended: also the SRTP index, since it starts below 2^15.
    pub seq: SeqNo,
    /// The viewer's timestamp.
    pub time: u32,
    /// The marker bit.
    pub marker: bool,
    /// What goes in place of the numbers in the payload descriptor, if these are not right as they are.
    pub ids: Option<PictureIds>,
    /// Added to the frame number of the dependency descriptor.
    pub frame_offset: u16,
    /// For RTX (RFC 4588 §4): the number it was sent under first, which goes in front of the payload.
    pub original: Option<u16>,
    /// The transport-wide number, for viewers that report about it.
    pub number: Option<u16>,
}

/// Why a packet does not go to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The viewer has no section of that kind, or no payload type for the codec.
    NoCodec,
    /// The viewer has no picture yet, or lost it, and this packet does not start one.
    NoKeyframe,
    /// It is of an encoding that the viewer does not watch.
    OtherEncoding,
    /// It is of a layer that the viewer does without.
    OtherLayer,
    /// It comes from before the viewer's last switch.
    Late,
    /// The viewer is still catching up and will come to it by itself.
    Behind,
    /// The viewer wants nothing of that kind.
    Muted,
}

/// How an encoding's layers are left out; `None` if it has none.
pub type Layers = Option<Box<Thinning>>;

/// One viewer's tracks. Small on purpose: the fan-out walks thousands of them per packet.
#[derive(Debug)]
pub struct Subscriber {
    tracks: [Option<Track>; 2],
    /// By kind: nothing of it is sent.
    muted: [bool; 2],
    extensions: ExtensionMap,
    feedback: Feedback,
    /// Only of viewers who tell of it.
    line: Option<Box<Line>>,
    /// Who asked last for its round trip, when by its own clock, and when that came.
    reference: Option<(Ssrc, u32, Instant)>,
    held_reports: u8,
    selection: Option<LayerSelection>,
    /// For who has no line: the richest of what was asked for.
    asked: Option<Rung>,
}

#[derive(Debug)]
struct Track {
    mid: Mid,
    ssrc: Ssrc,
    rtx_ssrc: Option<Ssrc>,
    formats: Vec<PayloadFormat>,
    /// The last format asked for and what it came to: formats change next to never.
    chosen: Option<(Format, Option<PayloadFormat>)>,
    rewriter: Rewriter,
    source: Option<(u32, EncodingId)>,
    needs_keyframe: bool,
    /// It should be on another layer, which can only begin with a keyframe.
    waits: bool,
    behind: Option<CatchUp>,
    retransmission: Retransmission,
    rtx_seq: SeqNo,
    /// Packets sent for the first time, and their payload bytes: what sender reports tell.
    sent: (u32, u32),
    /// The last two sender reports, by the middle of their clock, and when they left: a viewer may answer the one
    /// while the other is under way.
    last_reports: [Option<(u32, Instant)>; 2],
    /// When the viewer reported last, and the payload bytes sent until then.
    reported: Option<(Instant, u32)>,
    /// Made with the viewer's first report.
    breaker: Option<Box<Breaker>>,
}

impl Subscriber {
    /// A viewer as its answer describes it; `random` gives the first sequence numbers and timestamps.
    pub fn new(plan: &SessionPlan, mut random: impl FnMut() -> u64) -> Self {
        let mut tracks = [None, None];
        for track in &plan.tracks {
            let Some(&(ssrc, rtx_ssrc)) = track.ssrcs.first() else { continue };
            let start = random();
            let rate = track.formats.first().map_or(90_000, |format| format.format.codec.clock_rate());
            tracks[track.kind.index()] = Some(Track {
                mid: track.mid,
                ssrc,
                rtx_ssrc,
                formats: track.formats.clone(),
                chosen: None,
                rewriter: Rewriter::new(start as u16, (start >> 16) as u32, rate),
                source: None,
                needs_keyframe: track.kind == MediaKind::Video,
                waits: false,
                behind: None,
                retransmission: Retransmission::default(),
                rtx_seq: SeqNo((start >> 48) & 0x7fff),
                sent: (0, 0),
                last_reports: [None; 2],
                reported: None,
                breaker: None,
            });
        }
        let feedback = plan.track(MediaKind::Video).map(|track| track.feedback).unwrap_or_default();
        Self {
            tracks,
            muted: [false; 2],
            extensions: plan.extensions.clone(),
            feedback,
            line: None,
            reference: None,
            held_reports: 0,
            selection: None,
            asked: None,
        }
    }

    /// From now on packets go to this viewer.
    pub fn begin(&mut self, now: Instant) {
        self.line = Line::new(now, self.feedback);
    }

    /// Its line, if the viewer tells of it.
    pub fn line_mut(&mut self) -> Option<&mut Line> {
        self.line.as_deref_mut()
    }

    /// The viewer asks for that instead of what its line is best for.
    pub fn select(&mut self, selection: Option<LayerSelection>) {
        self.selection = selection;
        self.asked = None;
        if let Some(line) = &mut self.line {
            line.ask(selection.is_some());
        }
    }

    /// Chooses a rung of the ladder by what the viewer asked for and what its line is good for; the answer is the
    /// new target, if it is another one.
    pub fn choose(&mut self, now: Instant, ladder: &Ladder, rids: &Rids) -> Option<Rung> {
        let before = self.target();
        match (&self.selection, &mut self.line) {
            (None, None) => {}
            (None, Some(line)) => drop(line.choose(now, ladder.automatic())),
            (Some(selection), None) => self.asked = ladder.selected(selection, rids).1.or(self.asked),
            (Some(selection), Some(line)) => drop(line.choose(now, &ladder.selected(selection, rids).0)),
        }
        self.target().filter(|target| Some(*target) != before)
    }

    /// The rung of the picture that its line is good for, or that it asked for, if that is known.
    pub fn target(&self) -> Option<Rung> {
        self.line.as_ref().map_or(self.asked, |line| line.target())
    }

    /// How its line looks, if the viewer tells of it.
    pub fn report(&self) -> Option<LineReport> {
        let line = self.line.as_ref()?;
        let video = self.tracks[MediaKind::Video.index()].as_ref();
        Some(LineReport {
            estimate_bps: line.estimate_bps(),
            queue: line.queue(),
            target: line.target(),
            watched: video.and_then(|track| track.source).map(|(_, encoding)| encoding),
        })
    }

    /// Decides about one packet; `target` is the rung that the viewer should be on, `thinning` that of the packet's
    /// encoding.
    pub fn offer(
        &mut self,
        now: Instant,
        packet: &Packet,
        target: Rung,
        thinning: &mut Layers,
    ) -> Result<Rewrite, Skip> {
        let track = self.tracks[packet.kind.index()].as_mut().ok_or(Skip::NoCodec)?;
        if self.muted[packet.kind.index()] {
            return Err(Skip::Muted);
        }
        let Some(format) = track.choose(packet.format) else {
            track.leave(packet);
            return Err(Skip::NoCodec);
        };
        if track.is_behind(packet) {
            return Err(Skip::Behind);
        }
        let source = (packet.epoch, packet.encoding);
        let is_current = track.source == Some(source);
        if !is_current && packet.encoding != target.encoding {
            return Err(Skip::OtherEncoding);
        }
        if !is_current || track.needs_keyframe {
            if packet.kind == MediaKind::Video && !packet.marks.keyframe_start {
                return Err(Skip::NoKeyframe);
            }
            track.anchor(packet, target, thinning);
            track.source = Some(source);
            track.needs_keyframe = false;
            track.behind = None;
        } else {
            track.turn(packet, target, thinning);
        }
        let rewrite = track.send(packet.arrived, packet, format, thinning)?;
        Ok(self.numbered(now, packet, rewrite))
    }

    /// Gives a packet of the picture its transport-wide number.
    fn numbered(&mut self, now: Instant, packet: &Packet, mut rewrite: Rewrite) -> Rewrite {
        if let Some(line) = self.line.as_mut().filter(|_| packet.kind == MediaKind::Video) {
            rewrite.number = line.on_sent(now, packet.payload().len());
        }
        rewrite
    }

    /// Starts the picture from the last keyframe of `cache`. False if there is none, or it cannot be decoded, or
    /// the viewer has a picture of that publisher.
    pub fn start_behind(
        &mut self,
        now: Instant,
        cache: &GopCache,
        target: Rung,
        thinning: &mut Layers,
    ) -> bool {
        let is_muted = self.muted[MediaKind::Video.index()];
        let track = self.tracks[MediaKind::Video.index()].as_mut().filter(|_| !is_muted);
        let Some(track) = track else { return false };
        let rate = track.rewriter.rate();
        let Some((behind, first, edge, chase)) = CatchUp::begin(now, cache, rate) else { return false };
        let has_picture = track.source.is_some_and(|(epoch, _)| epoch >= first.epoch);
        if has_picture || track.choose(first.format).is_none() {
            return false;
        }
        let place = position(thinning, target, first);
        track.rewriter.anchor_behind(now, first, (target, place), edge, chase);
        track.source = Some((first.epoch, first.encoding));
        track.needs_keyframe = false;
        track.behind = Some(behind);
        true
    }

    /// The encoding that a viewer who is behind catches up with.
    pub fn behind(&self) -> Option<EncodingId> {
        let track = self.tracks[MediaKind::Video.index()].as_ref()?;
        track.behind.and(track.source).map(|(_, encoding)| encoding)
    }

    /// What a viewer who is behind is due next out of the cache of its encoding: a packet, or a wait, or neither
    /// once it has caught up.
    pub fn catch_up<'a>(
        &mut self,
        now: Instant,
        cache: &'a GopCache,
        thinning: &mut Layers,
    ) -> Result<(&'a Packet, Rewrite), Option<Instant>> {
        let track = self.tracks[MediaKind::Video.index()].as_mut().ok_or(None)?;
        loop {
            let packet = match track.behind.as_mut().ok_or(None)?.step(now, cache) {
                Step::Send(packet) => packet,
                Step::Overtaken(packet) => {
                    let rung = track.rewriter.rung().unwrap_or(Rung::whole(packet.encoding));
                    track.anchor(packet, rung, thinning);
                    packet
                }
                Step::Wait(due) => return Err(Some(due)),
                Step::Done => {
                    track.behind = None;
                    return Err(None);
                }
                Step::Lost => {
                    track.behind = None;
                    track.needs_keyframe = true;
                    return Err(None);
                }
            };
            let format = track.choose(packet.format);
            if let Some(Ok(rewrite)) = format.map(|format| track.send(now, packet, format, thinning)) {
                return Ok((packet, self.numbered(now, packet, rewrite)));
            }
        }
    }

    /// Packets were lost on the way to this shard: the picture starts anew with the next keyframe.
    pub fn on_gap(&mut self) {
        for kind in MediaKind::ALL {
            if let Some(track) = &mut self.tracks[kind.index()] {
                track.source = track.source.filter(|_| kind == MediaKind::Video);
                track.needs_keyframe = kind == MediaKind::Video;
                track.behind = None;
            }
        }
    }

    /// The track of that kind stops or goes on for a reason of its publisher's: whatever comes next of it, a
    /// keyframe where there are some, follows the last packet without a gap.
    pub fn on_cut(&mut self, kind: MediaKind) {
        if let Some(track) = &mut self.tracks[kind.index()] {
            track.source = None;
            track.needs_keyframe = kind == MediaKind::Video;
            track.behind = None;
        }
    }

    /// Nothing is sent of the kinds that are `muted` from now on. True if there is a picture to be started again.
    pub fn mute(&mut self, muted: [bool; 2]) -> bool {
        let before = std::mem::replace(&mut self.muted, muted);
        for kind in MediaKind::ALL.into_iter().filter(|kind| before[kind.index()] != muted[kind.index()]) {
            self.on_cut(kind);
        }
        let video = MediaKind::Video.index();
        self.tracks[video].is_some() && before[video] && !muted[video]
    }

    /// Which packet the viewer means by a lost sequence number of `media`, if it may have it again now.
    pub fn on_nack(&mut self, now: Instant, media: Ssrc, lost: u16) -> Option<(MediaKind, SeqNo, Origin)> {
        let muted = self.muted;
        let (kind, track) = self.track_by_ssrc(media).filter(|(kind, _)| !muted[kind.index()])?;
        let seq = seq_near(track.rewriter.next_out(), lost);
        let origin = track.rewriter.origin(seq)?;
        track.retransmission.allow(now, seq).then_some((kind, seq, origin))
    }

    /// What a NACK asked for was sent again.
    pub fn on_resent(&mut self, now: Instant, kind: MediaKind, seq: SeqNo) {
        if let Some(track) = &mut self.tracks[kind.index()] {
            track.retransmission.on_resent(now, seq, track.rtx_ssrc.is_some());
        }
    }

    /// A packet that is to be repaired a second time now, though nobody has asked again.
    pub fn poll_follow(&mut self, now: Instant) -> Option<(MediaKind, SeqNo, Origin)> {
        let muted = self.muted;
        let tracks = MediaKind::ALL.into_iter().zip(&mut self.tracks);
        tracks.filter(|(kind, _)| !muted[kind.index()]).find_map(|(kind, track)| {
            let track = track.as_mut()?;
            let seq = track.retransmission.poll_follow(now)?;
            Some((kind, seq, track.rewriter.origin(seq)?))
        })
    }

    /// When [`Self::poll_follow`] has something next.
    pub fn next_follow(&self) -> Option<Instant> {
        let unmuted = self.tracks.iter().zip(self.muted).filter(|(_, is_muted)| !is_muted);
        unmuted.filter_map(|(track, _)| track.as_ref()?.retransmission.next_follow()).min()
    }

    /// The numbers under which `packet`, sent before as `seq`, goes out again: as RTX where that was
    /// negotiated, else exactly as it was, which no packet with a transport-wide number can.
    pub fn resend(
        &mut self,
        now: Instant,
        packet: &Packet,
        seq: SeqNo,
        thinning: &mut Layers,
    ) -> Option<Rewrite> {
        let track = self.tracks[packet.kind.index()].as_mut()?;
        let format = track.choose(packet.format)?;
        let rung = track.rewriter.origin(seq)?.rung;
        let numbers = track.rewriter.again(seq, packet, place(thinning, rung, packet)?)?;
        match (track.rtx_ssrc, format.rtx) {
            (Some(ssrc), Some(payload_type)) => {
                track.rtx_seq = SeqNo(track.rtx_seq.0 + 1);
                let original = Some(seq.wire());
                let rewrite =
                    Rewrite { original, seq: track.rtx_seq, ..rewrite(ssrc, payload_type, numbers) };
                Some(self.numbered(now, packet, rewrite))
            }
            _ if packet.kind == MediaKind::Video && self.line.as_ref().is_some_and(|l| l.is_numbered()) => {
                None
            }
            _ => Some(rewrite(track.ssrc, format.payload_type, numbers)),
        }
    }

    /// An old packet that a probe may send again as a retransmission: where it came from, and the number it had.
    pub fn probe(&mut self) -> Option<(SeqNo, Origin)> {
        let track = self.tracks[MediaKind::Video.index()].as_ref().filter(|track| track.behind.is_none())?;
        let back = self.line.as_mut()?.next_probe();
        let seq = SeqNo(track.rewriter.next_out().0.checked_sub(back)?);
        Some((seq, track.rewriter.origin(seq)?))
    }

    /// True while it waits for a keyframe to go to another layer of what it watches.
    pub fn waits_for_keyframe(&self) -> bool {
        self.tracks[MediaKind::Video.index()].as_ref().is_some_and(|track| track.waits)
    }

    /// The encoding of the picture that the viewer gets.
    pub fn watches(&self) -> Option<EncodingId> {
        let track = self.tracks[MediaKind::Video.index()].as_ref()?;
        track.source.map(|(_, encoding)| encoding)
    }

    /// The encoding that a PLI or FIR about `media` is for.
    pub fn watched(&mut self, media: Ssrc) -> Option<(MediaKind, EncodingId)> {
        let (kind, track) = self.track_by_ssrc(media)?;
        track.source.map(|(_, encoding)| (kind, encoding))
    }

    /// Writes the header of `packet` under its new numbers into `out`; the answer is its length.
    ///
    /// The MID leads, the publisher's extensions follow under the viewer's ids; the rest is left behind.
    pub fn write_header(&self, packet: &Packet, rewrite: &Rewrite, out: &mut [u8]) -> usize {
        let mut header = HeaderWriter::new(
            out,
            HeaderFields {
                payload_type: rewrite.payload_type,
                marker: rewrite.marker,
                sequence: rewrite.seq.wire(),
                timestamp: rewrite.time,
                ssrc: rewrite.ssrc,
            },
        );
        if self.extensions.is_mixed() && packet.extensions().any(|(_, value)| value.len() > 16) {
            header = header.two_byte();
        }
        if let (Some(id), Some(track)) =
            (self.extensions.id(ExtensionKind::Mid), &self.tracks[packet.kind.index()])
        {
            header.extension(id, track.mid.as_str().as_bytes());
        }
        if let Some(number) = rewrite.number
            && let Some(id) = self.extensions.id(ExtensionKind::TransportCc)
        {
            header.extension(id, &number.to_be_bytes());
        }
        for (kind, value) in packet.extensions() {
            let Some(id) = self.extensions.id(kind) else { continue };
            match packet.frame_number().filter(|_| kind == ExtensionKind::DependencyDescriptor) {
                Some(number) if rewrite.frame_offset != 0 => {
                    let mut ours = [0; ExtensionKind::DependencyDescriptor.len_max()];
                    let ours = &mut ours[..value.len()];
                    ours.copy_from_slice(value);
                    dependency::write_frame_number(ours, number.wrapping_add(rewrite.frame_offset));
                    header.extension(id, ours);
                }
                _ => drop(header.extension(id, value)),
            }
        }
        header.finish()
    }

    fn track_by_ssrc(&mut self, ssrc: Ssrc) -> Option<(MediaKind, &mut Track)> {
        let tracks = MediaKind::ALL.into_iter().zip(&mut self.tracks);
        tracks.filter_map(|(kind, track)| Some((kind, track.as_mut()?))).find(|(_, track)| track.ssrc == ssrc)
    }
}

impl Track {
    fn sent_so_far(&self) -> Sent {
        let (packets, octets) = self.sent;
        Sent { packets, octets, round_trip: self.retransmission.round_trip() }
    }

    /// True for what the viewer will find in the cache that it is reading.
    fn is_behind(&self, packet: &Packet) -> bool {
        let reads = self.behind.is_some_and(|behind| behind.will_send(packet));
        reads && self.source == Some((packet.epoch, packet.encoding))
    }

    /// The source went on with something that the viewer cannot decode: should it come back, it starts anew.
    fn leave(&mut self, packet: &Packet) {
        if self.source == Some((packet.epoch, packet.encoding)) {
            self.source = None;
            self.behind = None;
            self.needs_keyframe = packet.kind == MediaKind::Video;
        }
    }

    /// Makes `packet` the first one of a stretch, on `target` if it is of that encoding.
    fn anchor(&mut self, packet: &Packet, target: Rung, thinning: &mut Layers) {
        let here = |rung: &Rung| rung.encoding == packet.encoding;
        let rung = Some(target).into_iter().chain(self.rewriter.rung()).find(here);
        let rung = rung.unwrap_or(Rung::whole(packet.encoding));
        self.rewriter.anchor(packet, rung, position(thinning, rung, packet));
        self.waits = false;
    }

    /// Goes to another rung of the same encoding, if it can be done here.
    fn turn(&mut self, packet: &Packet, target: Rung, thinning: &mut Layers) {
        self.waits = false;
        let Some(from) = self.rewriter.rung() else { return };
        if from == target || from.encoding != target.encoding || packet.encoding != target.encoding {
            return;
        }
        let to = thinning.as_ref().map_or(Some(target), |thinning| thinning.turn(packet, from, target));
        if let Some(to) = to {
            let (before, after) = (position(thinning, from, packet), position(thinning, to, packet));
            self.rewriter.turn(packet, to, before, after);
        } else {
            self.waits = thinning.as_ref().is_some_and(|thinning| thinning.needs_keyframe(from, target));
        }
    }

    fn send(
        &mut self,
        now: Instant,
        packet: &Packet,
        format: PayloadFormat,
        thinning: &mut Layers,
    ) -> Result<Rewrite, Skip> {
        let rung = self.rewriter.rung_of(packet).ok_or(Skip::Late)?;
        let place = place(thinning, rung, packet).ok_or(Skip::OtherLayer)?;
        let numbers = self.rewriter.map(now, packet, place).ok_or(Skip::Late)?;
        self.retransmission.on_sent();
        let (packets, octets) = self.sent;
        // Both wrap, as RFC 3550 §6.4.1 has it.
        self.sent = (packets.wrapping_add(1), octets.wrapping_add(packet.payload().len() as u32));
        Ok(rewrite(self.ssrc, format.payload_type, numbers))
    }

    fn choose(&mut self, format: Format) -> Option<PayloadFormat> {
        match self.chosen {
            Some((known, chosen)) if known == format => chosen,
            _ => {
                let ranked = self.formats.iter().filter_map(|f| Some((format.distance(f.format)?, f)));
                let chosen = ranked.min_by_key(|(distance, _)| *distance).map(|(_, format)| *format);
                self.chosen = Some((format, chosen));
                chosen
            }
        }
    }
}

fn rewrite(ssrc: Ssrc, payload_type: PayloadType, numbers: Numbers) -> Rewrite {
    let Numbers { seq, time, marker, ids, frame_offset } = numbers;
    let time = time.wire();
    Rewrite { ssrc, payload_type, seq, time, marker, ids, frame_offset, original: None, number: None }
}

fn place(layers: &mut Layers, rung: Rung, packet: &Packet) -> Option<Place> {
    layers.as_mut().map_or(Some(Place::whole(packet)), |thinning| thinning.place(rung, packet))
}

fn position(layers: &mut Layers, rung: Rung, packet: &Packet) -> Place {
    let place = layers.as_mut().and_then(|thinning| thinning.position(rung, packet));
    place.unwrap_or(Place::whole(packet))
}
