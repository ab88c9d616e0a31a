//! In which order and how long a pass' packets leave, so that as many as can be go to a viewer in one message.
//!
//! The kernel cuts one message into datagrams of one length, of which only the last may be shorter. Two things
//! make shorter ones where none need be: libwebrtc spreads a frame over packets that differ by one byte, and sound
//! arrives between them. See docs/decisions/0010-equal-segments.md.

use crate::stream::Feed;
use wtn_media::{EncodingId, MediaKind, Packet};

/// Padding of one packet at most: evens out what libwebrtc's rounding makes unequal, and costs a line 1.3 % if it is
/// ever used whole. One byte is the rule.
pub const PADDING_MAX: u8 = 16;

/// The shape of one pass. Kept from pass to pass, so that a steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Shape {
    /// By place among the feeds.
    paddings: Vec<u8>,
    sound: Vec<Feed>,
}

impl Shape {
    /// Moves sound behind the picture, where it can be the shorter last segment, and notes what is missing from each
    /// packet of the picture to be as long as its neighbours. Either keeps its own order.
    pub fn arrange(&mut self, feeds: &mut Vec<Feed>) {
        if feeds.len() < 2 {
            // The way it is while little happens.
            self.paddings.clear();
            return;
        }
        let is_sound =
            |feed: &mut Feed| packet_of(feed).is_some_and(|packet| packet.kind == MediaKind::Audio);
        self.sound.extend(feeds.extract_if(.., is_sound));
        self.paddings.clear();
        self.paddings.resize(feeds.len(), 0);
        let mut at = 0;
        while at < feeds.len() {
            at += self.even_out(at, &feeds[at..]);
        }
        feeds.append(&mut self.sound);
    }

    /// What to add to the packet at that place.
    pub fn padding(&self, at: usize) -> u8 {
        self.paddings.get(at).copied().unwrap_or(0)
    }

    /// Makes as many of `feeds` as are nearly equal as long as the longest of them; the answer counts them.
    fn even_out(&mut self, start: usize, feeds: &[Feed]) -> usize {
        let Some(first) = feeds.first().and_then(packet_of) else { return 1 };
        let (mut least, mut most) = (first.payload().len(), first.payload().len());
        let alike = feeds.iter().map_while(|feed| {
            let packet = packet_of(feed).filter(|packet| track_of(packet) == track_of(first))?;
            let len = packet.payload().len();
            let (shorter, longer) = (least.min(len), most.max(len));
            (longer - shorter <= usize::from(PADDING_MAX)).then(|| (least, most) = (shorter, longer))
        });
        let count = alike.count();
        for (padding, feed) in self.paddings[start..].iter_mut().zip(&feeds[..count]) {
            *padding = packet_of(feed).map_or(0, |packet| (most - packet.payload().len()) as u8);
        }
        count.max(1)
    }
}

fn packet_of(feed: &Feed) -> Option<&Packet> {
    match feed {
        Feed::Packet(packet) => Some(packet),
        _ => None,
    }
}

/// Packets of one track and encoding go to the same viewers.
fn track_of(packet: &Packet) -> (MediaKind, EncodingId) {
    (packet.kind, packet.encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;
    use wtn_media::packet::{Marks, PacketInfo};
    use wtn_media::{Codec, Format, RtpTime, SeqNo};

    /// A feed of that payload length; encoding 9 stands for sound.
    fn feed(seq: usize, encoding: u8, len: usize) -> Feed {
        let kind = if encoding == 9 { MediaKind::Audio } else { MediaKind::Video };
        let info = PacketInfo {
            epoch: 0,
            kind,
            encoding: EncodingId(encoding % 9),
            format: Format::new(Codec::H264),
            seq: SeqNo(seq as u64),
            time: RtpTime(0),
            marker: false,
            marks: Marks::default(),
            arrived: Instant::now(),
        };
        Feed::Packet(Arc::new(Packet::new(info, &vec![0; len], [])))
    }

    /// Arranges packets of (encoding, length); the answer is their places before, and what each is padded by.
    fn arranged(packets: &[(u8, usize)]) -> Vec<(u64, u8)> {
        let mut feeds: Vec<_> =
            packets.iter().enumerate().map(|(seq, (encoding, len))| feed(seq, *encoding, *len)).collect();
        let mut shape = Shape::default();
        shape.arrange(&mut feeds);
        let seqs = feeds.iter().filter_map(packet_of).map(|packet| packet.seq.0);
        seqs.enumerate().map(|(at, seq)| (seq, shape.padding(at))).collect()
    }

    fn paddings(packets: &[(u8, usize)]) -> Vec<u8> {
        arranged(packets).into_iter().map(|(_, padding)| padding).collect()
    }

    #[test]
    fn a_frame_of_libwebrtc_becomes_equal_and_sound_goes_last() {
        let frame = [(0, 1180), (9, 120), (0, 1180), (0, 1181), (9, 130), (0, 1181)];
        assert_eq!(arranged(&frame), [(0, 1), (2, 1), (3, 0), (5, 0), (1, 0), (4, 0)]);
    }

    #[test]
    fn what_is_much_shorter_stays_as_it_is() {
        assert_eq!(paddings(&[(0, 1200), (0, 1200), (0, 640), (0, 1200)]), [0, 0, 0, 0]);
        assert_eq!(paddings(&[(0, 1000), (0, 1016), (0, 1017)]), [16, 0, 0]);
        assert_eq!(paddings(&[(0, 1017), (0, 1016), (0, 1000)]), [0, 1, 0]);
    }

    #[test]
    fn encodings_are_evened_out_each_for_itself() {
        assert_eq!(paddings(&[(0, 900), (1, 901), (0, 902)]), [0, 0, 0]);
        assert_eq!(paddings(&[(0, 900), (0, 902), (1, 901), (1, 899)]), [2, 0, 0, 2]);
    }

    #[test]
    fn a_lone_packet_is_never_touched() {
        assert_eq!(arranged(&[(0, 1)]), [(0, 0)]);
        assert_eq!(arranged(&[(9, 1), (0, 7)]), [(1, 0), (0, 0)]);
    }
}
