//! One RTP packet of a publisher, decrypted and parsed once, shared by every viewer of every shard.

use crate::peek::PictureIds;
use crate::{EncodingId, ExtensionKind, Format, LayerMarks, MediaKind, RtpTime, SeqNo};
use arrayvec::ArrayVec;
use std::time::Instant;

/// Extensions kept per packet. Chromium sends at most five that viewers may see.
pub const EXTENSIONS_MAX: usize = 8;

/// What a look at the payload told (see [`crate::peek`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// A joining viewer may start here: first packet of a frame that needs no earlier one, or of the parameter
    /// sets sent before it. [`crate::peek`] says it for each codec.
    pub keyframe_start: bool,
    /// Carries parameter sets (SPS/PPS/VPS, AV1 sequence header).
    pub parameter_sets: bool,
    /// Which layer it belongs to.
    pub layer: LayerMarks,
    /// The numbers that its payload descriptor gives to pictures.
    pub ids: Option<PictureIds>,
}

/// One packet as it crosses the building: payload in plain text, numbers extended, never changed again.
///
/// Viewers differ from it only in the header that [`crate::rtp::HeaderWriter`] writes for them.
#[derive(Debug)]
pub struct Packet {
    /// Which publisher session it came from; rises with every new one of the same stream.
    pub epoch: u32,
    /// Track.
    pub kind: MediaKind,
    /// Simulcast version of the track.
    pub encoding: EncodingId,
    /// Codec and profile, from the payload type as the publisher negotiated it.
    pub format: Format,
    /// Sequence number, extended.
    pub seq: SeqNo,
    /// Timestamp, extended.
    pub time: RtpTime,
    /// The marker bit: last packet of a video frame, first of a talk spurt.
    pub marker: bool,
    /// What the payload is to those who join or switch.
    pub marks: Marks,
    /// When the server took it from the socket.
    pub arrived: Instant,
    /// Payload, then the bytes of the extensions.
    bytes: Box<[u8]>,
    payload_len: u16,
    extensions: ArrayVec<(ExtensionKind, u8), EXTENSIONS_MAX>,
}

/// The numbers and names of a packet: all of [`Packet`] but its bytes.
#[derive(Clone, Copy, Debug)]
pub struct PacketInfo {
    /// See [`Packet::epoch`].
    pub epoch: u32,
    /// See [`Packet::kind`].
    pub kind: MediaKind,
    /// See [`Packet::encoding`].
    pub encoding: EncodingId,
    /// See [`Packet::format`].
    pub format: Format,
    /// See [`Packet::seq`].
    pub seq: SeqNo,
    /// See [`Packet::time`].
    pub time: RtpTime,
    /// See [`Packet::marker`].
    pub marker: bool,
    /// See [`Packet::marks`].
    pub marks: Marks,
    /// See [`Packet::arrived`].
    pub arrived: Instant,
}

impl Packet {
    /// Copies payload and extension values into one allocation. Extensions past [`EXTENSIONS_MAX`] or longer
    /// than [`ExtensionKind::len_max`] are left out; a payload is at most 65 535 bytes.
    pub fn new<'a>(
        info: PacketInfo,
        payload: &[u8],
        extensions: impl IntoIterator<Item = (ExtensionKind, &'a [u8])>,
    ) -> Self {
        let payload = &payload[..payload.len().min(usize::from(u16::MAX))];
        let fits =
            |(kind, value): &(ExtensionKind, &[u8])| kind.passes_through() && value.len() <= kind.len_max();
        let kept: ArrayVec<_, EXTENSIONS_MAX> =
            extensions.into_iter().filter(fits).take(EXTENSIONS_MAX).collect();
        // To the byte, or boxing it would copy all of it once more.
        let len = payload.len() + kept.iter().map(|(_, value)| value.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(payload);
        kept.iter().for_each(|(_, value)| bytes.extend_from_slice(value));
        Self {
            epoch: info.epoch,
            kind: info.kind,
            encoding: info.encoding,
            format: info.format,
            seq: info.seq,
            time: info.time,
            marker: info.marker,
            marks: info.marks,
            arrived: info.arrived,
            payload_len: payload.len() as u16,
            bytes: bytes.into_boxed_slice(),
            extensions: kept.into_iter().map(|(kind, value)| (kind, value.len() as u8)).collect(),
        }
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..usize::from(self.payload_len)]
    }

    /// The frame number of its dependency descriptor, if it has one.
    pub fn frame_number(&self) -> Option<u16> {
        let mut extensions = self.extensions();
        let (_, value) = extensions.find(|(kind, _)| *kind == ExtensionKind::DependencyDescriptor)?;
        crate::dependency::frame_number(value)
    }

    /// The extensions that viewers may see, with their values.
    pub fn extensions(&self) -> impl Iterator<Item = (ExtensionKind, &[u8])> {
        let mut rest = &self.bytes[usize::from(self.payload_len)..];
        self.extensions.iter().map(move |&(kind, len)| {
            let (value, after) = rest.split_at(usize::from(len));
            rest = after;
            (kind, value)
        })
    }
}
