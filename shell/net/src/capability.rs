//! What this host's kernel can do for a media server, said once at start.

use crate::platform;
use std::fmt;

/// What was found. Each may be missing and wtn still works; it costs what the fields say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Many datagrams to one viewer in one message; without it sending costs several times as much.
    pub gso: bool,
    /// Many datagrams of one publisher in one message.
    pub gro: bool,
    /// Several shards on one port; without it there is one shard, so one core.
    pub reuse_port: bool,
}

impl Capability {
    /// Asks the kernel.
    pub fn probe() -> Self {
        Self { gso: platform::has_gso(), gro: platform::has_gro(), reuse_port: platform::SHARES_PORT }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |has| if has { "yes" } else { "no" };
        let (gso, gro, reuse_port) = (said(self.gso), said(self.gro), said(self.reuse_port));
        write!(f, "UDP segmentation (GSO) {gso}, coalescing (GRO) {gro}, port shared by shards {reuse_port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_what_is_missing() {
        let capability = Capability { gso: true, gro: false, reuse_port: true };
        let said = capability.to_string();
        assert!(said.contains("(GSO) yes") && said.contains("(GRO) no"), "{said}");
    }
}
