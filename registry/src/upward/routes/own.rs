//! What the node has to tell of itself.

use idnode_proto::api::{Announcement, OperatorProfile, ResolutionConfiguration};
use idnode_proto::identifier::Prefix;
use idnode_proto::report::timestamp;
use idnode_proto::routes::{Ports, code_type, digest, endpoints};
use std::net::IpAddr;

/// Who runs the node and where it resolves what, as it is configured: what is registered comes to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Own {
    /// The node's id.
    pub node: String,
    /// Who runs it; its prefixes are those below.
    pub operator: OperatorProfile,
    /// The node's own prefixes, the main one first.
    pub prefixes: Vec<Prefix>,
    /// Prefixes of other schemes that it answers for.
    pub other_prefixes: Vec<Prefix>,
    /// Where it is found.
    pub addresses: Vec<IpAddr>,
    /// Its ports there.
    pub ports: Ports,
}

impl Own {
    /// The prefixes that are configured, its own first.
    pub fn configured(&self) -> impl Iterator<Item = &Prefix> {
        self.prefixes.iter().chain(&self.other_prefixes)
    }

    /// The announcement of that and of what is registered beside it, made at a time, milliseconds
    /// since the Unix epoch.
    pub fn announcement(&self, registered: &[Prefix], made_ms: u64) -> Announcement {
        let endpoints = endpoints(&self.addresses, &self.ports);
        let mut prefixes: Vec<&Prefix> = Vec::new();
        for prefix in self.configured().chain(registered) {
            // Without an address there is nothing to configure.
            if !prefixes.contains(&prefix) && !endpoints.is_empty() {
                prefixes.push(prefix);
            }
        }
        let configurations = prefixes.iter().map(|prefix| ResolutionConfiguration {
            code_type: code_type(prefix.scheme()).into(),
            prefix: prefix.canonical(),
            endpoints: endpoints.clone(),
        });
        let own = prefixes.iter().filter(|it| self.prefixes.contains(it));
        let mut announcement = Announcement {
            node: self.node.clone(),
            digest: String::new(),
            operator: Some(OperatorProfile {
                prefixes: own.map(|it| it.canonical()).collect(),
                ..self.operator.clone()
            }),
            configurations: configurations.collect(),
            made_at: Some(timestamp(made_ms)),
        };
        announcement.digest = digest(&announcement);
        announcement
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::routes::check_announcement;

    #[test]
    fn what_a_node_tells_of_itself_is_what_the_other_side_takes() {
        let parse = |text: &str| Prefix::parse(text).unwrap();
        let own = Own {
            node: "datong".to_owned(),
            prefixes: vec![parse("88.119"), parse("88.119")],
            other_prefixes: vec![parse("oid:1.2.156.3001"), parse("gs1:6901234")],
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            ports: Ports {
                handle_tcp: Some(2641),
                handle_udp: Some(2641),
                http: Some(8080),
                https: None,
                dns: Some(53),
            },
            ..Own::default()
        };
        let made = own.announcement(&[], 1_000);
        let names: Vec<_> = check_announcement(&made).unwrap();
        assert_eq!(names.len(), 3);
        let first = made.configurations.first().unwrap();
        assert_eq!(first.endpoints.len(), 10);
        assert_eq!(own.announcement(&[], 2_000).digest, made.digest);
        let beside = own.announcement(&[parse("gs1:6905678")], 1_000);
        assert_eq!(check_announcement(&beside).unwrap().len(), 4);
        assert_ne!(beside.digest, made.digest);
        let profile = beside.operator.unwrap();
        assert_eq!(profile.prefixes, ["88.119"]);
        let moved = Own {
            addresses: vec!["192.0.2.2".parse().unwrap()],
            ..own.clone()
        };
        assert_ne!(moved.announcement(&[], 1_000).digest, made.digest);
        let nowhere = Own {
            addresses: Vec::new(),
            ..own
        };
        let nowhere = nowhere.announcement(&[], 1_000);
        assert_eq!(check_announcement(&nowhere).unwrap(), []);
    }
}
