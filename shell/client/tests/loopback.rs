//! The publisher's core against the player's, in memory and in virtual time. The player takes the publisher's
//! offer as a WHEP counter-offer, so no server stands between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wtn_client::clip::{CODECS, Clip};
use wtn_client::{Datagram, Ending, Machine, Player, Publisher, PublisherConfig, TrackReport};
use wtn_media::{Codec, MediaKind};

const LATENCY: Duration = Duration::from_millis(15);

/// A publisher and a player with a link between them that may lose, delay or repeat datagrams.
struct Show {
    start: Instant,
    now: Instant,
    publisher: Publisher,
    player: Player,
    flying: BTreeMap<(Instant, u64), (bool, Datagram)>,
    sent: u64,
    fate: Box<Destiny>,
}

/// Decides over the datagrams from publisher to player, by number.
type Destiny = dyn FnMut(u64, &Datagram) -> Fate;

enum Fate {
    Arrives,
    Lost,
    Twice,
    Late(Duration),
}

fn addresses() -> (SocketAddr, SocketAddr) {
    ("192.0.2.1:5000".parse().expect("addr"), "192.0.2.2:6000".parse().expect("addr"))
}

impl Show {
    fn new(codec: Codec, rtp_start: u32) -> Self {
        let clip = Clip::embedded(codec).expect("built in");
        let length = Some(clip.duration());
        Self::with(clip, PublisherConfig { length, rtp_start, wall: None })
    }

    fn with(clip: Clip, config: PublisherConfig) -> Self {
        let start = Instant::now();
        let (ours, theirs) = addresses();
        let mut publisher = Publisher::new(start, clip, &[ours], config);
        let player = Player::answering(start, &[theirs], publisher.offer()).expect("an offer of str0m");
        publisher.accept_answer(start, player.sdp()).expect("an answer of str0m");
        Self {
            start,
            now: start,
            publisher,
            player,
            flying: BTreeMap::new(),
            sent: 0,
            fate: Box::new(|_, _| Fate::Arrives),
        }
    }

    /// What becomes of what the publisher sends from now on.
    fn fate(&mut self, fate: impl FnMut(u64, &Datagram) -> Fate + 'static) {
        self.fate = Box::new(fate);
    }

    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            self.launch();
            let due = [self.publisher.next_timeout(), self.player.next_timeout(), Some(until)];
            let flying = self.flying.keys().next().map(|(at, _)| *at);
            let next = due.into_iter().flatten().chain(flying).min().expect("`until` at least");
            self.now = self.now.max(next);
            self.land();
            if self.publisher.next_timeout().is_some_and(|at| at <= self.now) {
                self.publisher.handle_timeout(self.now);
            }
            if self.player.next_timeout().is_some_and(|at| at <= self.now) {
                self.player.handle_timeout(self.now);
            }
        }
    }

    fn launch(&mut self) {
        while let Some(datagram) = self.player.poll_transmit() {
            self.fly(false, LATENCY, datagram);
        }
        while let Some(datagram) = self.publisher.poll_transmit() {
            match (self.fate)(self.sent, &datagram) {
                Fate::Arrives => self.fly(true, LATENCY, datagram),
                Fate::Lost => self.sent += 1,
                Fate::Twice => {
                    self.fly(true, LATENCY, datagram.clone());
                    self.fly(true, LATENCY * 2, datagram);
                }
                Fate::Late(late) => self.fly(true, LATENCY + late, datagram),
            }
        }
    }

    fn fly(&mut self, to_player: bool, latency: Duration, datagram: Datagram) {
        self.sent += 1;
        self.flying.insert((self.now + latency, self.sent), (to_player, datagram));
    }

    fn land(&mut self) {
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to_player, Datagram { source, destination, bytes }) = entry.remove();
            if to_player {
                self.player.handle_datagram(self.now, source, destination, &bytes);
            } else {
                self.publisher.handle_datagram(self.now, source, destination, &bytes);
            }
        }
    }

    fn connect(&mut self) {
        self.run(Duration::from_secs(1));
        assert!(self.publisher.connected_at().is_some() && self.player.connected_at().is_some());
    }

    fn tracks(&self) -> (TrackReport, TrackReport) {
        let mut tracks = self.player.tracks(self.start, self.now).into_iter();
        let (video, audio) = (tracks.next().expect("video"), tracks.next().expect("audio"));
        assert_eq!((video.kind, audio.kind), ("video", "audio"));
        (video, audio)
    }
}

/// An RTP packet of the picture, sent for the first time. The payload types are those of the offers.
fn is_video(datagram: &Datagram) -> bool {
    has_format(datagram, &[45, 96])
}

/// An RTP packet sent again.
fn is_repair(datagram: &Datagram) -> bool {
    has_format(datagram, &[46, 97])
}

fn has_format(datagram: &Datagram, formats: &[u8]) -> bool {
    datagram.bytes[0] >> 6 == 2 && formats.contains(&(datagram.bytes[1] & 0x7f))
}

#[test]
fn every_frame_of_every_codec_arrives_and_can_be_decoded() {
    for codec in CODECS {
        let mut show = Show::new(codec, 7);
        show.run(Duration::from_secs(12));
        assert!(show.publisher.is_over());
        let (video, audio) = show.tracks();
        assert_eq!((video.codec, audio.codec), (codec.name(), "opus"));
        assert_eq!((video.frames, video.frames_decodable, video.keyframes), (250, 250, 5), "{codec}");
        assert_eq!((audio.frames, audio.frames_decodable), (500, 500), "{codec}");
        for track in [&video, &audio] {
            let incidents = (track.lost, track.duplicates, track.reordered, track.unreadable);
            assert_eq!(incidents, (0, 0, 0, 0), "{codec} {}", track.kind);
            assert!(track.jitter_ms < 0.5, "{codec} {} jitter {}", track.kind, track.jitter_ms);
        }
        assert_eq!((video.fps, audio.fps), (25.0, 50.0), "{codec}");
        assert_eq!((video.media_gap_ms_max, audio.media_gap_ms_max), (40.0, 20.0), "{codec}");
        let sent = show.publisher.stats();
        assert_eq!(sent.tracks[MediaKind::Video.index()].packets, video.packets, "{codec}");
        assert_eq!(sent.tracks[MediaKind::Audio.index()].packets, audio.packets, "{codec}");
        assert_eq!((sent.retransmissions, sent.keyframe_requests), (0, 0), "{codec}");
        let late = show.player.stats().sound_late_ms.expect("sender reports of both tracks");
        assert!(late.abs() < 2.0, "{codec}: sound {late} ms late");
    }
}

#[test]
fn time_stamps_may_wrap_around_on_the_way() {
    let mut show = Show::new(Codec::Vp8, u32::MAX - 90_000);
    show.run(Duration::from_secs(12));
    let (video, audio) = show.tracks();
    assert_eq!((video.frames_decodable, audio.frames), (250, 500));
    assert_eq!((video.media_gap_ms_max, audio.media_gap_ms_max), (40.0, 20.0));
}

#[test]
fn play_07_a_lost_packet_is_asked_for_again_and_costs_no_frame() {
    for codec in CODECS {
        let mut show = Show::new(codec, 0);
        show.connect();
        // Every 20th packet of the video, once; what is sent again arrives.
        let mut count = 0;
        show.fate(move |_, datagram| {
            count += u64::from(is_video(datagram));
            if is_video(datagram) && count % 20 == 10 { Fate::Lost } else { Fate::Arrives }
        });
        show.run(Duration::from_secs(11));
        let (video, _) = show.tracks();
        assert!(video.repaired >= 10, "{codec}: {} repaired", video.repaired);
        assert_eq!((video.lost, video.frames, video.frames_decodable), (0, 250, 250), "{codec}");
        assert!(show.player.stats().retransmissions >= video.repaired, "{codec}");
        assert_eq!(show.publisher.stats().retransmissions, show.player.stats().retransmissions, "{codec}");
        assert_eq!(show.player.stats().keyframe_requests, 0, "{codec}");
    }
}

#[test]
fn cli_16_a_request_brings_a_keyframe_at_once() {
    for codec in CODECS {
        let mut show = Show::new(codec, 0);
        let keyframes = |show: &Show| show.publisher.stats().tracks[MediaKind::Video.index()].keyframes;
        show.run(Duration::from_millis(2_200));
        assert_eq!(keyframes(&show), 2, "{codec}: at 0 and 2 s");
        // A gap that is too long to be repaired: what is sent again gets lost as well.
        show.fate(|_, datagram| if datagram.bytes[0] >> 6 == 2 { Fate::Lost } else { Fate::Arrives });
        show.run(Duration::from_millis(300));
        show.fate(|_, datagram| if is_repair(datagram) { Fate::Lost } else { Fate::Arrives });
        while show.player.stats().keyframe_requests == 0 {
            show.run(Duration::from_millis(5));
            assert!(show.now < show.start + Duration::from_secs(4), "{codec}: nobody asked");
        }
        let decodable = show.tracks().0.frames_decodable;
        assert_eq!(keyframes(&show), 2, "{codec}");
        show.run(Duration::from_millis(100));
        assert_eq!(keyframes(&show), 3, "{codec}: a round trip and two frames later");
        assert_eq!(show.publisher.stats().keyframe_requests, 1, "{codec}");
        show.run(Duration::from_secs(2));
        let (video, audio) = show.tracks();
        assert!(video.frames_decodable >= decodable + 49, "{codec}: {}", video.frames_decodable);
        // The place in the clip has jumped, sound and picture together, and the time stamps have not.
        assert!((300.0..=360.0).contains(&video.media_gap_ms_max), "{codec}: {}", video.media_gap_ms_max);
        assert!((300.0..=360.0).contains(&audio.media_gap_ms_max), "{codec}: {}", audio.media_gap_ms_max);
        assert!(show.player.stats().sound_late_ms.expect("reports").abs() < 2.0, "{codec}");
    }
}

#[test]
fn duplicates_and_reordering_are_counted_and_harm_nothing() {
    let mut show = Show::new(Codec::H264, 0);
    show.connect();
    let mut count = 0;
    show.fate(move |_, datagram| {
        count += u64::from(is_video(datagram));
        match count % 25 {
            5 if is_video(datagram) => Fate::Twice,
            15 if is_video(datagram) => Fate::Late(Duration::from_millis(50)),
            _ => Fate::Arrives,
        }
    });
    show.run(Duration::from_secs(11));
    let (video, _) = show.tracks();
    assert!(video.duplicates >= 8, "{}", video.duplicates);
    assert!(video.reordered >= 1, "{}", video.reordered);
    assert_eq!((video.lost, video.unreadable, video.frames_decodable), (0, 0, 250));
}

#[test]
fn a_publisher_that_was_suspended_goes_on_in_time_with_a_keyframe() {
    let mut show = Show::with(
        Clip::embedded(Codec::Vp8).expect("built in"),
        PublisherConfig { length: Some(Duration::from_secs(8)), rtp_start: 0, wall: None },
    );
    show.connect();
    let keyframes = show.publisher.stats().tracks[MediaKind::Video.index()].keyframes;
    show.now += Duration::from_millis(2_500);
    show.run(Duration::from_millis(200));
    assert_eq!(show.publisher.stats().tracks[MediaKind::Video.index()].keyframes, keyframes + 1);
    show.run(Duration::from_secs(6));
    let (video, audio) = show.tracks();
    assert_eq!(video.frames, video.frames_decodable);
    assert!((2_400.0..2_700.0).contains(&video.media_gap_ms_max), "{}", video.media_gap_ms_max);
    assert!((2_400.0..2_700.0).contains(&audio.media_gap_ms_max), "{}", audio.media_gap_ms_max);
}

#[test]
fn closing_is_told_to_the_other_side_at_once() {
    let mut show = Show::new(Codec::Vp8, 0);
    show.connect();
    show.publisher.close(show.now);
    show.run(Duration::from_millis(100));
    assert_eq!(show.player.ending(), Some(&Ending::ClosedByServer));
    let frames = show.publisher.stats().tracks[0].frames;
    show.run(Duration::from_secs(1));
    assert_eq!(show.publisher.stats().tracks[0].frames, frames, "nothing is sent after the end");
}

#[test]
fn cli_06_a_silent_path_ends_the_session_within_thirty_seconds() {
    let clip = Clip::embedded(Codec::Vp8).expect("built in");
    let mut show = Show::with(clip, PublisherConfig::default());
    show.connect();
    show.fate(|_, _| Fate::Lost);
    let silent_since = show.now;
    while show.player.ending().is_none() {
        show.run(Duration::from_millis(500));
        assert!(show.now - silent_since < Duration::from_secs(30), "still waiting");
    }
    assert_eq!(show.player.ending(), Some(&Ending::PathLost));
}

#[test]
fn cli_07_another_certificate_than_announced_ends_the_session() {
    let start = Instant::now();
    let (ours, theirs) = addresses();
    let clip = Clip::embedded(Codec::Vp8).expect("built in");
    let mut publisher = Publisher::new(start, clip.clone(), &[ours], PublisherConfig::default());
    let player = Player::answering(start, &[theirs], publisher.offer()).expect("an offer");
    let fingerprint = |sdp: &str| {
        sdp.lines().find(|line| line.starts_with("a=fingerprint:")).map(str::to_owned).expect("a fingerprint")
    };
    let other = Publisher::new(start, clip, &[ours], PublisherConfig::default());
    let forged = player.sdp().replace(&fingerprint(player.sdp()), &fingerprint(other.offer()));
    publisher.accept_answer(start, &forged).expect("well-formed");
    let mut show = Show {
        start,
        now: start,
        publisher,
        player,
        flying: BTreeMap::new(),
        sent: 0,
        fate: Box::new(|_, _| Fate::Arrives),
    };
    show.run(Duration::from_secs(3));
    assert!(matches!(show.publisher.ending(), Some(Ending::Failed(_))), "{:?}", show.publisher.ending());
    assert_eq!(show.publisher.stats().tracks[MediaKind::Video.index()].frames, 0);
}

#[test]
fn play_04_answers_in_every_shape_are_taken() {
    type Change = fn(&str) -> String;
    let shapes: [(&str, Change); 4] = [
        ("port 0 and bundle-only", |sdp| {
            let at = sdp.rfind("m=").expect("sections");
            let (head, tail) = sdp.split_at(at);
            format!(
                "{head}{}",
                tail.replacen(" 9 ", " 0 ", 1).replacen("a=mid:", "a=bundle-only\r\na=mid:", 1)
            )
        }),
        ("no msid, no ssrc", |sdp| without(sdp, &["a=msid", "a=ssrc"])),
        ("no end-of-candidates, no mux-only", |sdp| {
            without(sdp, &["a=end-of-candidates", "a=rtcp-mux-only"])
        }),
        ("ice-lite, ice2 and attributes nobody knows", |sdp| {
            sdp.replacen("t=0 0\r\n", "t=0 0\r\na=ice-options:ice2\r\na=x-unknown:1\r\n", 1)
        }),
    ];
    for (shape, change) in shapes {
        let start = Instant::now();
        let (ours, theirs) = addresses();
        let clip = Clip::embedded(Codec::H264).expect("built in");
        let mut publisher = Publisher::new(start, clip, &[ours], PublisherConfig::default());
        let player = Player::answering(start, &[theirs], publisher.offer()).expect("an offer");
        publisher.accept_answer(start, &change(player.sdp())).unwrap_or_else(|bad| panic!("{shape}: {bad}"));
    }
}

fn without(sdp: &str, starts: &[&str]) -> String {
    sdp.split_inclusive("\r\n").filter(|line| !starts.iter().any(|start| line.starts_with(start))).collect()
}

#[test]
fn an_answer_without_one_of_the_tracks_is_refused() {
    let start = Instant::now();
    let (ours, theirs) = addresses();
    let clip = Clip::embedded(Codec::H264).expect("built in");
    let mut publisher = Publisher::new(start, clip, &[ours], PublisherConfig::default());
    let player = Player::answering(start, &[theirs], publisher.offer()).expect("an offer");
    let at = player.sdp().rfind("m=video").expect("sections");
    let (head, tail) = player.sdp().split_at(at);
    let partial = format!("{head}{}", tail.replace("a=recvonly", "a=inactive"));
    let refused = publisher.accept_answer(start, &partial).expect_err("no video");
    assert_eq!(refused.to_string(), "the server does not take the video track");
}
