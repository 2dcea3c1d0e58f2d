//! All lines of the wire, and which of them a packet takes: that from the place it comes from to
//! the place whose address it has. Pure: packets in, packets out.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use hdrhistogram::Histogram;

use super::line::{Held, Line, Put};
use crate::province::layout::HANDLE_PORT;
use crate::province::net::link::Carried;

/// Lateness is kept up to this, microseconds; what is beyond counts as this.
const LATEST_US: u64 = 10_000_000;
/// After so many packets lateness is gathered anew.
const WINDOW: u64 = 100_000;

/// A place's end of the wire, by its number.
pub(super) type Port = usize;

/// The lines between the ports.
#[derive(Debug)]
pub(super) struct Fabric {
    /// Which port has an address.
    ports: HashMap<Ipv4Addr, Port>,
    /// By the port that a packet comes from and the one it goes to.
    ways: HashMap<(Port, Port), Way>,
    /// By how much packets left later than they were due, microseconds: of this window and of the
    /// one before.
    late_us: [Option<Histogram<u64>>; 2],
}

/// One way of a link.
#[derive(Debug)]
struct Way {
    line: Line,
    carried: Carried,
}

impl Fabric {
    /// Without lines, between ports with these addresses.
    pub(super) fn new(addresses: &[Ipv4Addr]) -> Self {
        let ports = addresses.iter().enumerate();
        Self {
            ports: ports.map(|(port, address)| (*address, port)).collect(),
            ways: HashMap::new(),
            late_us: [histogram(), histogram()],
        }
    }

    /// Joins two ports, both ways.
    pub(super) fn join(&mut self, a: Port, b: Port, delay_ns: u64) {
        for way in [(a, b), (b, a)] {
            let carried = Carried {
                handle_packets: Some(0),
                ..Carried::default()
            };
            let line = Line::new(delay_ns);
            self.ways.insert(way, Way { line, carried });
        }
    }

    /// Changes both lines of a link.
    fn change(&mut self, a: Port, b: Port, change: impl Fn(&mut Way)) {
        for way in [(a, b), (b, a)] {
            if let Some(way) = self.ways.get_mut(&way) {
                change(way);
            }
        }
    }

    /// Cuts a link.
    pub(super) fn cut(&mut self, a: Port, b: Port) {
        self.change(a, b, |way| way.carried.cut += way.line.cut() as u64);
    }

    /// Mends a link.
    pub(super) fn mend(&mut self, a: Port, b: Port) {
        self.change(a, b, |way| way.line.mend());
    }

    /// Sets how long a link takes, one way.
    pub(super) fn set_delay(&mut self, a: Port, b: Port, delay_ns: u64) {
        self.change(a, b, |way| way.line.set_delay(delay_ns));
    }

    /// Takes in a packet that comes from a port. What is no IPv4, or goes where no line leads, is
    /// nobody's.
    pub(super) fn put(&mut self, from: Port, packet: &[u8], now_ns: u64) {
        let Some(Header {
            destination,
            is_handle,
        }) = Header::read(packet)
        else {
            return;
        };
        let to = self.ports.get(&destination).copied();
        let Some(way) = to.and_then(|to| self.ways.get_mut(&(from, to))) else {
            return;
        };
        match way.line.put(now_ns, packet) {
            Put::Taken => way.carried.count(packet.len(), is_handle),
            Put::Cut => way.carried.cut += 1,
            Put::Full => way.carried.full += 1,
        }
    }

    /// When the next packet is to come out, nanoseconds.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let lines = self.ways.values().map(|way| &way.line);
        lines.filter_map(Line::next_due_ns).min()
    }

    /// Hands out everything that is to come out by now: the port and the packet. Between lines
    /// there is no order.
    pub(super) fn take(&mut self, now_ns: u64, mut out: impl FnMut(Port, &[u8])) {
        for ((_, to), way) in &mut self.ways {
            while let Some(Held { due_ns, packet }) = way.line.take(now_ns) {
                out(*to, &packet);
                let late_us = now_ns.saturating_sub(due_ns) / 1_000;
                let [this, before] = &mut self.late_us;
                if let Some(histogram) = this {
                    histogram.saturating_record(late_us);
                    if histogram.len() >= WINDOW {
                        before.clone_from(this);
                        *this = self::histogram();
                    }
                }
            }
        }
    }

    /// Whether a link is whole, how long it takes in milliseconds, and what it has carried.
    pub(super) fn link(&self, a: Port, b: Port) -> (bool, f64, Carried) {
        let mut all = Carried {
            handle_packets: Some(0),
            ..Carried::default()
        };
        let (mut up, mut delay_ns) = (true, 0);
        for way in [(a, b), (b, a)].iter().filter_map(|way| self.ways.get(way)) {
            all.add(&way.carried);
            up &= !way.line.is_cut();
            delay_ns = way.line.delay_ns();
        }
        (up, delay_ns as f64 / 1e6, all)
    }

    /// By how much packets left later than they were due, microseconds: the last hundred
    /// thousand of them, or up to twice as many.
    pub(super) fn lateness(&self) -> Option<Histogram<u64>> {
        let [this, before] = &self.late_us;
        let mut all = this.clone()?;
        if let Some(before) = before {
            // Of the same bounds: it fits.
            let _ = all.add(before);
        }
        Some(all)
    }
}

impl Carried {
    fn count(&mut self, bytes: usize, is_handle: bool) {
        self.packets += 1;
        self.bytes += bytes as u64;
        if let Some(handle) = &mut self.handle_packets {
            *handle += u64::from(is_handle);
        }
    }

    fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.cut += other.cut;
        self.full += other.full;
        if let (Some(all), Some(more)) = (&mut self.handle_packets, other.handle_packets) {
            *all += more;
        }
    }
}

fn histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, LATEST_US, 3).ok()
}

/// What is looked at in a packet.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    destination: Ipv4Addr,
    /// Whether it is a datagram or segment to or from a Handle front.
    is_handle: bool,
}

impl Header {
    /// Of an IPv4 packet (RFC 791 §3.1).
    fn read(packet: &[u8]) -> Option<Self> {
        let (fixed, _) = packet.split_first_chunk::<20>()?;
        let [version, .., d0, d1, d2, d3] = *fixed;
        if version >> 4 != 4 {
            return None;
        }
        let protocol = packet.get(9).copied();
        let behind = packet.get(usize::from(version & 0x0F) * 4..);
        let ports = behind.and_then(<[u8]>::first_chunk::<4>);
        let is_handle = matches!(protocol, Some(6 | 17))
            && ports.is_some_and(|[s0, s1, d0, d1]| {
                [[*s0, *s1], [*d0, *d1]]
                    .map(u16::from_be_bytes)
                    .contains(&HANDLE_PORT)
            });
        Some(Self {
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            is_handle,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 88, 118, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 88, 119, 1);
    const C: Ipv4Addr = Ipv4Addr::new(10, 88, 120, 1);

    fn datagram(to: Ipv4Addr, port: u16) -> Vec<u8> {
        let mut packet = vec![0; 28];
        (packet[0], packet[9]) = (0x45, 17);
        packet[16..20].copy_from_slice(&to.octets());
        packet[22..24].copy_from_slice(&port.to_be_bytes());
        packet
    }

    fn out(fabric: &mut Fabric, now_ns: u64) -> Vec<Port> {
        let mut ports = Vec::new();
        fabric.take(now_ns, |port, _| ports.push(port));
        ports
    }

    #[test]
    fn packets_take_the_line_to_their_address() {
        let mut fabric = Fabric::new(&[A, B, C]);
        fabric.join(0, 1, 20);
        fabric.put(0, &datagram(B, HANDLE_PORT), 0);
        fabric.put(1, &datagram(A, 53), 5);
        fabric.put(0, &datagram(C, 53), 0);
        fabric.put(0, &datagram(Ipv4Addr::new(192, 0, 2, 1), 53), 0);
        assert_eq!(fabric.next_due_ns(), Some(20));
        assert_eq!(out(&mut fabric, 19), [] as [Port; 0]);
        assert_eq!(out(&mut fabric, 20), [1]);
        assert_eq!(out(&mut fabric, 30), [0]);
        let (up, _, carried) = fabric.link(1, 0);
        assert!(up);
        assert_eq!((carried.packets, carried.bytes), (2, 56));
        assert_eq!(carried.handle_packets, Some(1));
        assert_eq!(fabric.lateness().unwrap().len(), 2);
    }

    #[test]
    fn a_link_is_cut_both_ways_and_no_other_with_it() {
        let mut fabric = Fabric::new(&[A, B, C]);
        fabric.join(0, 1, 20);
        fabric.join(0, 2, 20);
        fabric.put(0, &datagram(B, 53), 0);
        fabric.cut(1, 0);
        for (from, to) in [(0, B), (1, A), (0, C)] {
            fabric.put(from, &datagram(to, 53), 1);
        }
        assert_eq!(out(&mut fabric, 100), [2]);
        let (up, _, carried) = fabric.link(0, 1);
        assert!(!up);
        assert_eq!(carried.cut, 3, "one of them was on its way");
        fabric.mend(0, 1);
        fabric.set_delay(0, 1, 5);
        fabric.put(0, &datagram(B, 53), 200);
        assert_eq!(fabric.next_due_ns(), Some(205));
    }

    proptest! {
        #[test]
        fn junk_goes_nowhere(packet in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut fabric = Fabric::new(&[A, B]);
            fabric.join(0, 1, 1);
            fabric.put(0, &packet, 0);
            let to_b = packet.len() >= 20 && packet[0] >> 4 == 4 && packet[16..20] == B.octets();
            prop_assert_eq!(fabric.next_due_ns().is_some(), to_b);
        }
    }
}
