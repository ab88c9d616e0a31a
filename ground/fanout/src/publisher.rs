//! A publisher's side of the fan-out: whose packet is this, which number does it have, what is missing?

mod flow;
mod news;
mod turn;

pub use turn::Turn;

use crate::allowance::Allowance;
use crate::arrivals::Arrivals;
use crate::clock::SenderClock;
use crate::encoding_selector::ENCODINGS_MAX;
use crate::keyframe_gate::KeyframeGate;
use crate::layer_report::LayerReport;
use crate::lint::Lint;
use crate::parameter_sets::ParameterSets;
use crate::receive_log::{Arrival, ReceiveLog};
use crate::reception::Reception;
use flow::Flow;
use std::time::{Duration, Instant};
use wtn_media::dependency::Structure;
use wtn_media::packet::PacketInfo;
use wtn_media::plan::TrackPlan;
use wtn_media::rtcp::{self, Block};
use wtn_media::rtp::RtpView;
use wtn_media::unwrap::{seq_near, time_near};
use wtn_media::{
    EncodingId, ExtensionKind, Format, MediaKind, Mid, Packet, PayloadType, Rid, RtpTime, SeqNo, SessionPlan,
    Ssrc, dependency,
};

/// SSRCs that one publisher may have in use: audio, and four encodings of video, each with its RTX, leave
/// room for some changes. The one unheard for longest makes room.
const SOURCES_MAX: usize = 16;

/// Receiver reports go out this often; browsers take their view of the loss from them.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Why a packet that decrypted well cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Neither MID, SSRC nor payload type leads to a track (RFC 9143 §9.2).
    UnknownTrack,
    /// It was here before, by itself or as a retransmission.
    Duplicate,
    /// A retransmission of nothing that we know, or padding in the guise of one.
    NothingToRepair,
}

/// One WHIP session's media: its sources, its losses, the reports and requests that go back to it.
#[derive(Debug)]
pub struct Publisher {
    epoch: u32,
    plan: SessionPlan,
    /// The SSRC of our RTCP.
    reporter: Ssrc,
    sources: Vec<Source>,
    gates: [KeyframeGate; ENCODINGS_MAX],
    fir_seq: u8,
    next_report: Instant,
    current: [Option<Format>; 2],
    changed: [bool; 2],
    told: [Option<Instant>; 2],
    /// Only where transport-wide feedback was negotiated.
    arrivals: Option<Box<Arrivals>>,
    /// Only where REMB was, and is of use.
    allowance: Option<Allowance>,
    /// By kind: what it sends is for nobody.
    muted: [bool; 2],
    flow: Flow,
    lint: Box<Lint>,
    kept: turn::Kept,
    layers: LayerReport,
    /// What goes before the packet that came last.
    inserted: Option<Packet>,
}

#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    kind: MediaKind,
    encoding: EncodingId,
    repairs: bool,
    epoch: u32,
    heard: Instant,
    log: ReceiveLog,
    reception: Option<Reception>,
    time: Option<RtpTime>,
    /// What its dependency descriptors refer to.
    structure: Option<Box<Structure>>,
    sets: ParameterSets,
    clock: Option<SenderClock>,
}

/// What the header of a first packet says about its place.
#[derive(Clone, Copy)]
struct Place {
    kind: MediaKind,
    encoding: EncodingId,
    repairs: bool,
}

impl Publisher {
    /// A publisher whose packets carry epochs from `epoch` × 256 on; `reporter` is the SSRC of our RTCP.
    pub fn new(now: Instant, epoch: u32, plan: SessionPlan, reporter: Ssrc) -> Self {
        let has = |feedback: fn(&TrackPlan) -> bool| plan.tracks.iter().any(feedback);
        let transport_cc = has(|track| track.feedback.transport_cc);
        let arrivals = transport_cc.then(|| Box::new(Arrivals::new(now)));
        let remb = has(|track| track.feedback.remb) && !transport_cc;
        let rids = plan.track(MediaKind::Video).into_iter().flat_map(|track| &track.rids);
        let layers = LayerReport::new(rids.take(ENCODINGS_MAX).copied().collect());
        Self {
            layers,
            inserted: None,
            epoch: epoch << 8,
            plan,
            reporter,
            sources: Vec::new(),
            gates: Default::default(),
            fir_seq: 0,
            next_report: now + REPORT_INTERVAL,
            current: [None; 2],
            changed: [false; 2],
            told: [None; 2],
            arrivals,
            allowance: remb.then(|| Allowance::new(now, None)),
            muted: [false; 2],
            flow: Flow::default(),
            lint: Box::default(),
            kept: turn::Kept::default(),
        }
    }

    /// The same, held to `bits_per_second` by REMB, if that was negotiated: a sender that gets transport-wide
    /// feedback takes it as an upper bound.
    pub fn with_limit(mut self, now: Instant, bits_per_second: Option<u64>) -> Self {
        self.lint = Box::new(Lint::new(bits_per_second));
        if bits_per_second.is_some() && self.plan.tracks.iter().any(|track| track.feedback.remb) {
            self.allowance = Some(Allowance::new(now, bits_per_second));
        }
        self
    }

    /// Takes a decrypted packet; `index` is its SRTP index (roll-over counter and sequence number).
    pub fn on_rtp(&mut self, now: Instant, index: u64, rtp: &RtpView<'_>) -> Result<Packet, Unusable> {
        self.note_arrival(now, rtp);
        let at = self.source(now, rtp)?;
        self.sources[at].heard = now;
        if self.sources[at].repairs {
            return self.on_repair(now, at, rtp);
        }
        let seq = SeqNo(index);
        let format = self.format(self.sources[at].kind, |track| track.payload_type == rtp.payload_type())?;
        let arrival = if self.repairs_apart(rtp.payload_type()) { Arrival::First } else { Arrival::Either };
        let source = &mut self.sources[at];
        if !source.log.on_packet(now, seq, arrival) {
            return Err(Unusable::Duplicate);
        }
        let time = source.extend(rtp.timestamp());
        let rate = format.codec.clock_rate();
        source.reception.get_or_insert_with(|| Reception::new(rate, seq)).on_packet(now, seq, time);
        Ok(self.packet(now, at, seq, time, format, rtp, rtp.payload()))
    }

    /// Also for what turns out to be of no use: it took its share of the line.
    fn note_arrival(&mut self, now: Instant, rtp: &RtpView<'_>) {
        if let Some(allowance) = &mut self.allowance {
            allowance.on_packet(rtp.header_len() + rtp.payload().len());
        }
        let Some(arrivals) = &mut self.arrivals else { return };
        let Some(id) = self.plan.extensions.id(ExtensionKind::TransportCc) else { return };
        let value = rtp.extensions().find(|(other, _)| *other == id).map(|(_, value)| value);
        if let Some(number) = value.and_then(|value| value.first_chunk::<2>()) {
            arrivals.on_packet(now, u16::from_be_bytes(*number));
        }
    }

    /// Unwraps a retransmission (RFC 4588 §4): two bytes of original sequence number, then the payload.
    fn on_repair(&mut self, now: Instant, at: usize, rtp: &RtpView<'_>) -> Result<Packet, Unusable> {
        let Source { kind, encoding, .. } = self.sources[at];
        let Some((original, payload)) = rtp.payload().split_first_chunk::<2>() else {
            return Err(Unusable::NothingToRepair);
        };
        let format = self.format(kind, |track| track.rtx == Some(rtp.payload_type()))?;
        let at = self.newest(kind, encoding).ok_or(Unusable::NothingToRepair)?;
        let source = &mut self.sources[at];
        let highest = source.log.highest().ok_or(Unusable::NothingToRepair)?;
        let seq = seq_near(highest, u16::from_be_bytes(*original));
        if seq > highest || !source.log.on_packet(now, seq, Arrival::Repair) {
            return Err(Unusable::Duplicate);
        }
        let time = source.extend(rtp.timestamp());
        Ok(self.packet(now, at, seq, time, format, rtp, payload))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one packet, gathered in its two callers")]
    fn packet(
        &mut self,
        now: Instant,
        at: usize,
        seq: SeqNo,
        time: RtpTime,
        format: Format,
        rtp: &RtpView<'_>,
        payload: &[u8],
    ) -> Packet {
        let Source { kind, encoding, epoch, .. } = self.sources[at];
        self.flow.on_packet(now, kind);
        let extension = |kind| {
            let id = self.plan.extensions.id(kind)?;
            rtp.extensions().find(|(other, _)| *other == id).map(|(_, value)| value)
        };
        let descriptor = extension(ExtensionKind::DependencyDescriptor);
        let structure = &mut self.sources[at].structure;
        let marks = dependency::marks(format.codec, payload, descriptor, structure);
        if let Some(structure) = structure.as_ref().filter(|_| marks.keyframe_start) {
            self.layers.set_sizes(encoding, structure.sizes());
        }
        if marks.keyframe_start
            && let Some(gate) = self.gates.get_mut(usize::from(encoding.0))
        {
            gate.on_keyframe();
        }
        if self.current[kind.index()].replace(format) != Some(format) {
            self.changed[kind.index()] = true;
        }
        let extensions = &self.plan.extensions;
        let sets = &mut self.sources[at].sets;
        let inserts = sets.on_packet(format, &marks, seq, time, payload);
        let info = PacketInfo {
            epoch,
            kind,
            encoding,
            format,
            seq: sets.number(seq),
            time,
            marker: rtp.marker(),
            marks,
            arrived: now,
        };
        self.inserted = if inserts { sets.packet(&info) } else { None };
        let packet = Packet::new(
            info,
            payload,
            rtp.extensions().filter_map(|(id, value)| Some((extensions.kind(id)?, value))),
        );
        self.layers.on_packet(&packet);
        self.lint.on_packet(&packet);
        packet
    }

    /// Takes a decrypted compound of RTCP; sender reports come back as clocks.
    pub fn on_rtcp(&mut self, now: Instant, compound: &[u8], mut on_clock: impl FnMut(SenderClock)) {
        for block in rtcp::blocks(compound) {
            let Block::SenderReport { sender, info, .. } = block else { continue };
            let Some(source) = self.sources.iter_mut().find(|source| source.ssrc == sender) else { continue };
            let (Some(time), Some(reception)) = (source.time, &mut source.reception) else { continue };
            reception.on_sender_report(now, info.ntp);
            let clock = SenderClock {
                epoch: source.epoch,
                kind: source.kind,
                encoding: source.encoding,
                ntp: info.ntp,
                time: time_near(time, info.rtp),
                arrived: now,
            };
            source.clock = Some(clock);
            self.lint.on_sender_report(source.kind);
            on_clock(clock);
        }
    }

    /// What goes to viewers before the packet that [`Self::on_rtp`] gave last: parameter sets that it needs.
    pub fn take_inserted(&mut self) -> Option<Packet> {
        self.inserted.take()
    }

    /// Viewers of this encoding need a keyframe. Audio has none.
    pub fn want_keyframe(&mut self, now: Instant, encoding: EncodingId) {
        if let Some(gate) = self.gates.get_mut(usize::from(encoding.0)) {
            gate.want(now);
        }
    }

    /// What it sends of the kinds that are `muted`, by [`MediaKind::index`], is for nobody from now on. The
    /// answer is which kinds that changes.
    pub fn mute(&mut self, muted: [bool; 2]) -> impl Iterator<Item = MediaKind> + use<> {
        let before = std::mem::replace(&mut self.muted, muted);
        MediaKind::ALL.into_iter().filter(move |kind| before[kind.index()] != muted[kind.index()])
    }

    /// Whether its packets of that kind are for nobody.
    pub fn is_muted(&self, kind: MediaKind) -> bool {
        self.muted[kind.index()]
    }

    /// The next RTCP datagram that is due, in plain text; call until `None`.
    ///
    /// Feedback travels alone where reduced size was negotiated and behind a report where not, since clients
    /// exist that read it in only one of the two ways (RFC 5506 §5; FFmpeg the one, libdatachannel the other).
    pub fn poll_rtcp(&mut self, now: Instant) -> Option<Rtcp> {
        if now >= self.next_report && !self.sources.is_empty() {
            self.next_report = now + REPORT_INTERVAL;
            return Some(Rtcp { compound: self.report(now), is_keyframe_request: false });
        }
        if let Some(rtcp) = self.transport_feedback(now).or_else(|| self.remb(now)) {
            return Some(rtcp);
        }
        for at in 0..self.sources.len() {
            if self.nack_due(at).is_none_or(|due| now < due) {
                continue;
            }
            let lost: Vec<u16> = self.sources[at].log.poll(now).into_iter().map(SeqNo::wire).collect();
            // Empty where the last of them was just given up.
            if !lost.is_empty() {
                let mut compound = self.prefix(now);
                rtcp::write_nack(&mut compound, self.reporter, self.sources[at].ssrc, &lost);
                return Some(Rtcp { compound, is_keyframe_request: false });
            }
        }
        let encoding = (0..ENCODINGS_MAX as u8)
            .map(EncodingId)
            .find(|encoding| self.can_ask(*encoding) && self.gates[usize::from(encoding.0)].poll(now))?;
        self.lint.on_keyframe_request(now, encoding);
        Some(Rtcp { compound: self.keyframe_request(now, encoding)?, is_keyframe_request: true })
    }

    /// When [`Self::poll_rtcp`] or [`Self::poll_flow`] has something next.
    pub fn next_timeout(&self) -> Instant {
        let nacks = (0..self.sources.len()).filter_map(|at| self.nack_due(at));
        let gates = (0..ENCODINGS_MAX as u8).map(EncodingId).filter(|encoding| self.can_ask(*encoding));
        let gates = gates.filter_map(|encoding| self.gates[usize::from(encoding.0)].next_timeout());
        let feedback = self.arrivals.as_ref().and_then(|arrivals| arrivals.due());
        let remb = self.allowance.as_ref().and_then(Allowance::due);
        let flow = self.flow.next_timeout();
        nacks.chain(gates).chain(feedback).chain(remb).chain(flow).fold(self.next_report, Instant::min)
    }

    fn transport_feedback(&mut self, now: Instant) -> Option<Rtcp> {
        self.arrivals.as_ref().filter(|arrivals| arrivals.due().is_some_and(|due| due <= now))?;
        // Any of the sender's SSRCs; the numbers are the transport's.
        let media = self.sources.first().map_or(Ssrc(0), |source| source.ssrc);
        let mut compound = self.prefix(now);
        let written = self.arrivals.as_mut()?.write(now, self.reporter, media, &mut compound);
        written.then_some(Rtcp { compound, is_keyframe_request: false })
    }

    fn remb(&mut self, now: Instant) -> Option<Rtcp> {
        let bitrate_bps = self.allowance.as_mut()?.poll(now)?;
        let ssrcs: Vec<Ssrc> =
            self.sources.iter().filter(|source| !source.repairs).map(|source| source.ssrc).collect();
        let mut compound = self.prefix(now);
        rtcp::write_remb(&mut compound, self.reporter, bitrate_bps, &ssrcs);
        Some(Rtcp { compound, is_keyframe_request: false })
    }

    fn nack_due(&self, at: usize) -> Option<Instant> {
        let source = &self.sources[at];
        let nack = self.plan.track(source.kind)?.feedback.nack;
        (nack && !source.repairs).then(|| source.log.next_timeout())?
    }

    fn can_ask(&self, encoding: EncodingId) -> bool {
        let asks =
            self.plan.track(MediaKind::Video).is_some_and(|track| track.feedback.pli || track.feedback.fir);
        asks && self.newest(MediaKind::Video, encoding).is_some()
    }

    fn keyframe_request(&mut self, now: Instant, encoding: EncodingId) -> Option<Vec<u8>> {
        let media = self.sources[self.newest(MediaKind::Video, encoding)?].ssrc;
        let feedback = self.plan.track(MediaKind::Video)?.feedback;
        let mut compound = self.prefix(now);
        if feedback.pli {
            rtcp::write_pli(&mut compound, self.reporter, media);
        } else {
            self.fir_seq = self.fir_seq.wrapping_add(1);
            rtcp::write_fir(&mut compound, self.reporter, media, self.fir_seq);
        }
        Some(compound)
    }

    fn prefix(&mut self, now: Instant) -> Vec<u8> {
        if self.plan.reduced_size_rtcp { Vec::new() } else { self.report(now) }
    }

    fn report(&mut self, now: Instant) -> Vec<u8> {
        let mut compound = Vec::with_capacity(128);
        let reports: Vec<_> = self
            .sources
            .iter_mut()
            .filter_map(|source| Some(source.reception.as_mut()?.report(now, source.ssrc)))
            .collect();
        rtcp::write_receiver_report(&mut compound, self.reporter, &reports);
        rtcp::write_sdes_cname(&mut compound, self.reporter, &self.plan.cname);
        compound
    }

    /// True for a payload type whose repairs come as RTX.
    fn repairs_apart(&self, payload_type: PayloadType) -> bool {
        let mut formats = self.plan.tracks.iter().flat_map(|track| &track.formats);
        formats.any(|format| format.payload_type == payload_type && format.rtx.is_some())
    }

    fn format(
        &self,
        kind: MediaKind,
        is_it: impl Fn(&wtn_media::plan::PayloadFormat) -> bool,
    ) -> Result<Format, Unusable> {
        let track = self.plan.track(kind).ok_or(Unusable::UnknownTrack)?;
        track.formats.iter().find(|format| is_it(format)).map(|f| f.format).ok_or(Unusable::UnknownTrack)
    }

    /// The live source of an encoding: the latest, if the publisher changed its SSRC.
    fn newest(&self, kind: MediaKind, encoding: EncodingId) -> Option<usize> {
        (0..self.sources.len())
            .filter(|at| {
                let source = &self.sources[*at];
                source.kind == kind && source.encoding == encoding && !source.repairs
            })
            .max_by_key(|at| self.sources[*at].epoch)
    }

    /// The source of a packet: known by its SSRC, or learnt from its first packet (RFC 9143 §9.2).
    fn source(&mut self, now: Instant, rtp: &RtpView<'_>) -> Result<usize, Unusable> {
        if let Some(at) = self.sources.iter().position(|source| source.ssrc == rtp.ssrc()) {
            return Ok(at);
        }
        let Place { kind, encoding, repairs } = self.place(rtp).ok_or(Unusable::UnknownTrack)?;
        let epoch = match self.newest(kind, encoding) {
            // Never into the range of the stream's next publisher.
            Some(at) if !repairs => (self.sources[at].epoch + 1).min(self.epoch | 0xff),
            _ => self.epoch,
        };
        if self.sources.len() >= SOURCES_MAX {
            let oldest = (0..self.sources.len()).min_by_key(|at| self.sources[*at].heard);
            self.sources.swap_remove(oldest.unwrap_or(0));
        }
        self.sources.push(Source {
            ssrc: rtp.ssrc(),
            kind,
            encoding,
            repairs,
            epoch,
            heard: now,
            log: ReceiveLog::default(),
            reception: None,
            time: None,
            structure: None,
            sets: ParameterSets::default(),
            clock: None,
        });
        Ok(self.sources.len() - 1)
    }

    fn place(&self, rtp: &RtpView<'_>) -> Option<Place> {
        let value = |kind| {
            let id = self.plan.extensions.id(kind)?;
            rtp.extensions().find(|(other, _)| *other == id).map(|(_, value)| value)
        };
        let payload_type = rtp.payload_type();
        let mid = value(ExtensionKind::Mid).and_then(Mid::from_bytes);
        let announced = |track: &TrackPlan| {
            track.ssrcs.iter().any(|(media, rtx)| *media == rtp.ssrc() || *rtx == Some(rtp.ssrc()))
        };
        let tracks = &self.plan.tracks;
        let track = tracks
            .iter()
            .find(|track| mid == Some(track.mid))
            .or_else(|| tracks.iter().find(|track| announced(track)))
            .or_else(|| tracks.iter().find(|track| carries(track, payload_type)))?;
        let repairs = track.formats.iter().any(|format| format.rtx == Some(payload_type));
        let rid =
            value(ExtensionKind::RepairedRid).or_else(|| value(ExtensionKind::Rid)).and_then(Rid::from_bytes);
        let encoding = if track.rids.is_empty() {
            EncodingId(0)
        } else {
            // Without its rid a simulcast packet could be any of them; the next ones will have it.
            let at = track.rids.iter().position(|other| Some(*other) == rid)?;
            EncodingId(u8::try_from(at).ok().filter(|at| usize::from(*at) < ENCODINGS_MAX)?)
        };
        carries(track, payload_type).then_some(Place { kind: track.kind, encoding, repairs })
    }
}

/// One RTCP datagram for the publisher.
#[derive(Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// Its bytes, not yet sealed.
    pub compound: Vec<u8>,
    /// True if it asks for a keyframe, for the counters.
    pub is_keyframe_request: bool,
}

fn carries(track: &TrackPlan, payload_type: PayloadType) -> bool {
    track.formats.iter().any(|format| format.payload_type == payload_type || format.rtx == Some(payload_type))
}

impl Source {
    fn extend(&mut self, wire: u32) -> RtpTime {
        // Begun one wrap up, so that a first packet out of order does not fall below zero.
        let time = self.time.map_or(RtpTime((1 << 32) | u64::from(wire)), |time| time_near(time, wire));
        self.time = self.time.max(Some(time));
        time
    }
}
