//! A network namespace of this process whose one device drops what it is handed.

use nix::sched::{CloneFlags, unshare};
use std::fmt;
use std::fs;
use std::io;
use std::process::Command;

/// Who cuts a run of UDP_SEGMENT into datagrams.
#[derive(Clone, Copy, Debug)]
pub enum Card {
    /// The card: it takes runs whole.
    Cuts,
    /// The kernel, before the card sees them.
    Cannot,
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cuts => "the card",
            Self::Cannot => "the kernel",
        })
    }
}

/// The device. An `ifb` that nothing was redirected to drops all of it, and says that it cuts.
pub struct Sinkhole(());

impl Sinkhole {
    /// Moves this process, which must still be one thread, into a namespace of its own.
    pub fn enter() -> io::Result<Self> {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
        }
        ip("link set lo up")?;
        ip("link add sink0 type ifb")?;
        ip("addr add 192.168.255.1/24 dev sink0")?;
        ip("link set sink0 up")?;
        ip("route add default dev sink0")?;
        Ok(Self(()))
    }

    /// From now on the device is of that kind.
    pub fn set(&self, card: Card) -> io::Result<()> {
        ip(match card {
            Card::Cuts => "link set sink0 gso_max_segs 65535",
            Card::Cannot => "link set sink0 gso_max_segs 1",
        })
    }
}

fn ip(words: &str) -> io::Result<()> {
    let output = Command::new("ip").args(words.split_whitespace()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let failed = || io::Error::other(format!("ip {words}: {}", said.trim()));
    output.status.success().then_some(()).ok_or_else(failed)
}
