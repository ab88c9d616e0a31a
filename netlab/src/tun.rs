//! A TUN device: a network interface whose packets a program reads and writes.
#![allow(unsafe_code, reason = "TUNSETIFF is an ioctl, which std has no form of")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// Makes the interface `name` in the caller's network namespace. It lives as long as the file, also where it is moved
/// to. A read takes one IP packet, a write gives one; neither waits.
pub fn open(name: &str) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // `struct ifreq`: 16 bytes of name, then a union of 24 bytes, of which the flags are the first two.
    let mut request = [0u8; 40];
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    request[..name.len()].copy_from_slice(name.as_bytes());
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    request[libc::IFNAMSIZ..libc::IFNAMSIZ + 2].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, which is 40 bytes on 64-bit systems and 32 on others;
    // `request` has 40, is zeroed behind the flags, lives until the call returns, and bytes need no alignment for the
    // kernel's copy. The descriptor is open.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) };
    if result == 0 { Ok(file) } else { Err(io::Error::last_os_error()) }
}
