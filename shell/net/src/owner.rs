//! Who has a port? An operator whose port is busy wants a name, not an error number. Read from `/proc`, so
//! the answer is `None` on other systems and for processes that we may not look into.

use std::fmt;
use std::fs;
use std::path::Path;

/// The transport whose port is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Any bound socket.
    Udp,
    /// A listening socket.
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// A process that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its process id, in our own namespace.
    pub pid: u32,
    /// Its short name (`comm`), at most 15 bytes.
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// The process that holds `port`, if there is one and we may see it (our own always, others as root).
pub fn port_owner(protocol: Protocol, port: u16) -> Option<Owner> {
    let tables: [&str; 2] = match protocol {
        Protocol::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Protocol::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let inodes: Vec<u64> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| inodes_of(&table, protocol, port).collect::<Vec<_>>())
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        holds_any(&process.path(), &inodes).then(|| Owner { pid, name: name_of(&process.path()) })
    })
}

/// `TCP_LISTEN` in the kernel's table.
const LISTENING: &str = "0A";

/// The socket inodes of a port in a table of `/proc/net`: columns are slot, local, remote, state, queues,
/// timer, retransmits, uid, timeout, inode.
fn inodes_of(table: &str, protocol: Protocol, port: u16) -> impl Iterator<Item = u64> {
    table.lines().skip(1).filter_map(move |line| {
        let mut columns = line.split_ascii_whitespace();
        let (_, local_port) = columns.nth(1)?.rsplit_once(':')?;
        let state = columns.nth(1)?;
        let ours = u16::from_str_radix(local_port, 16) == Ok(port)
            && (protocol == Protocol::Udp || state == LISTENING);
        let inode = columns.nth(5)?.parse().ok()?;
        // 0 is a socket that no process holds any more.
        (ours && inode != 0).then_some(inode)
    })
}

fn holds_any(process: &Path, inodes: &[u64]) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    files.flatten().any(|file| {
        let Ok(target) = fs::read_link(file.path()) else { return false };
        target.to_str().and_then(socket_inode).is_some_and(|inode| inodes.contains(&inode))
    })
}

fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn name_of(process: &Path) -> String {
    fs::read_to_string(process.join("comm"))
        .map_or_else(|_| "an unnamed process".into(), |name| name.trim_end().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    const UDP: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  120: 00000000:0D96 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 48811 2 0000000000000000 0
  121: 0100007F:0D97 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 48812 2 0000000000000000 0
  121: 0100007F:0D97 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 0 2 0000000000000000 0
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:A0C2 01 00000000:00000000 00:00000000 00000000     0        0 778 1 0000000000000000 20 4 30 10 -1
";

    fn check(table: &str, protocol: Protocol, port: u16, inodes: &[u64]) {
        assert_eq!(inodes_of(table, protocol, port).collect::<Vec<_>>(), inodes);
    }

    #[test]
    fn the_kernel_tables_are_read_by_port_and_state() {
        check(UDP, Protocol::Udp, 3478, &[48811]);
        check(UDP, Protocol::Udp, 3479, &[48812]);
        check(UDP, Protocol::Udp, 3480, &[]);
        check(TCP6, Protocol::Tcp, 8080, &[777]);
        check("garbage\nmore : garbage\n\n", Protocol::Tcp, 8080, &[]);
    }

    #[test]
    fn our_own_listener_is_found_under_our_own_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let owner = port_owner(Protocol::Tcp, port).unwrap();
        assert_eq!(owner.pid, std::process::id());
        assert_eq!(owner.name, fs::read_to_string("/proc/self/comm").unwrap().trim_end());
    }

    #[test]
    fn a_connection_is_not_a_listener_and_a_free_port_has_no_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(port_owner(Protocol::Tcp, client.local_addr().unwrap().port()), None);
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(port_owner(Protocol::Udp, port), None);
    }
}
