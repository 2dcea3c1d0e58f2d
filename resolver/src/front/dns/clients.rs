//! How many connections each client has, over all transports that have them together: no client
//! can take all there are from the others.

use super::bound_counter;
use foldhash::fast::RandomState;
use metrics::Counter;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Who has one address of such an IPv6 network has all of them (RFC 4291 §2.5.4, RFC 7421).
const IPV6_PREFIX_BITS: u32 = 64;

/// Counts connections by client; a handle to one shared state.
#[derive(Clone)]
pub(super) struct Clients {
    shared: Arc<Shared>,
}

struct Shared {
    max_connections: usize,
    /// Of clients that have any: as many entries as there are connections at most.
    connections: Mutex<HashMap<IpAddr, usize, RandomState>>,
    over_limit: Counter,
}

/// One connection of a client, for as long as it is there.
pub(super) struct Connected {
    client: IpAddr,
    shared: Arc<Shared>,
}

impl Clients {
    /// `max_connections`: what each may have at once.
    pub(super) fn new(max_connections: usize) -> Self {
        let shared = Shared {
            max_connections,
            connections: Mutex::default(),
            over_limit: bound_counter("dns_client_connections"),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Counts one more connection; `None`: its client has as many as it may, which is counted.
    pub(super) fn connect(&self, address: IpAddr) -> Option<Connected> {
        let client = client_of(address);
        let shared = &self.shared;
        let mut connections = shared.connections.lock();
        let count = connections.entry(client).or_default();
        if *count >= shared.max_connections {
            shared.over_limit.increment(1);
            return None;
        }
        *count += 1;
        Some(Connected {
            client,
            shared: shared.clone(),
        })
    }

    /// Whether a client has half of what it may have. Where addresses may be forged, others
    /// could have made these connections in its name.
    pub(super) fn has_many(&self, address: IpAddr) -> bool {
        let connections = self.shared.connections.lock();
        let count = connections.get(&client_of(address)).copied();
        count.unwrap_or_default() >= self.shared.max_connections / 2
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut connections = self.shared.connections.lock();
        if let Some(count) = connections.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.client);
            }
        }
    }
}

/// What a client is known by: an IPv4 address, the network of an IPv6 address.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let host_bits = 128 - IPV6_PREFIX_BITS;
            let network = address.to_bits() >> host_bits << host_bits;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_client_has_its_own_count_that_goes_down_again() {
        let clients = Clients::new(2);
        let connect = |text: &str| clients.connect(text.parse().unwrap());
        let first = connect("192.0.2.1");
        let second = connect("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(connect("192.0.2.1").is_none(), "a third one");
        assert!(connect("192.0.2.2").is_some(), "another client");
        drop(first);
        let third = connect("192.0.2.1");
        assert!(third.is_some(), "room again");
        let of_network = [connect("2001:db8::1"), connect("2001:db8::2")];
        assert!(of_network.iter().all(Option::is_some));
        assert!(connect("2001:db8::3").is_none(), "the same network");
        assert!(connect("2001:db8:0:1::3").is_some(), "another network");
        drop((second, third, of_network));
        assert!(clients.shared.connections.lock().is_empty());
    }

    #[test]
    fn half_of_what_a_client_may_have_is_many() {
        let clients = Clients::new(4);
        let address = "192.0.2.1".parse().unwrap();
        let _first = clients.connect(address);
        assert!(!clients.has_many(address));
        let _second = clients.connect(address);
        assert!(clients.has_many(address));
        assert!(!clients.has_many("192.0.2.2".parse().unwrap()));
    }
}
