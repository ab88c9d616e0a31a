//! What the kernel reads and writes beside the payload: socket names and control messages, byte by byte.
//! The layouts are part of the kernel's interface (`uapi`), so no pointer games are needed.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A `sockaddr_in` or `sockaddr_in6`, whichever its family says.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Name([u8; Name::LEN_V6]);

impl Name {
    /// `sizeof(struct sockaddr_in)`.
    pub const LEN_V4: usize = 16;
    /// `sizeof(struct sockaddr_in6)`.
    pub const LEN_V6: usize = 28;
    /// Room for either.
    pub const EMPTY: Self = Self([0; Self::LEN_V6]);

    /// The name of an address, and how many of its bytes count.
    pub fn of(addr: SocketAddr) -> (Self, usize) {
        let mut name = Self::EMPTY;
        let bytes = &mut name.0;
        bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
        match addr {
            SocketAddr::V4(v4) => {
                bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                (name, Self::LEN_V4)
            }
            SocketAddr::V6(v6) => {
                bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                bytes[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..].copy_from_slice(&v6.scope_id().to_ne_bytes());
                (name, Self::LEN_V6)
            }
        }
    }

    /// The address; `None` if it is of another family.
    pub fn addr(&self) -> Option<SocketAddr> {
        let bytes = &self.0;
        let port = u16::from_be_bytes(take(bytes, 2));
        match libc::c_int::from(u16::from_ne_bytes(take(bytes, 0))) {
            libc::AF_INET => Some(SocketAddr::from((Ipv4Addr::from(take::<4>(bytes, 4)), port))),
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(take::<16>(bytes, 8));
                let (flow, scope) = (u32::from_ne_bytes(take(bytes, 4)), u32::from_ne_bytes(take(bytes, 24)));
                Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)))
            }
            _ => None,
        }
    }
}

fn take<const N: usize>(bytes: &[u8; Name::LEN_V6], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

/// Room for the control messages of one datagram.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Control([u8; Control::LEN]);

/// A control message starts with its length in bytes, its level and its type.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();
/// The next control message starts at a multiple of this.
const ALIGN: usize = size_of::<usize>();

impl Control {
    /// Two control messages of four bytes each: the segment size and the overflow count.
    pub const LEN: usize = 2 * (HEADER + ALIGN);
    /// Nothing yet.
    pub const EMPTY: Self = Self([0; Self::LEN]);

    /// "Cut the payload into datagrams of `size` bytes", and how many bytes of the control count.
    pub fn segments_of(size: u16) -> (Self, usize) {
        let mut control = Self::EMPTY;
        let bytes = &mut control.0;
        bytes[..ALIGN].copy_from_slice(&(HEADER + size_of::<u16>()).to_ne_bytes());
        bytes[ALIGN..ALIGN + 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        bytes[ALIGN + 4..HEADER].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        bytes[HEADER..HEADER + 2].copy_from_slice(&size.to_ne_bytes());
        (control, HEADER + ALIGN)
    }

    /// What the kernel says of a received message, in the first `len` bytes.
    pub fn notes(&self, len: usize) -> Notes {
        let mut notes = Notes::default();
        let mut rest = &self.0[..len.min(Self::LEN)];
        while let Some((level, kind, data, next)) = first_message(rest) {
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    notes.segment = number(data).and_then(|size| usize::try_from(size).ok());
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => notes.overflowed = number(data).map(|n| n as u32),
                _ => {}
            }
            rest = next;
        }
        notes
    }
}

/// What came with a received message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The message is several datagrams of this many bytes, the last may be shorter.
    pub segment: Option<usize>,
    /// Datagrams that this socket has lost to a full buffer since it was made, modulo 2^32.
    pub overflowed: Option<u32>,
}

/// Level, type, data and what follows.
fn first_message(bytes: &[u8]) -> Option<(libc::c_int, libc::c_int, &[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (level, rest) = rest.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk()?;
    let len = usize::from_ne_bytes(*len);
    let data = rest.get(..len.checked_sub(HEADER)?)?;
    let next = bytes.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
    Some((libc::c_int::from_ne_bytes(*level), libc::c_int::from_ne_bytes(*kind), data, next))
}

fn number(data: &[u8]) -> Option<libc::c_int> {
    Some(libc::c_int::from_ne_bytes(*data.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: libc::c_int, kind: libc::c_int, value: libc::c_int) -> Vec<u8> {
        let mut bytes = (HEADER + 4).to_ne_bytes().to_vec();
        for word in [level, kind, value] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    fn notes(messages: &[Vec<u8>]) -> Notes {
        let bytes = messages.concat();
        let mut control = Control::EMPTY;
        control.0[..bytes.len()].copy_from_slice(&bytes);
        control.notes(bytes.len())
    }

    #[test]
    fn names_survive_the_way_to_the_kernel_and_back() {
        for text in ["192.0.2.7:5000", "[2001:db8::7]:5001", "[fe80::1%3]:65535"] {
            let addr: SocketAddr = text.parse().unwrap();
            let (name, len) = Name::of(addr);
            assert_eq!(name.addr(), Some(addr));
            assert_eq!(len, if addr.is_ipv4() { 16 } else { 28 });
        }
        assert_eq!(Name::EMPTY.addr(), None);
    }

    #[test]
    fn the_notes_are_found_in_any_order_and_among_strangers() {
        let gro = message(libc::SOL_UDP, libc::UDP_GRO, 1200);
        let lost = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, -1);
        let stranger = message(libc::SOL_SOCKET, libc::SO_TIMESTAMP, 5);
        let both = Notes { segment: Some(1200), overflowed: Some(u32::MAX) };
        assert_eq!(notes(&[gro.clone(), lost.clone()]), both);
        assert_eq!(notes(&[lost, gro.clone()]), both);
        assert_eq!(notes(&[stranger, gro]), Notes { segment: Some(1200), overflowed: None });
        assert_eq!(notes(&[]), Notes::default());
    }

    #[test]
    fn a_broken_control_message_ends_the_reading() {
        let mut control = Control::EMPTY;
        for len in 0..=HEADER {
            control.0[..ALIGN].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(control.notes(Control::LEN), Notes::default());
        }
        control.0[..ALIGN].copy_from_slice(&usize::MAX.to_ne_bytes());
        assert_eq!(control.notes(usize::MAX), Notes::default());
    }

    #[test]
    fn asking_for_segments_is_one_control_message_of_two_bytes() {
        let (control, len) = Control::segments_of(1200);
        let (level, kind, data, next) = first_message(&control.0[..len]).unwrap();
        assert_eq!((level, kind, data), (libc::SOL_UDP, libc::UDP_SEGMENT, &1200u16.to_ne_bytes()[..]));
        assert!(next.is_empty());
    }
}
