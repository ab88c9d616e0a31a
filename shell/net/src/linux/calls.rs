//! The system calls: the only `unsafe` code of the product. Each function is safe to call; what has to hold
//! for the kernel is arranged inside and said beside it.
#![allow(unsafe_code, reason = "recvmmsg, sendmmsg, ppoll, eventfd and setsockopt have no safe form in std")]

use super::wire::{Control, Name, Notes};
use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// Sets an option whose value is an `int`.
pub fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer and length describe `value`, which lives until the call returns; the descriptor is
    // open as long as it is borrowed.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A counter in the kernel that can be waited for; never blocks, not inherited by child processes.
pub fn event_file() -> io::Result<File> {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made `fd`, and nobody else knows it: we are its one owner.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Waits until one of `files` has one of its events, or `timeout` is over (`None`: for ever). The answer has
/// the events of each, all 0 after the timeout or a signal.
pub fn poll<const N: usize>(
    files: [(BorrowedFd<'_>, libc::c_short); N],
    timeout: Option<Duration>,
) -> io::Result<[libc::c_short; N]> {
    let mut fds = files.map(|(file, events)| libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 });
    let timeout = timeout.map(timespec);
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `fds` is an array of N initialised entries, `timeout` null or a timespec, both alive until the
    // call returns; a null signal mask leaves the mask alone.
    let result = unsafe { libc::ppoll(fds.as_mut_ptr(), N as libc::nfds_t, timeout, ptr::null()) };
    match result {
        0.. => Ok(fds.map(|fd| fd.revents)),
        _ => interrupted([0; N]),
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos() as _,
    }
}

/// A signal ends a call without harm; any other error is one.
fn interrupted<T>(nothing: T) -> io::Result<T> {
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(nothing) } else { Err(error) }
}

/// Messages of one recvmmsg. More would cost memory and win nothing: a system call is then already shared by
/// 32 datagrams, or by 32 times 64 where the kernel coalesces.
pub const RECEIVE_BATCH: usize = 32;

/// Nothing that arrives is longer, coalesced or not: the length field of UDP has 16 bits.
const MESSAGE_MAX: usize = 65_535;

/// From one buffer to the next. Not a power of two, else all would compete for the same few cache lines.
const STRIDE: usize = 65_536 + 5 * 64;

/// What recvmmsg fills. The buffers are 2 MiB of address space, of which only touched pages are memory.
pub struct ReceiveMany {
    bytes: Box<[u8]>,
    slots: Box<[ReceiveSlot; RECEIVE_BATCH]>,
    headers: Box<[libc::mmsghdr; RECEIVE_BATCH]>,
}

struct ReceiveSlot {
    name: Name,
    control: Control,
    vector: libc::iovec,
}

/// One received message.
pub struct Arrived<'a> {
    /// From where, as the socket's family spells it; `None` if the kernel does not say.
    pub from: Option<SocketAddr>,
    /// Segment size and losses.
    pub notes: Notes,
    /// It was longer than the buffer; the rest is lost.
    pub is_truncated: bool,
    /// One datagram, or several one after another.
    pub bytes: &'a mut [u8],
}

impl ReceiveMany {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; RECEIVE_BATCH * STRIDE].into_boxed_slice(),
            slots: Box::new(
                [const { ReceiveSlot { name: Name::EMPTY, control: Control::EMPTY, vector: NO_BYTES } };
                    RECEIVE_BATCH],
            ),
            headers: Box::new(std::array::from_fn(|_| empty_header())),
        }
    }

    /// Takes what has arrived, without waiting: the number of messages, to be read by [`Self::message`].
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let buffers = self.bytes.chunks_exact_mut(STRIDE);
        for ((header, slot), buffer) in self.headers.iter_mut().zip(&mut *self.slots).zip(buffers) {
            slot.vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MESSAGE_MAX };
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut slot.name).cast();
            header.msg_namelen = Name::LEN_V6 as _;
            header.msg_iov = &raw mut slot.vector;
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut slot.control).cast();
            header.msg_controllen = Control::LEN as _;
            header.msg_flags = 0;
        }
        let (fd, headers) = (socket.as_raw_fd(), self.headers.as_mut_ptr());
        // SAFETY: `headers` are RECEIVE_BATCH initialised entries. Each points to its own slot and to its own
        // MESSAGE_MAX <= STRIDE bytes of `bytes`, with their true lengths, set above in this call; all are
        // owned by `self`, which is borrowed mutably until the kernel is done, and nothing is kept by it.
        let result = unsafe {
            libc::recvmmsg(fd, headers, RECEIVE_BATCH as _, libc::MSG_DONTWAIT as _, ptr::null_mut())
        };
        usize::try_from(result).or_else(|_| match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            error => Err(error),
        })
    }

    /// Message `index` of the last [`Self::receive`], below the number that it returned.
    pub fn message(&mut self, index: usize) -> Arrived<'_> {
        let (header, slot) = (&self.headers[index], &self.slots[index]);
        let len = (header.msg_len as usize).min(MESSAGE_MAX);
        Arrived {
            from: slot.name.addr(),
            notes: slot.control.notes(control_len(&header.msg_hdr)),
            is_truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            bytes: &mut self.bytes[index * STRIDE..][..len],
        }
    }
}

/// Messages of one sendmmsg. Viewers of a shard get the same frame in the same pass; 8 that share a call are
/// as good as 32, and these still fit into 4 KiB. See `docs/decisions/0007-own-sendmmsg.md`.
pub const SEND_BATCH: usize = 32;

/// What sendmmsg reads.
pub struct SendMany {
    slots: Box<[SendSlot; SEND_BATCH]>,
    headers: Box<[libc::mmsghdr; SEND_BATCH]>,
}

struct SendSlot {
    name: Name,
    control: Control,
    vector: libc::iovec,
}

/// One message to send.
pub struct Leaving<'a> {
    /// To where, in the socket's own family.
    pub to: SocketAddr,
    /// Cut into datagrams of this size; `None`: it is one datagram.
    pub segment: Option<u16>,
    /// The datagram, or several one after another.
    pub bytes: &'a [u8],
}

impl SendMany {
    pub fn new() -> Self {
        Self {
            slots: Box::new(
                [const { SendSlot { name: Name::EMPTY, control: Control::EMPTY, vector: NO_BYTES } };
                    SEND_BATCH],
            ),
            headers: Box::new(std::array::from_fn(|_| empty_header())),
        }
    }

    /// Sends up to [`SEND_BATCH`] messages without waiting. The answer is how many the kernel took, at least
    /// one; an error is about the first message.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        messages: impl Iterator<Item = Leaving<'a>>,
    ) -> io::Result<usize> {
        let mut count: libc::c_uint = 0;
        for ((message, slot), header) in messages.zip(&mut *self.slots).zip(&mut *self.headers) {
            let (name, name_len) = Name::of(message.to);
            slot.name = name;
            // The kernel only reads what it is told to send.
            let base = message.bytes.as_ptr().cast_mut().cast();
            slot.vector = libc::iovec { iov_base: base, iov_len: message.bytes.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut slot.name).cast();
            header.msg_namelen = name_len as _;
            header.msg_iov = &raw mut slot.vector;
            header.msg_iovlen = 1;
            let (control, control_len) = message.segment.map_or((Control::EMPTY, 0), Control::segments_of);
            slot.control = control;
            header.msg_control = (&raw mut slot.control).cast();
            header.msg_controllen = control_len as _;
            count += 1;
        }
        let (fd, headers) = (socket.as_raw_fd(), self.headers.as_mut_ptr());
        // SAFETY: the first `count` <= SEND_BATCH of `headers` were set above in this call; each points to its
        // own slot, owned by `self`, and to the bytes of a slice that lives for 'a, with their true lengths.
        // The kernel reads them before it returns and keeps nothing.
        let result = unsafe { libc::sendmmsg(fd, headers, count, libc::MSG_DONTWAIT as _) };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}

/// The field is `size_t` with glibc, `socklen_t` with musl.
#[allow(clippy::unnecessary_cast, reason = "the type differs between C libraries")]
fn control_len(header: &libc::msghdr) -> usize {
    header.msg_controllen as usize
}

const NO_BYTES: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };

fn empty_header() -> libc::mmsghdr {
    // SAFETY: a C structure of integers and pointers, for which all zeroes is a value; it has private padding
    // on some systems, so it cannot be written out.
    unsafe { zeroed() }
}
