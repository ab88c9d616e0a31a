//! The namespaces, and what is started in them.

use crate::carrier::{Carried, Carrier, Way};
use crate::tun;
use std::fmt;
use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use wtn_testkit::Link;

/// A network inside RFC 1918's 10/8; in namespaces of its own it is in nobody's way.
const ADDRESSES: [&str; 2] = ["10.214.0.1", "10.214.0.2"];

/// Labs of this process so far: their names have to differ.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Which namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Mostly the server's.
    Near,
    /// Mostly the clients'.
    Far,
}

/// Two namespaces and a line between them. Dropped, all of it is gone; programs inside are the caller's to end first.
#[derive(Debug)]
pub struct Lab {
    names: [String; 2],
    carrier: Arc<Carrier>,
    thread: Option<JoinHandle<()>>,
}

/// This host, or this user, has no namespaces or no TUN devices to offer.
#[derive(Debug)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no network namespaces here (they need root, `ip` and /dev/net/tun): {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

impl Lab {
    /// Makes the namespaces, with a line that does `out` to what the near side sends and `back` to what the far side
    /// does. The same seed draws the same luck for the nth packet of a direction.
    ///
    /// # Errors
    /// If this host does not let us; tests then say so and pass.
    pub fn open(out: Link, back: Link, seed: u64) -> Result<Self, Unavailable> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let carrier = Arc::new(Carrier::new(out, back, seed));
        let names = ["a", "b"].map(|side| format!("wtn-lab-{}-{number}{side}", std::process::id()));
        // From here on dropping it cleans up.
        let mut lab = Self { names, carrier, thread: None };
        let ends = [lab.furnish(Side::Near, number)?, lab.furnish(Side::Far, number)?];
        let carrier = lab.carrier.clone();
        let thread = thread::Builder::new().name("wtn-netlab".into()).spawn(move || {
            if let Err(error) = carrier.run(&ends) {
                eprintln!("the line is cut: {error}");
            }
        });
        lab.thread = Some(thread.map_err(|error| Unavailable(error.to_string()))?);
        Ok(lab)
    }

    /// One namespace with its device, address and way out.
    fn furnish(&self, side: Side, number: u32) -> Result<File, Unavailable> {
        let name = &*self.names[side as usize];
        let address = format!("{}/24", ADDRESSES[side as usize]);
        // Names of interfaces have 15 bytes at most.
        let device = format!("wl{:x}{}{number}", std::process::id() & 0xff_ffff, ["a", "b"][side as usize]);
        ip(&["netns", "add", name])?;
        let file = tun::open(&device).map_err(|error| Unavailable(format!("/dev/net/tun: {error}")))?;
        ip(&["link", "set", &device, "netns", name])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "address", "add", &address, "dev", &device])?;
        ip(&["-n", name, "link", "set", &device, "up"])?;
        // Browsers look for the way to the internet to find out which address is theirs.
        ip(&["-n", name, "route", "add", "default", "dev", &device])?;
        Ok(file)
    }

    /// The address of a side.
    pub fn address(&self, side: Side) -> &'static str {
        ADDRESSES[side as usize]
    }

    /// The namespace's name, as for `ip netns exec`.
    pub fn name(&self, side: Side) -> &str {
        &self.names[side as usize]
    }

    /// `program`, to be run on that side.
    pub fn command(&self, side: Side, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(side), program]);
        command
    }

    /// From now on the line does that to one direction. What is under way keeps its arrival.
    pub fn set_link(&self, way: Way, link: Link) {
        self.carrier.set_link(way, link);
    }

    /// What became of the packets of one direction.
    pub fn carried(&self, way: Way) -> Carried {
        self.carrier.carried(way)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.carrier.stop();
        if let Some(thread) = self.thread.take() {
            // It has said by itself if something went wrong.
            let _ = thread.join();
        }
        for name in &self.names {
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), Unavailable> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Unavailable(format!("ip: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Unavailable(format!("ip {}: {}", args.join(" "), said.trim())))
}
