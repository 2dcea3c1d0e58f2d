//! What the kernel knows: datagrams that found no room in a socket, memory of processes.

use std::fs;

/// Datagrams that the sockets of these local ports have dropped for want of room so far.
pub(super) fn drops(ports: &[u16]) -> u64 {
    ["/proc/net/udp", "/proc/net/udp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|text| drops_in(&text, ports))
        .sum()
}

/// The same of a table as proc(5) has it: the second word of a line is the local address and,
/// behind a colon, its port in hexadecimal; the last the number of drops.
fn drops_in(table: &str, ports: &[u16]) -> u64 {
    let of_line = |line: &str| -> Option<u64> {
        let mut words = line.split_whitespace();
        let (_, port) = words.nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        ports
            .contains(&port)
            .then(|| words.next_back()?.parse().ok())?
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

/// Resident memory of a process, now and at most so far, bytes.
pub(super) fn memory(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use super::*;

    #[test]
    fn drops_are_those_of_the_ports() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1: 0100007F:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 3\n\
            2: 0100007F:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 4\n\
            3: 0100007F:14EA 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 9\n";
        assert_eq!(drops_in(table, &[0x14E9]), 7);
    }

    #[test]
    fn this_process_has_memory() {
        let (now, most) = memory(std::process::id()).unwrap();
        assert!(1 << 16 < now && now <= most);
    }
}
