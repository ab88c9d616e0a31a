//! Datagrams in a byte stream (RFC 4571 §2): two bytes of length, then so many bytes. This is how ICE-TCP carries
//! STUN, DTLS and media (RFC 6544 §3).

/// Longest frame that is taken. Whoever sends us datagrams keeps them below what a path carries, 1500 bytes; the
/// rest is room for records of DTLS that were not cut. And no more than that, for so the first two bytes of HTTP,
/// TLS and SSH, read as a length, are at once known to be none.
pub const FRAME_MAX: usize = 4096;

const HEADER: usize = 2;

/// The stream is not what it should be: a frame longer than [`FRAME_MAX`]. Nothing after it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversize;

/// Takes frames out of a stream that arrives in pieces of any size. Keeps less than one frame.
#[derive(Debug, Default)]
pub struct Frames {
    partial: Vec<u8>,
}

impl Frames {
    /// Hands every frame that `bytes` completes to `take`, in order. Empty frames, which some send to keep a
    /// connection open, are left out.
    ///
    /// # Errors
    ///
    /// A frame is too long. The stream is of no use from here on.
    pub fn read(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Oversize> {
        while self.is_partial() {
            let missing = self.missing()?;
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(now);
            bytes = later;
            if now.len() < missing {
                return Ok(());
            }
            // What was missing was the header; now it says how much more.
            if self.missing()? > 0 {
                continue;
            }
            if self.partial.len() > HEADER {
                take(&self.partial[HEADER..]);
            }
            self.partial.clear();
        }
        while let Some((header, rest)) = bytes.split_first_chunk() {
            let len = length(*header)?;
            let Some((frame, rest)) = rest.split_at_checked(len) else { break };
            if !frame.is_empty() {
                take(frame);
            }
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// True while a frame has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Bytes until the header is whole, and once it is, until the frame is.
    fn missing(&self) -> Result<usize, Oversize> {
        match self.partial.split_first_chunk() {
            None => Ok(HEADER - self.partial.len()),
            Some((header, begun)) => Ok(length(*header)?.saturating_sub(begun.len())),
        }
    }
}

fn length(header: [u8; HEADER]) -> Result<usize, Oversize> {
    let len = usize::from(u16::from_be_bytes(header));
    if len > FRAME_MAX { Err(Oversize) } else { Ok(len) }
}

/// Appends `datagram` to `stream` as a frame. False, and nothing is appended, if it is longer than the length can
/// say.
pub fn write_frame(datagram: &[u8], stream: &mut Vec<u8>) -> bool {
    let Ok(len) = u16::try_from(datagram.len()) else { return false };
    stream.extend_from_slice(&len.to_be_bytes());
    stream.extend_from_slice(datagram);
    true
}
