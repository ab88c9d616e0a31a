//! Whatever arrives, in whichever order, whoever joins, leaves or switches layers, and whichever shard is handed what:
//! each viewer gets one gapless, correctly numbered sequence that another implementation of SRTP opens.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod foreign;

use foreign::Stage;
use proptest::prelude::*;
use std::collections::BTreeMap;

use wtn_engine::Counter;
use wtn_media::plan::{Feedback, PayloadFormat, TrackPlan};
use wtn_media::rtp::{HeaderFields, HeaderWriter, RtpView};
use wtn_media::{
    Codec, ExtensionKind, ExtensionMap, Format, MediaKind, Mid, PayloadType, Remote, Rid, Role, SessionPlan,
    Ssrc, rtcp,
};
use wtn_testkit::{FrameId, Part};

const VIDEO: Ssrc = Ssrc(0x71de0);
const RTX: Ssrc = Ssrc(0x71de1);
const AUDIO: Ssrc = Ssrc(0xa0d10);
const RID_ID: u8 = 4;

/// Two encodings, told apart by their RIDs, the richer first; several packets a frame.
const ENCODINGS: [(&str, u16, usize); 2] = [("h", 6, 900), ("l", 2, 300)];

/// Viewers at a time.
const VIEWERS: usize = 4;

#[derive(Clone, Debug)]
enum Event {
    /// A viewer joins through that shard.
    Join(usize),
    Leave(usize),
    /// A frame of each encoding and a packet of sound; what becomes of the picture's packets on their way in.
    Frame {
        is_key: bool,
        fates: Vec<Fate>,
        astray: usize,
    },
    /// A viewer says what its line carries: enough for the rich encoding, or not.
    Line(usize, bool),
    /// A viewer asks for its last packets again.
    Nack(usize),
    /// Another publisher takes the stream, on that shard.
    Publisher(usize),
    /// So many milliseconds.
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    /// Before the one in front of it.
    Overtakes,
    Twice,
    /// It comes behind the next frame, or never.
    Late,
    Lost,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let fate = prop_oneof![
        12 => Just(Fate::Arrives),
        2 => Just(Fate::Overtakes),
        1 => Just(Fate::Twice),
        1 => Just(Fate::Late),
        1 => Just(Fate::Lost),
    ];
    let fates = || prop::collection::vec(fate.clone(), 8);
    let frame =
        |is_key| (fates(), 0..3usize).prop_map(move |(fates, astray)| Event::Frame { is_key, fates, astray });
    let event = prop_oneof![
        3 => (0..3usize).prop_map(Event::Join),
        1 => (0..VIEWERS).prop_map(Event::Leave),
        12 => frame(false),
        4 => frame(true),
        3 => (0..VIEWERS, any::<bool>()).prop_map(|(viewer, is_rich)| Event::Line(viewer, is_rich)),
        2 => (0..VIEWERS).prop_map(Event::Nack),
        1 => (0..3usize).prop_map(Event::Publisher),
        2 => prop_oneof![Just(300), Just(6000)].prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 1..60)
}

fn track(
    kind: MediaKind,
    formats: PayloadFormat,
    ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
    rids: &[&str],
) -> TrackPlan {
    TrackPlan {
        kind,
        mid: Mid::new(if kind == MediaKind::Audio { "0" } else { "1" }).unwrap(),
        formats: vec![formats],
        feedback: Feedback { nack: true, pli: true, remb: true, ..Feedback::default() },
        rids: rids.iter().map(|rid| Rid::new(rid).unwrap()).collect(),
        ssrcs,
    }
}

fn format(codec: Codec, number: u8, rtx: Option<u8>) -> PayloadFormat {
    let payload_type = PayloadType::new(number).unwrap();
    PayloadFormat { payload_type, format: Format::new(codec), rtx: rtx.and_then(PayloadType::new) }
}

fn plan(is_publisher: bool) -> SessionPlan {
    let mut extensions = ExtensionMap::default();
    if is_publisher {
        assert!(extensions.insert(RID_ID, ExtensionKind::Rid));
    } else {
        assert!(extensions.insert(1, ExtensionKind::Mid));
    }
    let ssrcs = |ssrc, rtx| if is_publisher { Vec::new() } else { vec![(ssrc, rtx)] };
    let rids: Vec<_> = ENCODINGS.iter().map(|(rid, ..)| *rid).filter(|_| is_publisher).collect();
    SessionPlan {
        tracks: vec![
            track(MediaKind::Audio, format(Codec::Opus, 111, None), ssrcs(AUDIO, None), &[]),
            track(MediaKind::Video, format(Codec::H264, 96, Some(97)), ssrcs(VIDEO, Some(RTX)), &rids),
        ],
        extensions,
        reduced_size_rtcp: true,
        cname: "wtn".to_owned(),
    }
}

/// One publisher's numbers.
struct Publisher {
    address: Remote,
    number: u16,
    frame: u32,
    seqs: [u16; 3],
    late: Vec<Vec<u8>>,
}

impl Publisher {
    fn packet(&mut self, encoding: Option<usize>, part: Part, len: usize) -> Vec<u8> {
        let at = encoding.unwrap_or(2);
        self.seqs[at] = self.seqs[at].wrapping_add(1);
        let (payload_type, codec) = if encoding.is_some() { (96, Codec::H264) } else { (111, Codec::Opus) };
        let fields = HeaderFields {
            payload_type: PayloadType::new(payload_type).unwrap(),
            marker: part.is_last(),
            sequence: self.seqs[at],
            timestamp: self.frame * 3000,
            ssrc: Ssrc(1000 * (u32::from(self.number) + 1) + at as u32),
        };
        let mut packet = vec![0; 100];
        let mut header = HeaderWriter::new(&mut packet, fields);
        if let Some(encoding) = encoding {
            header.extension(RID_ID, ENCODINGS[encoding].0.as_bytes());
        }
        let len_of_header = header.finish();
        packet.truncate(len_of_header);
        // A byte apart, as libwebrtc makes them: half of them get padding.
        packet.extend(part.payload(codec, len + usize::from(part.index % 2)));
        packet
    }

    /// A frame of every encoding as it arrives, and a packet of sound in its midst.
    fn frame(&mut self, is_key: bool, fates: &[Fate]) -> Vec<Vec<u8>> {
        self.frame += 1;
        let mut arriving = std::mem::take(&mut self.late);
        let mut fates = fates.iter().cycle();
        for (encoding, (_, count, len)) in ENCODINGS.into_iter().enumerate() {
            for index in 0..count {
                let id = FrameId { publisher: 2 * self.number + encoding as u16, frame: self.frame };
                let packet = self.packet(Some(encoding), Part { id, is_key, index, count }, len);
                match fates.next().unwrap() {
                    Fate::Arrives => arriving.push(packet),
                    Fate::Overtakes => arriving.insert(arriving.len().saturating_sub(1), packet),
                    Fate::Twice => arriving.extend([packet.clone(), packet]),
                    Fate::Late => self.late.push(packet),
                    Fate::Lost => {}
                }
            }
            if encoding == 0 {
                let id = FrameId { publisher: 2 * self.number, frame: self.frame };
                arriving.push(self.packet(None, Part { id, is_key: true, index: 0, count: 1 }, 80));
            }
        }
        arriving
    }
}

struct Story {
    stage: Stage,
    publisher: Publisher,
    viewers: Vec<Remote>,
    /// Of viewers who left.
    gone: Vec<Vec<Vec<u8>>>,
    lost: usize,
}

impl Story {
    fn begin() -> Self {
        let mut stage = Stage::new(3);
        let publisher = publisher(&mut stage, 0, 0);
        Self { stage, publisher, viewers: Vec::new(), gone: Vec::new(), lost: 0 }
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Join(shard) if self.viewers.len() < VIEWERS => {
                self.viewers.push(self.stage.connect(shard, Role::Subscriber, plan(false)));
            }
            Event::Leave(viewer) if viewer < self.viewers.len() => {
                let viewer = self.viewers.remove(viewer);
                self.gone.push(self.stage.leave(viewer).packets);
            }
            Event::Frame { is_key, fates, astray } => {
                self.lost += fates.iter().filter(|fate| matches!(fate, Fate::Lost | Fate::Late)).count();
                let arriving = self.publisher.frame(is_key, &fates);
                self.stage.say(self.publisher.address, &arriving, astray);
                self.stage.wait(20);
            }
            Event::Line(viewer, is_rich) if viewer < self.viewers.len() => {
                let mut compound = Vec::new();
                rtcp::write_remb(&mut compound, Ssrc(1), if is_rich { 9_000_000 } else { 50_000 }, &[VIDEO]);
                self.stage.say(self.viewers[viewer], &[compound], 0);
            }
            Event::Nack(viewer) if viewer < self.viewers.len() => {
                let viewer = self.viewers[viewer];
                let packets = &self.stage.clients[&viewer].packets;
                let views = packets.iter().rev().filter_map(|packet| RtpView::parse(packet).ok());
                let mut last: Vec<u16> =
                    views.filter(|view| view.ssrc() == VIDEO).map(|view| view.sequence()).take(9).collect();
                last.sort_unstable();
                if !last.is_empty() {
                    let mut compound = Vec::new();
                    rtcp::write_nack(&mut compound, Ssrc(1), VIDEO, &last);
                    self.stage.say(viewer, &[compound], 1);
                }
            }
            Event::Publisher(shard) => {
                let number = self.publisher.number + 1;
                self.publisher = publisher(&mut self.stage, shard, number);
            }
            Event::Wait(millis) => self.stage.wait(millis),
            Event::Join(_) | Event::Leave(_) | Event::Line(..) | Event::Nack(_) => {}
        }
    }

    fn received(self) -> impl Iterator<Item = Vec<Vec<u8>>> {
        let here = self.stage.clients.into_values().map(|client| client.packets);
        here.chain(self.gone)
    }
}

fn publisher(stage: &mut Stage, shard: usize, number: u16) -> Publisher {
    let role = Role::Publisher { epoch: u32::from(number) + 1 };
    let address = stage.connect(shard, role, plan(true));
    Publisher { address, number, frame: 0, seqs: [60_000 + number, 100, 7], late: Vec::new() }
}

/// What a viewer got of one SSRC, by sequence number.
#[derive(Default)]
struct Received {
    parts: BTreeMap<u16, Part>,
}

impl Received {
    fn holes(&self) -> usize {
        let span =
            self.parts.keys().next_back().zip(self.parts.keys().next()).map(|(last, first)| last - first);
        span.map_or(0, |span| usize::from(span) + 1 - self.parts.len())
    }
}

/// Checks all that one viewer got; `lost` packets never came in, or late. The answer counts repairs.
fn check_viewer(packets: &[Vec<u8>], lost: usize) -> Result<usize, TestCaseError> {
    let (mut video, mut audio) = (Received::default(), Received::default());
    let mut repairs = 0;
    for packet in packets {
        let view = RtpView::parse(packet).unwrap();
        let payload = view.payload();
        if view.ssrc() == RTX {
            let (original, payload) = payload.split_first_chunk::<2>().unwrap();
            let first = video.parts.get(&u16::from_be_bytes(*original));
            prop_assert_eq!(first.copied(), Part::read(payload), "a repair is what was sent first");
            repairs += 1;
            continue;
        }
        prop_assert!(view.ssrc() == VIDEO || view.ssrc() == AUDIO);
        let part = Part::read(payload);
        prop_assert!(part.is_some(), "bit for bit what was published");
        let received = if view.ssrc() == VIDEO { &mut video } else { &mut audio };
        let before = part.and_then(|part| received.parts.insert(view.sequence(), part));
        prop_assert!(before.is_none(), "number {} was used twice", view.sequence());
    }
    prop_assert_eq!(audio.holes(), 0, "all sound came in");
    prop_assert!(video.holes() <= lost, "{} holes for {lost} losses", video.holes());
    let parts: Vec<Part> = video.parts.into_values().collect();
    if let Some(first) = parts.first() {
        prop_assert!(first.is_key, "a picture begins with a keyframe");
    }
    for pair in parts.windows(2) {
        let place = |part: &Part| (part.id.frame, part.index);
        if pair[0].id.publisher == pair[1].id.publisher {
            prop_assert!(
                place(&pair[0]) < place(&pair[1]),
                "{pair:?}: numbers rise as they did at the source"
            );
        } else {
            prop_assert!(pair[1].is_key, "{pair:?}: a switch waits for a keyframe");
        }
    }
    Ok(repairs)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 300, ..ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
    ) })]
    #[test]
    fn rtp_09_any_interleaving_leaves_each_viewer_a_gapless_sequence_that_others_open(events in events()) {
        let mut story = Story::begin();
        events.into_iter().for_each(|event| story.play(event));
        prop_assert_eq!(story.stage.counter(Counter::Panics), 0);
        let lost = story.lost;
        for packets in story.received() {
            check_viewer(&packets, lost)?;
        }
    }
}

/// The story that shows that the others test something: pictures, sound, a switch down and up, repairs, another
/// publisher on another shard, padding.
#[test]
fn rtp_10_a_story_without_losses_has_everything_in_it() {
    let mut story = Story::begin();
    let frame = |is_key| Event::Frame { is_key, fates: vec![Fate::Arrives], astray: 1 };
    story.play(Event::Join(1));
    let mut play = |events: &[Event]| events.iter().for_each(|event| story.play(event.clone()));
    for is_rich in [true, false, true] {
        play(&[Event::Line(0, is_rich), frame(true)]);
        (0..300).for_each(|_| play(&[frame(false)]));
        play(&[frame(true), frame(false), Event::Nack(0)]);
    }
    play(&[Event::Publisher(2), frame(true), frame(false)]);
    assert!(story.stage.counter(Counter::LayerSwitches) >= 2);
    let packets = story.received().find(|packets| packets.len() > 100).unwrap();
    assert!(packets.iter().any(|packet| packet[0] & 0x20 != 0), "some are padded");
    let repairs = check_viewer(&packets, 0).unwrap();
    assert!(repairs >= 9, "{repairs} repairs");
    let publishers = |packet: &Vec<u8>| Part::read(RtpView::parse(packet).unwrap().payload());
    let seen: std::collections::BTreeSet<u16> =
        packets.iter().filter_map(publishers).map(|part| part.id.publisher).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2], "both encodings, and the next publisher");
}
