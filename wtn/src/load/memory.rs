//! How much memory this process has, and may have. Known on Linux; elsewhere memory is no budget.

use std::fs;

/// Resident, in bytes.
pub fn resident() -> Option<u64> {
    kib(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The machine's memory, or less where a container is held to less (cgroup v2 and v1), in bytes.
pub fn allowed() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups)
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    let machine = kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:");
    limits.chain(machine).min()
}

/// Where limits may be: in a container its group is the root of what it sees. The word `max`, and v1's huge number,
/// are no limits.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let path = path.trim_end_matches('/');
        if controllers.is_empty() {
            files.push(format!("/sys/fs/cgroup{path}/memory.max"));
            files.push("/sys/fs/cgroup/memory.max".to_owned());
        } else if controllers.split(',').any(|each| each == "memory") {
            files.push(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"));
            files.push("/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned());
        }
    }
    files
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_looked_for_where_both_kinds_of_groups_keep_them() {
        assert_eq!(
            limit_files("0::/system.slice/wtn.service\n"),
            ["/sys/fs/cgroup/system.slice/wtn.service/memory.max", "/sys/fs/cgroup/memory.max"]
        );
        assert_eq!(
            limit_files("9:name=systemd:/\n4:memory:/docker/ab\n3:cpuset:/\n"),
            [
                "/sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_some_memory_and_may_have_more() {
        let (has, may) = (resident().unwrap(), allowed().unwrap());
        assert!(has > 1_000_000 && has < may, "{has} of {may}");
        assert_eq!(kib("A:\t12 kB\nVmRSS:\t  34 kB\n", "VmRSS:"), Some(34 * 1024));
    }
}
