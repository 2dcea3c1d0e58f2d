//! The sibling table: which prefix is asked for where, without asking the national resolver. What
//! the national node has told is judged first: it must not lead this node astray.

use crate::prefix_table::PrefixTable;
use arc_swap::ArcSwap;
use idnode_proto::api::Sibling;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::report::millis;
use idnode_proto::routes::Ports;
use idnode_proto::routes::endpoint::by_address;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What siblings may not claim, and where none of them is asked.
#[derive(Debug, Clone, Default)]
pub struct SiblingRules {
    /// This node's id.
    pub node: String,
    /// This node's own prefixes.
    pub own: Vec<Prefix>,
    /// Networks in which nobody is asked.
    pub deny: Vec<IpNet>,
    /// Networks in which siblings are asked all the same.
    pub allow: Vec<IpNet>,
}

/// A prefix of a sibling, and where that answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SiblingRoute {
    /// The sibling.
    pub node: String,
    /// The prefix; what is below it belongs to it.
    pub prefix: Prefix,
    /// Its addresses that speak the Handle protocol, with their ports.
    pub servers: Vec<(IpAddr, Ports)>,
}

/// A prefix of a sibling, or an address of it, that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The sibling.
    pub node: String,
    /// The prefix.
    pub prefix: String,
    /// Why.
    pub reason: String,
}

/// All routes that are used.
#[derive(Debug, Default)]
pub struct Table {
    /// By the prefix's key.
    routes: HashMap<Box<[u8]>, Arc<SiblingRoute>>,
    /// Addresses and ports for the Handle protocol.
    servers: HashSet<(IpAddr, Option<u16>, Option<u16>)>,
    /// What of the set is not used.
    pub refused: Vec<Refused>,
}

impl Table {
    /// Judges a set of siblings. Of two that claim the same prefix the one goes first that has
    /// announced it first.
    pub fn of<'s>(siblings: impl Iterator<Item = &'s Sibling>, rules: &SiblingRules) -> Self {
        let mut siblings: Vec<&Sibling> = siblings.collect();
        siblings.sort_by_key(|it| {
            let at_ms = it.announced_at.as_ref().and_then(millis);
            (at_ms.unwrap_or(u64::MAX), it.node.as_str())
        });
        let mut table = Self::default();
        for sibling in siblings {
            table.admit(sibling, rules);
        }
        table
    }

    fn admit(&mut self, sibling: &Sibling, rules: &SiblingRules) {
        for configuration in &sibling.configurations {
            let mut refuse = |reason: String| {
                self.refused.push(Refused {
                    node: sibling.node.clone(),
                    prefix: configuration.prefix.clone(),
                    reason,
                });
            };
            let Ok(prefix) = Prefix::parse(&configuration.prefix) else {
                refuse("is no prefix".to_owned());
                continue;
            };
            if let Some(reason) = rules.against(&sibling.node, &prefix) {
                refuse(reason);
                continue;
            }
            if let Some(other) = self.routes.get(prefix.key()) {
                refuse(format!("{} has announced it before", other.node));
                continue;
            }
            let mut servers: Vec<_> = by_address(configuration)
                .into_iter()
                // An IPv4 address in IPv6's form is that address, to every rule.
                .map(|(address, ports)| (address.to_canonical(), ports))
                .collect();
            servers.retain(|(_, ports)| ports.handle_tcp.is_some() || ports.handle_udp.is_some());
            if servers.is_empty() {
                refuse("no address of it speaks the Handle protocol".to_owned());
                continue;
            }
            servers.retain(|(address, _)| match rules.denies(*address) {
                Some(reason) => {
                    refuse(reason);
                    false
                }
                None => true,
            });
            if servers.is_empty() {
                continue;
            }
            let known = servers
                .iter()
                .map(|(ip, ports)| (*ip, ports.handle_udp, ports.handle_tcp));
            self.servers.extend(known);
            let route = SiblingRoute {
                node: sibling.node.clone(),
                servers,
                prefix,
            };
            let key = route.prefix.key().into();
            self.routes.insert(key, Arc::new(route));
        }
    }

    /// How many prefixes are used.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Every route, in no order.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<SiblingRoute>> {
        self.routes.values()
    }
}

impl SiblingRules {
    /// Why a sibling may not have a prefix; `None`: it may.
    fn against(&self, node: &str, prefix: &Prefix) -> Option<String> {
        if node == self.node {
            return Some("is said of this node itself".to_owned());
        }
        self.own.iter().find_map(|own| {
            let how = if own == prefix {
                "is"
            } else if is_below(prefix, own) {
                "is below"
            } else if is_below(own, prefix) {
                "is above"
            } else {
                return None;
            };
            Some(format!("{how} this node's own {own}"))
        })
    }

    /// Why nobody is asked at an address; `None`: it may be asked.
    fn denies(&self, address: IpAddr) -> Option<String> {
        let has = |networks: &[IpNet]| networks.iter().find(|it| it.contains(&address)).copied();
        let denied = has(&self.deny).filter(|_| has(&self.allow).is_none());
        denied.map(|network| {
            format!("{address} is in {network}, where nobody is asked (handle.recursion_deny)")
        })
    }
}

/// Whether a prefix is another one's or below it.
pub(super) fn is_below(prefix: &Prefix, above: &Prefix) -> bool {
    prefix.candidates().any(|it| it.key == above.key())
}

/// Why a route is not used as long as this registry has what it has; `None`: it is used.
pub fn registered_here(prefix: &Prefix, registered: &PrefixTable) -> Option<String> {
    let mut above = prefix.candidates();
    let entry = above.find_map(|it| registered.get(it.key))?;
    match entry.record.key.as_ref() == prefix.key() {
        true => Some("is registered here".to_owned()),
        false => {
            let name = entry.record.prefix().map(|it| it.canonical());
            let name = name.unwrap_or_default();
            Some(format!("is below {name}, which is registered here"))
        }
    }
}

/// The sibling table of a node, replaced whole when it changes.
#[derive(Debug, Default)]
pub struct Siblings {
    table: ArcSwap<Table>,
}

impl Siblings {
    /// The table as it is now.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Puts another table in its place.
    pub fn set(&self, table: Table) {
        metrics::gauge!("idnode_sibling_routes").set(table.len() as f64);
        metrics::gauge!("idnode_sibling_routes_refused").set(table.refused.len() as f64);
        self.table.store(Arc::new(table));
    }

    /// The longest sibling prefix that covers an identifier, or the prefix that it is the handle
    /// of; none for what is registered here.
    pub fn covering(
        &self,
        identifier: &Identifier,
        registered: &PrefixTable,
    ) -> Option<Arc<SiblingRoute>> {
        let table = self.table.load();
        if table.is_empty() {
            return None;
        }
        let of_prefix = identifier.prefix_handle();
        let mut candidates = match &of_prefix {
            Some(prefix) => prefix.candidates(),
            None => identifier.prefix_candidates(),
        };
        let route = candidates.find_map(|it| table.routes.get(it.key))?;
        let is_ours = registered_here(&route.prefix, registered).is_some();
        (!is_ours).then(|| route.clone())
    }

    /// Whether a server is a sibling's, by its ports for the Handle protocol.
    pub fn have(&self, address: IpAddr, udp: Option<u16>, tcp: Option<u16>) -> bool {
        self.table.load().servers.contains(&(address, udp, tcp))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::api::ResolutionConfiguration;
    use idnode_proto::report::timestamp;
    use idnode_proto::routes::{code_type, endpoints};

    fn sibling(node: &str, at_ms: u64, prefixes: &[&str], addresses: &[&str]) -> Sibling {
        let addresses: Vec<IpAddr> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let ports = Ports {
            handle_tcp: Some(2641),
            handle_udp: Some(2641),
            ..Ports::default()
        };
        let configurations = prefixes.iter().map(|text| {
            let prefix = Prefix::parse(text).unwrap();
            ResolutionConfiguration {
                code_type: code_type(prefix.scheme()).into(),
                prefix: prefix.canonical(),
                endpoints: endpoints(&addresses, &ports),
            }
        });
        Sibling {
            node: node.to_owned(),
            configurations: configurations.collect(),
            announced_at: Some(timestamp(at_ms)),
            ..Sibling::default()
        }
    }

    fn rules() -> SiblingRules {
        SiblingRules {
            node: "linfen".to_owned(),
            own: vec![Prefix::parse("88.123").unwrap()],
            deny: vec!["127.0.0.0/8".parse().unwrap()],
            allow: vec!["127.0.5.0/24".parse().unwrap()],
        }
    }

    fn refused(table: &Table) -> Vec<String> {
        let shown = table.refused.iter();
        shown
            .map(|it| format!("{} {} {}", it.node, it.prefix, it.reason))
            .collect()
    }

    #[test]
    fn the_longest_prefix_goes_first() {
        let all = [
            sibling("datong", 1, &["88.119", "oid:1.2.156.3001"], &["192.0.2.1"]),
            sibling("below", 2, &["88.119.5"], &["192.0.2.2"]),
        ];
        let siblings = Siblings::default();
        siblings.set(Table::of(all.iter(), &rules()));
        let registered = PrefixTable::default();
        let who = |text: &str| {
            let identifier = Identifier::parse(text).unwrap();
            let route = siblings.covering(&identifier, &registered);
            route.map(|it| format!("{} {}", it.node, it.prefix))
        };
        for (asked, expected) in [
            ("88.119/A", Some("datong 88.119")),
            ("88.119.1/A", Some("datong 88.119")),
            ("88.119.5/A", Some("below 88.119.5")),
            ("88.119.5.7/A", Some("below 88.119.5")),
            ("0.NA/88.119.5", Some("below 88.119.5")),
            ("0.NA/88.119", Some("datong 88.119")),
            ("1.2.156.3001.7", Some("datong oid:1.2.156.3001")),
            ("88.1190/A", None),
            ("88/A", None),
            ("0.NA/88", None),
            ("1.2.156.3002", None),
        ] {
            assert_eq!(who(asked).as_deref(), expected, "{asked}");
        }
    }

    #[test]
    fn what_a_sibling_may_not_claim_is_refused_with_the_reason() {
        let all = [
            sibling("linfen", 1, &["88.124"], &["192.0.2.1"]),
            sibling(
                "thief",
                2,
                &["88.123", "88.123.4", "88", "88.125"],
                &["192.0.2.1"],
            ),
            sibling("late", 3, &["88.125"], &["192.0.2.1"]),
            sibling(
                "here",
                4,
                &["88.126"],
                &["127.0.0.1", "192.0.2.1", "127.0.5.1"],
            ),
            sibling("only", 5, &["88.127"], &["::ffff:127.0.0.1"]),
        ];
        let table = Table::of(all.iter(), &rules());
        let expected = [
            "linfen 88.124 is said of this node itself",
            "thief 88.123 is this node's own 88.123",
            "thief 88.123.4 is below this node's own 88.123",
            "thief 88 is above this node's own 88.123",
            "late 88.125 thief has announced it before",
            "here 88.126 127.0.0.1 is in 127.0.0.0/8, where nobody is asked (handle.recursion_deny)",
            "only 88.127 127.0.0.1 is in 127.0.0.0/8, where nobody is asked (handle.recursion_deny)",
        ];
        assert_eq!(refused(&table), expected);
        let mut used: Vec<_> = table.routes().map(|it| it.prefix.canonical()).collect();
        used.sort();
        assert_eq!(used, ["88.125", "88.126"]);
        let route = table.routes().find(|it| it.node == "here").unwrap();
        let addresses: Vec<_> = route.servers.iter().map(|(ip, _)| ip.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.1", "127.0.5.1"]);
    }
}
