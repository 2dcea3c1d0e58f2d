//! Where a prefix is served when it is not served here: by sites, by a service whose handle has
//! the sites, by the name servers of a DNS zone of its own.

use super::MAX_SITES;
use crate::{Error, Result};
use bytes::Bytes;
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_proto::value::{MAX_HANDLE_LEN, Ttl, Value, types};
use std::net::IpAddr;

/// Most DNS name servers of one delegation.
pub const MAX_NAME_SERVERS: usize = 16;
/// Most addresses of one DNS name server.
pub const MAX_GLUE: usize = 8;
/// Most DS records of a delegation.
pub const MAX_DS: usize = 8;

/// A DNS server a prefix's zone is delegated to.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct NameServer {
    /// Fully qualified host name, with its trailing dot.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its addresses (glue).
    #[prost(string, repeated, tag = "2")]
    pub addresses: Vec<String>,
}

/// A DS record of a zone below a cut (RFC 4034 §5): which key that zone is signed with.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DelegationSigner {
    /// Tag of the key, at most 65,535.
    #[prost(uint32, tag = "1")]
    pub key_tag: u32,
    /// The key's algorithm, 1 to 255.
    #[prost(uint32, tag = "2")]
    pub algorithm: u32,
    /// How the digest is made: 1 (SHA-1), 2 (SHA-256) or 4 (SHA-384).
    #[prost(uint32, tag = "3")]
    pub digest_type: u32,
    /// The digest.
    #[prost(bytes = "bytes", tag = "4")]
    pub digest: Bytes,
}

impl DelegationSigner {
    fn check(&self) -> std::result::Result<(), String> {
        if self.key_tag > u16::MAX.into() {
            return Err(format!("key tag {} is above {}", self.key_tag, u16::MAX));
        }
        if !(1..=255).contains(&self.algorithm) {
            return Err(format!("algorithm {} is not 1 to 255", self.algorithm));
        }
        let length = match self.digest_type {
            1 => 20,
            2 => 32,
            4 => 48,
            other => return Err(format!("digest type {other} is not 1, 2 or 4")),
        };
        if self.digest.len() != length {
            let (kind, has) = (self.digest_type, self.digest.len());
            return Err(format!(
                "a digest of type {kind} has {length} bytes, not {has}"
            ));
        }
        Ok(())
    }
}

/// Where a prefix is served when it is not served here.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Delegation {
    /// Service sites, each the data of an HS_SITE value (RFC 3651 §3.2.2).
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub sites: Vec<Bytes>,
    /// Name servers of the prefix's own DNS zone.
    #[prost(message, repeated, tag = "2")]
    pub name_servers: Vec<NameServer>,
    /// DS records of that zone; none: it is not signed.
    #[prost(message, repeated, tag = "3")]
    pub ds: Vec<DelegationSigner>,
    /// Instead of sites, the handle whose HS_SITE values are those of the service (HS_SERV, RFC
    /// 3651 §3.2.4); empty: none.
    #[prost(string, tag = "4")]
    pub service_handle: String,
}

impl Delegation {
    /// Checks the delegation of a prefix, and gives names their final dot. Errors name the part.
    pub fn validated(mut self, of: &Prefix) -> Result<Self> {
        if self.sites.is_empty() && self.name_servers.is_empty() && self.service_handle.is_empty() {
            return Err(Error::invalid(
                "delegation",
                "has neither a site, nor a service handle, nor a name server",
            ));
        }
        self.check_sites()?;
        self.check_service(of)?;
        self.check_ds()?;
        self.check_name_servers()?;
        Ok(self)
    }

    fn check_sites(&self) -> Result<()> {
        if self.sites.len() > MAX_SITES {
            return Err(Error::invalid(
                "delegation.sites",
                format!("more than {MAX_SITES}"),
            ));
        }
        // A referral over the Handle protocol carries all of them in one message.
        if self.sites.iter().map(Bytes::len).sum::<usize>() > crate::write::MAX_RECORD_BYTES {
            let reason = format!(
                "are more than {} bytes encoded",
                crate::write::MAX_RECORD_BYTES
            );
            return Err(Error::invalid("delegation.sites", reason));
        }
        for (position, site) in self.sites.iter().enumerate() {
            Site::decode(site).map_err(|e| {
                Error::invalid(format!("delegation.sites[{position}]"), e.to_string())
            })?;
        }
        Ok(())
    }

    /// The service handle becomes its text without what was written around it.
    fn check_service(&mut self, of: &Prefix) -> Result<()> {
        if self.service_handle.is_empty() {
            return Ok(());
        }
        let refused = |reason: String| Error::invalid("delegation.service_handle", reason);
        // Clients would not know which of them counts.
        if !self.sites.is_empty() {
            return Err(refused(
                "stands beside sites: it is one or the other".into(),
            ));
        }
        if self.service_handle.len() > MAX_HANDLE_LEN {
            return Err(refused(format!("is longer than {MAX_HANDLE_LEN} bytes")));
        }
        let service = Identifier::parse(&self.service_handle);
        let service = service.map_err(|error| refused(error.to_string()))?;
        if service.scheme() != Scheme::Handle {
            return Err(refused("is not a handle".into()));
        }
        // Nobody but the service itself could say where it is.
        if of.covers(&service) || service.prefix_handle().as_ref() == Some(of) {
            return Err(refused(format!("is under {of}, which it is to lead to")));
        }
        self.service_handle = service.display().into_owned();
        Ok(())
    }

    fn check_name_servers(&mut self) -> Result<()> {
        if self.name_servers.len() > MAX_NAME_SERVERS {
            return Err(Error::invalid(
                "delegation.name_servers",
                format!("more than {MAX_NAME_SERVERS}"),
            ));
        }
        for (position, server) in self.name_servers.iter_mut().enumerate() {
            let field = format!("delegation.name_servers[{position}]");
            check_host_name(&server.name)
                .map_err(|reason| Error::invalid(format!("{field}.name"), reason))?;
            if !server.name.ends_with('.') {
                server.name.push('.');
            }
            server.name.make_ascii_lowercase();
            if server.addresses.len() > MAX_GLUE {
                return Err(Error::invalid(
                    format!("{field}.addresses"),
                    format!("more than {MAX_GLUE}"),
                ));
            }
            for address in &server.addresses {
                address.parse::<IpAddr>().map_err(|_| {
                    Error::invalid(
                        format!("{field}.addresses"),
                        format!("{address:?} is no IP address"),
                    )
                })?;
            }
        }
        Ok(())
    }

    fn check_ds(&self) -> Result<()> {
        if self.ds.len() > MAX_DS {
            let reason = format!("more than {MAX_DS}");
            return Err(Error::invalid("delegation.ds", reason));
        }
        if self.name_servers.is_empty() && !self.ds.is_empty() {
            let reason = "without a name server there is no zone that could be signed";
            return Err(Error::invalid("delegation.ds", reason));
        }
        for (position, ds) in self.ds.iter().enumerate() {
            ds.check()
                .map_err(|reason| Error::invalid(format!("delegation.ds[{position}]"), reason))?;
            if self.ds.iter().take(position).any(|other| other == ds) {
                let reason = "is listed twice";
                return Err(Error::invalid(format!("delegation.ds[{position}]"), reason));
            }
        }
        Ok(())
    }

    /// The handle of the service, if it is delegated to one.
    pub fn service(&self) -> Option<&str> {
        (!self.service_handle.is_empty()).then_some(&*self.service_handle)
    }

    /// Its values in `0.NA/<prefix>`.
    pub(super) fn values(&self, timestamp_s: u32) -> Vec<Value> {
        let sites = self.sites.iter().map(|it| (types::HS_SITE, it.to_vec()));
        let service = self.service().map(|it| (types::HS_SERV, it.into()));
        let numbered = (1..).zip(sites.chain(service));
        let values = numbered.map(|(index, (value_type, data))| Value {
            ttl: Ttl::DEFAULT,
            timestamp_s,
            ..Value::new(index, value_type, data)
        });
        values.collect()
    }

    /// Bytes of their data.
    pub(super) fn described_len(&self) -> usize {
        let sites = self.sites.iter().map(Bytes::len);
        sites.sum::<usize>() + self.service_handle.len()
    }

    /// The service sites, decoded.
    pub fn decoded_sites(&self) -> impl Iterator<Item = Site> + '_ {
        self.sites.iter().filter_map(|site| Site::decode(site).ok())
    }
}

/// A host name as RFC 1123 §2.1 has it, with or without the final dot.
fn check_host_name(name: &str) -> std::result::Result<(), String> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() || bare.len() > 253 {
        return Err(format!("{name:?} is not a host name of 1 to 253 bytes"));
    }
    for label in bare.split('.') {
        let fits = (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !fits {
            return Err(format!("{label:?} is not a label of a host name"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::handle::NodePorts;
    use idnode_proto::handle::site::Server;

    #[test]
    fn host_names_are_checked() {
        for good in ["ns1.example.", "NS1.example.com", "a"] {
            assert_eq!(check_host_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "-a.example",
            "a_b.example",
            "ä.example",
            &"a".repeat(64),
        ] {
            assert!(check_host_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_service_handle_leads_away_from_its_prefix() {
        let delegated = |prefix: &str, handle: &str| {
            let delegation = Delegation {
                service_handle: handle.to_owned(),
                ..Delegation::default()
            };
            let validated = delegation.validated(&Prefix::parse(prefix).unwrap());
            validated.map(|it| it.service_handle)
        };
        for (handle, kept) in [
            ("88.119/SVC", "88.119/SVC"),
            ("hdl:88.119/Svc", "88.119/Svc"),
            ("0.NA/88.119", "0.NA/88.119"),
            ("88.118.9.1/SVC", "88.118.9.1/SVC"),
        ] {
            assert_eq!(delegated("88.118.9", handle).unwrap(), kept);
        }
        let long = format!("88.119/{}", "x".repeat(MAX_HANDLE_LEN));
        for refused in [
            "88.118.9/SVC",
            "0.NA/88.118.9",
            "0.na/88.118.9",
            "88.119/",
            "oid:1.2.156.3001",
            "nowhere at all",
            &long,
        ] {
            let error = delegated("88.118.9", refused).unwrap_err();
            assert_eq!(error.field(), "delegation.service_handle", "{refused}");
        }
        // Prefixes of every scheme have services.
        assert!(delegated("oid:1.2.156.3001", "88.119/SVC").is_ok());
    }

    #[test]
    fn sites_and_a_service_exclude_each_other() {
        let of = Prefix::parse("88.118.9").unwrap();
        let nothing = Delegation::default().validated(&of).unwrap_err();
        assert_eq!(nothing.field(), "delegation");
        let site = Site::of_node(
            1,
            "",
            Server::of_node(
                1,
                IpAddr::from([192, 0, 2, 1]),
                Vec::new(),
                NodePorts::default(),
            ),
        );
        let both = Delegation {
            sites: vec![site.encode().into()],
            service_handle: "88.119/SVC".into(),
            ..Delegation::default()
        };
        let refused = both.validated(&of).unwrap_err();
        assert_eq!(refused.field(), "delegation.service_handle");
    }
}
