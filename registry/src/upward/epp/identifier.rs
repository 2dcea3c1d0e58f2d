//! What is told of a prefix's handle: the servers that answer for it, and who may administer it.
//! Nothing here sends or stores.

use crate::prefix::{PrefixRecord, PrefixState};
use data_encoding::{BASE64, HEXLOWER};
use idnode_proto::epp::identifier::{
    Added, Administrator, IdentifierCreate, IdentifierUpdate, Interface, Kind, PERMISSIONS,
    PublicKey, Removed, Service, SiteInfo,
};
use idnode_proto::epp::{Command, Document, Operation};
use idnode_proto::handle::admin::Admin;
use idnode_proto::handle::auth::PublicKey as Key;
use idnode_proto::handle::site::{InterfaceProtocol, Server, Site};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::types;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most servers of a site that are told.
const MAX_SERVERS: usize = 64;

/// What is to be at the national node of a prefix's handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This.
    Object(Box<IdentifierCreate>),
    /// Nothing.
    Nothing,
    /// Whatever is there: the prefix is between its states, or the node has no address to name.
    AsItIs,
}

/// What is to be there of a prefix, as it is registered here; `site` is the node's own.
pub fn wish(record: Option<&PrefixRecord>, site: Option<&Site>) -> Wish {
    let Some(record) = record else {
        return Wish::Nothing;
    };
    match record.state() {
        PrefixState::Active => {}
        PrefixState::Suspended | PrefixState::PendingDeletion => return Wish::AsItIs,
        _ => return Wish::Nothing,
    }
    // The draft has no word for a service's handle: this node is told, which refers to it.
    let elsewhere = record.delegation.as_ref();
    let elsewhere = elsewhere.filter(|it| it.service().is_none());
    let (Ok(prefix), false) = (record.prefix(), elsewhere.is_none() && site.is_none()) else {
        return Wish::AsItIs;
    };
    let sites = match elsewhere {
        Some(delegation) => sites(delegation.decoded_sites()),
        None => sites(site.cloned()),
    };
    Wish::Object(Box::new(IdentifierCreate {
        name: prefix.canonical(),
        kind: Kind::Handle,
        contacts: Vec::new(),
        urls: Vec::new(),
        administrators: administrators(record, &prefix),
        sites,
    }))
}

fn sites(sites: impl IntoIterator<Item = Site>) -> Vec<SiteInfo> {
    // By their values' indexes in `0.NA/<prefix>`.
    let numbered = (1..).zip(sites);
    let told = numbered.map(|(index, site)| SiteInfo {
        index,
        protocol_version: site.protocol.to_string(),
        services: site.servers.iter().take(MAX_SERVERS).map(service).collect(),
    });
    told.collect()
}

fn service(server: &Server) -> Service {
    let family = if server.address.is_ipv4() { "v4" } else { "v6" };
    let mut interfaces = Vec::new();
    for interface in &server.interfaces {
        let protocol = match interface.protocol {
            InterfaceProtocol::Tcp => "tcp",
            InterfaceProtocol::Udp => "udp",
            InterfaceProtocol::Http => "http",
            // The draft has no word for others.
            InterfaceProtocol::Https | InterfaceProtocol::Other(_) => continue,
        };
        let uses = [(interface.query, "query"), (interface.admin, "admin")];
        for (_, service) in uses.into_iter().filter(|(is, _)| *is) {
            interfaces.push(Interface {
                service: service.to_owned(),
                protocol: protocol.to_owned(),
                port: interface.port,
            });
        }
    }
    Service {
        server_id: server.id,
        addresses: vec![(family.to_owned(), server.address.to_string())],
        key: (!server.public_key.is_empty()).then(|| public_key(&server.public_key)),
        interfaces,
    }
}

/// HS_PUBKEY data as it is told. The draft has a word for RSA and DSA alone.
fn public_key(data: &[u8]) -> PublicKey {
    let kind = match Key::decode(data) {
        Ok(Key::Rsa(_)) => Some("rsa_pub_key"),
        Ok(Key::Dsa(_)) => Some("dsa_pub_key"),
        _ => None,
    };
    PublicKey {
        kind: kind.map(str::to_owned),
        data: BASE64.encode(data),
    }
}

/// Administrators that the prefix's own values name, whose public keys are among these values. Only what
/// anyone may read is told.
fn administrators(record: &PrefixRecord, prefix: &Prefix) -> Vec<Administrator> {
    let own = Identifier::parse(&format!("0.NA/{}", prefix.canonical())).ok();
    let of_type = |kind: &'static str| {
        let values = record.values().filter(|it| it.permissions().public_read());
        values.filter(move |it| it.value_type().eq_ignore_ascii_case(kind))
    };
    let keys: BTreeMap<u32, Vec<u8>> = of_type(types::HS_PUBKEY)
        .map(|it| (it.index(), it.data().to_vec()))
        .collect();
    let mut rights: BTreeMap<u32, u16> = BTreeMap::new();
    for value in of_type(types::HS_ADMIN) {
        let Some((admin, id)) = Admin::decode(value.data())
            .ok()
            .and_then(|it| it.id().ok().map(|id| (it, id)))
        else {
            continue;
        };
        // Index 0 stands for the only key.
        let index = match (id.index, keys.len()) {
            (0, 1) => keys.keys().next().copied().unwrap_or_default(),
            (index, _) => index,
        };
        if Some(&id.handle) == own.as_ref() && keys.contains_key(&index) {
            *rights.entry(index).or_default() |= admin.permissions.0;
        }
    }
    let told = rights.into_iter().filter_map(|(index, rights)| {
        Some(Administrator {
            index,
            key: public_key(keys.get(&index)?),
            permissions: permissions(rights),
        })
    });
    told.collect()
}

/// The draft's words stand in the order of the bits of HS_ADMIN.
fn permissions(rights: u16) -> Vec<String> {
    let words = (0..).zip(PERMISSIONS);
    let granted = words.filter(|(bit, _)| rights >> bit & 1 == 1);
    granted.map(|(_, word)| word.to_owned()).collect()
}

/// The same in one order and spelling: what servers may give back in another. Servers and interfaces stay in
/// their order: clients hash into the one, and take the first of the other.
fn ordered(object: &IdentifierCreate) -> IdentifierCreate {
    let mut object = object.clone();
    for administrator in &mut object.administrators {
        administrator.permissions.sort();
    }
    object.administrators.sort_by_key(|it| it.index);
    for site in &mut object.sites {
        for service in &mut site.services {
            for (_, address) in &mut service.addresses {
                if let Ok(parsed) = address.parse::<IpAddr>() {
                    *address = parsed.to_string();
                }
            }
        }
    }
    object.sites.sort_by_key(|it| it.index);
    object.contacts.clear();
    object.urls.clear();
    object
}

/// What the servers and administrators of a handle are known by.
pub fn digest(object: &IdentifierCreate) -> String {
    let document = Document::Command(Command {
        client_id: None,
        operation: Operation::CreateIdentifier(Box::new(ordered(object))),
    });
    let digest = Sha256::digest(document.encode());
    HEXLOWER.encode(digest.get(..16).unwrap_or_default())
}

/// The digest of a site; empty: of none.
pub fn digest_of_site(site: Option<&Site>) -> String {
    let digest = site.map(|site| HEXLOWER.encode(&Sha256::digest(site.encode())));
    digest.map_or_else(String::new, |it| it.chars().take(32).collect())
}

/// The change that makes of what is there what is to be there; `None`: it is. Contacts and URLs stay:
/// this node tells none.
pub fn difference(there: &IdentifierCreate, wanted: &IdentifierCreate) -> Option<IdentifierUpdate> {
    let (there, wanted) = (ordered(there), ordered(wanted));
    let (mut add, mut change) = (Added::default(), Added::default());
    let mut remove = Removed::default();
    let administrators = compared(&there.administrators, wanted.administrators, |it| it.index);
    (
        add.administrators,
        change.administrators,
        remove.administrators,
    ) = administrators;
    (add.sites, change.sites, remove.sites) = compared(&there.sites, wanted.sites, |it| it.index);
    let some = |added: Added| (added != Added::default()).then_some(added);
    let remove = (remove != Removed::default()).then_some(remove);
    let (add, change) = (some(add), some(change));
    (add.is_some() || remove.is_some() || change.is_some()).then_some(IdentifierUpdate {
        name: wanted.name,
        add,
        remove,
        change,
    })
}

/// What is new, what is another than before, and the indexes of what is gone.
fn compared<T: PartialEq>(
    there: &[T],
    wanted: Vec<T>,
    index: impl Fn(&T) -> u32,
) -> (Vec<T>, Vec<T>, Vec<u32>) {
    let before: BTreeMap<u32, &T> = there.iter().map(|it| (index(it), it)).collect();
    let mut gone: Vec<u32> = before.keys().copied().collect();
    gone.retain(|it| !wanted.iter().any(|new| index(new) == *it));
    let (mut new, mut other) = (Vec::new(), Vec::new());
    for it in wanted {
        match before.get(&index(&it)) {
            None => new.push(it),
            Some(before) if **before != it => other.push(it),
            Some(_) => {}
        }
    }
    (new, other, gone)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::prefix::Delegation;
    use bytes::Bytes;
    use idnode_proto::handle::site::NodePorts;

    fn site(address: &str) -> Site {
        let ports = NodePorts {
            tcp: Some(2641),
            udp: Some(2641),
            http: Some(8080),
            https: Some(8443),
        };
        let server = Server::of_node(1, address.parse().unwrap(), Vec::new(), ports);
        Site::of_node(1, "taiyuan", server)
    }

    fn record(state: PrefixState) -> PrefixRecord {
        let prefix = Prefix::parse("88.118.8").unwrap();
        PrefixRecord {
            key: Bytes::copy_from_slice(prefix.key()),
            state: state.into(),
            ..PrefixRecord::default()
        }
    }

    fn object(record: &PrefixRecord, own: &Site) -> IdentifierCreate {
        match wish(Some(record), Some(own)) {
            Wish::Object(object) => *object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wanted_goes_by_the_state_of_the_prefix() {
        let own = site("192.0.2.1");
        let wished = |state| wish(Some(&record(state)), Some(&own));
        assert_eq!(wish(None, Some(&own)), Wish::Nothing);
        for state in [PrefixState::PendingReview, PrefixState::Rejected] {
            assert_eq!(wished(state), Wish::Nothing);
        }
        for state in [PrefixState::Suspended, PrefixState::PendingDeletion] {
            assert_eq!(wished(state), Wish::AsItIs);
        }
        assert!(matches!(wished(PrefixState::Active), Wish::Object(_)));
        assert_eq!(wish(Some(&record(PrefixState::Active)), None), Wish::AsItIs);
    }

    #[test]
    fn a_site_is_told_with_what_the_draft_has_words_for() {
        let told = object(&record(PrefixState::Active), &site("192.0.2.1"));
        assert_eq!((told.name.as_str(), told.kind), ("88.118.8", Kind::Handle));
        assert_eq!(told.administrators, []);
        let site = &told.sites[0];
        assert_eq!((site.index, site.protocol_version.as_str()), (1, "2.11"));
        let ways: Vec<_> = site.services[0]
            .interfaces
            .iter()
            .map(|it| (it.protocol.as_str(), it.service.as_str(), it.port))
            .collect();
        let expected = [
            ("tcp", "query", 2641),
            ("tcp", "admin", 2641),
            ("udp", "query", 2641),
            ("http", "query", 8080),
            ("http", "admin", 8080),
        ];
        assert_eq!(ways, expected);
    }

    #[test]
    fn of_a_prefix_with_a_service_this_node_is_told() {
        let own = site("192.0.2.1");
        let mut record = record(PrefixState::Active);
        let served = object(&record, &own);
        record.delegation = Some(Delegation {
            service_handle: "88.119/SVC".into(),
            ..Delegation::default()
        });
        assert_eq!(object(&record, &own), served);
        assert_eq!(wish(Some(&record), None), Wish::AsItIs);
    }

    #[test]
    fn a_change_says_what_is_new_other_and_gone_and_nothing_else() {
        let own = site("192.0.2.1");
        let served = object(&record(PrefixState::Active), &own);
        assert_eq!(difference(&served, &served), None);
        let mut delegated = record(PrefixState::Active);
        let sites = ["192.0.2.8", "2001:db8::8"].map(|it| site(it).encode().into());
        delegated.delegation = Some(Delegation {
            sites: sites.to_vec(),
            ..Delegation::default()
        });
        let delegated = object(&delegated, &own);
        let there = difference(&served, &delegated).unwrap();
        assert_eq!(there.change.unwrap().sites, delegated.sites[..1]);
        assert_eq!(there.add.unwrap().sites, delegated.sites[1..]);
        assert_eq!(there.remove, None);
        let back = difference(&delegated, &served).unwrap();
        assert_eq!(back.remove.unwrap().sites, [2]);
        assert_ne!(digest(&served), digest(&delegated));

        // What a server gives back in another order or spelling, and what it has of its own, is no change.
        let mut shuffled = delegated.clone();
        shuffled.sites.reverse();
        shuffled.contacts = vec!["jd1234".to_owned()];
        for site in &mut shuffled.sites {
            if let (_, address) = &mut site.services[0].addresses[0]
                && address.contains(':')
            {
                *address = "2001:0DB8:0:0:0:0:0:8".to_owned();
            }
        }
        assert_eq!(difference(&shuffled, &delegated), None);
        assert_eq!(digest(&shuffled), digest(&delegated));
        let mut reordered = delegated.clone();
        reordered.sites[0].services[0].interfaces.reverse();
        assert_ne!(difference(&reordered, &delegated), None);
    }

    #[test]
    fn rights_have_the_words_of_the_draft() {
        assert_eq!(permissions(0x1FFF), PERMISSIONS);
        assert_eq!(permissions(0x0003), ["add_handle", "delete_handle"]);
        assert_eq!(permissions(0x0410), ["modify_value", "authorized_read"]);
    }
}
