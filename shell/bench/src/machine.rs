//! What the kernel says of processes and threads: CPU time in nanoseconds, memory, places.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io;
use std::path::PathBuf;

/// CPU time of a process, all of its threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// On a core, in ns.
    pub ran: u64,
    /// Ready to run, but waiting for a core, in ns.
    pub waited: u64,
}

impl CpuTime {
    /// What has been added since `earlier`. Threads that have ended took their times with them.
    pub fn since(self, earlier: Self) -> Self {
        Self { ran: self.ran.saturating_sub(earlier.ran), waited: self.waited.saturating_sub(earlier.waited) }
    }
}

/// Linux keeps both in `/proc/PID/task/TID/schedstat`.
pub(crate) fn cpu_time(pid: u32) -> io::Result<CpuTime> {
    let mut sum = CpuTime::default();
    for task in tasks(pid)? {
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(task.join("schedstat")) else { continue };
        let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
        sum.ran += numbers.next().unwrap_or(0);
        sum.waited += numbers.next().unwrap_or(0);
    }
    Ok(sum)
}

/// CPU time of the calling thread, in ns.
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The wall clock that the kernel stamps datagrams with, in ns since 1970.
pub(crate) fn wall_ns() -> u64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    Ok(kib * 1024)
}

/// Datagrams that the kernel dropped for want of room in a receive buffer, of any socket of this network
/// namespace.
pub(crate) fn datagrams_dropped() -> u64 {
    let count = |path: &str, names: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines().filter(|line| line.starts_with(names));
        let (head, values) = (lines.next()?, lines.next()?);
        let at = head.split_whitespace().position(|name| name == "RcvbufErrors")?;
        values.split_whitespace().nth(at)?.parse::<u64>().ok()
    };
    count("/proc/net/snmp", "Udp:").unwrap_or(0)
}

/// Lets the calling thread, and those it starts, run on these cores only.
pub(crate) fn pin_thread(cores: &[usize]) -> io::Result<()> {
    Ok(sched_setaffinity(None, &set(cores))?)
}

/// The same for every thread that a process has now.
pub(crate) fn pin_process(pid: u32, cores: &[usize]) -> io::Result<()> {
    for task in tasks(pid)? {
        let id = task.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
        sched_setaffinity(id, &set(cores))?;
    }
    Ok(())
}

/// Cores that this thread may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cores.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
    set
}

fn tasks(pid: u32) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(format!("/proc/{pid}/task"))?.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_time_and_memory_are_found_and_time_grows_with_work() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        let began = thread_cpu_ns();
        while thread_cpu_ns() - began < 30_000_000 {}
        let ran = cpu_time(pid).unwrap().since(before).ran;
        assert!(ran >= 20_000_000, "{ran} ns");
        assert!(resident_bytes(pid).unwrap() > 1_000_000);
        assert!(wall_ns() > 1_700_000_000_000_000_000);
        assert!(cores() >= 1);
    }
}
