//! Small values with names of their own, so that a payload type never passes for an SSRC.

use arrayvec::ArrayString;
use std::fmt;

/// A synchronisation source (RFC 3550 §3): which sender a packet comes from, random and 32 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// An RTP payload type, 0 to 127. What it stands for is known only to the SDP that assigned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadType(u8);

impl PayloadType {
    /// `None` above 127, the seven bits that RTP has (RFC 3550 §5.1).
    pub const fn new(value: u8) -> Option<Self> {
        if value < 128 { Some(Self(value)) } else { None }
    }

    /// From the second byte of an RTP header, whose top bit is the marker.
    pub(crate) const fn from_low_bits(byte: u8) -> Self {
        Self(byte & 0x7f)
    }

    /// The number on the wire.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// True for 64 to 95, which RTCP needs when it shares the port (RFC 5761 §4).
    pub const fn collides_with_rtcp(self) -> bool {
        self.0 >= 64 && self.0 <= 95
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A sequence number extended past its wrap-around (RFC 3550 §A.1): the low 16 bits are on the wire, the
/// rest counts the roll-overs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeqNo(pub u64);

impl SeqNo {
    /// The 16 bits that travel in the header.
    pub const fn wire(self) -> u16 {
        self.0 as u16
    }
}

/// A media timestamp extended past its wrap-around, in units of the codec's clock rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RtpTime(pub u64);

impl RtpTime {
    /// The 32 bits that travel in the header.
    pub const fn wire(self) -> u32 {
        self.0 as u32
    }
}

/// Which encoding (simulcast version) of a track, counted from 0 in the order of the offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EncodingId(pub u8);

/// One WHIP or WHEP session, counted up by signalling. Not secret: the session URL is another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One named stream, counted up by signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// Longest MID or RID that we keep. Real ones have 1 to 8 characters; one-byte header extensions carry 16.
pub const TAG_LEN_MAX: usize = 16;

macro_rules! tag {
    ($(#[$doc:meta])* $name:ident, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(ArrayString<TAG_LEN_MAX>);

        impl $name {
            /// `None` if empty, longer than [`TAG_LEN_MAX`] or with a character outside its grammar.
            pub fn new(text: &str) -> Option<Self> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || !text.bytes().all(allowed) {
                    return None;
                }
                ArrayString::from(text).ok().map(Self)
            }

            /// Reads the bytes of a header extension or SDES item.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Self::new(std::str::from_utf8(bytes).ok()?)
            }

            /// The text as in the SDP.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

tag!(
    /// The name of an `m=` section (`a=mid`, RFC 9143 §15): any token character.
    Mid,
    |byte| byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'"' | b'(' | b')' | b',' | b'/' | b':' | b';' | b'<' | b'=' | b'>' | b'?' | b'@' | b'[' | b'\\' | b']'
        )
);
tag!(
    /// The name of an encoding (`a=rid`, RFC 8851 §4 with erratum 7132): letters, digits, `-` and `_`.
    Rid,
    |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
);
