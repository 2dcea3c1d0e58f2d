//! The node's zones: apexes, name servers, and the hosts that are in the zones themselves.

use super::DnsOptions;
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use idnode_proto::dnsname::{ZoneKind, ZoneName, Zones};
use std::net::IpAddr;

/// Greatest TTL (RFC 2181 §8).
pub(super) const MAX_TTL_S: u32 = i32::MAX as u32;

/// An option that is no domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {text:?} is no domain name")]
pub(super) struct BadName {
    option: &'static str,
    text: String,
}

/// One zone.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) kind: ZoneKind,
    apex: Name,
    name_servers: Vec<Name>,
    rname: Name,
}

/// The node's zones.
#[derive(Debug)]
pub(super) struct ZoneSet {
    zones: Vec<Zone>,
    /// Name servers that are in one of the zones.
    hosts: Vec<Name>,
    addresses: Vec<IpAddr>,
    options: DnsOptions,
}

impl ZoneSet {
    pub(super) fn new(
        zones: &Zones,
        options: &DnsOptions,
        addresses: &[IpAddr],
    ) -> Result<Self, BadName> {
        let kinds = [ZoneKind::Node, ZoneKind::Ors, ZoneKind::Ons];
        let configured = kinds
            .into_iter()
            .filter_map(|kind| Some((kind, zones.get(kind)?)));
        let zones: Vec<Zone> = configured
            .map(|(kind, name)| Zone::new(kind, name, options))
            .collect::<Result<_, _>>()?;
        let mut hosts: Vec<Name> = Vec::new();
        for host in zones.iter().flat_map(|zone| &zone.name_servers) {
            let is_inside = zones.iter().any(|zone| zone.apex.zone_of(host));
            if is_inside && !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        Ok(Self {
            zones,
            hosts,
            addresses: addresses.to_vec(),
            options: options.clone(),
        })
    }

    /// The closest zone that encloses a name.
    pub(super) fn enclosing(&self, name: &Name) -> Option<&Zone> {
        let around = self.zones.iter().filter(|zone| zone.apex.zone_of(name));
        around.max_by_key(|zone| labels(&zone.apex))
    }

    /// The zone a question is answered from: DS records are on the parent's side of a cut
    /// (RFC 4035 §3.1.4.1), so that at an apex another zone around it is meant.
    pub(super) fn answering(&self, name: &Name, qtype: RecordType) -> Option<&Zone> {
        let zone = self.enclosing(name)?;
        if qtype == RecordType::DS && zone.is_apex(name) {
            let outer = self.enclosing(&name.base_name());
            return outer.or(Some(zone));
        }
        Some(zone)
    }

    /// The zone of a kind, where there is one.
    pub(super) fn of_kind(&self, kind: ZoneKind) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.kind == kind)
    }

    /// Whether a name is one of the name servers' in the zones.
    pub(super) fn is_host(&self, name: &Name) -> bool {
        self.hosts.contains(name)
    }

    /// The name servers that are in this zone, and in none below it.
    pub(super) fn hosts_in<'a>(&'a self, zone: &'a Zone) -> impl Iterator<Item = &'a Name> {
        let is_inside = |host: &&Name| {
            let enclosing = self.enclosing(host);
            enclosing.is_some_and(|enclosing| enclosing.apex == zone.apex)
        };
        self.hosts.iter().filter(is_inside)
    }

    /// The zones.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter()
    }

    /// Whether the zones themselves have a name at or below this one.
    pub(super) fn has_own_names_below(&self, name: &Name) -> bool {
        let apexes = self.zones.iter().map(|zone| &zone.apex);
        apexes.chain(&self.hosts).any(|own| name.zone_of(own))
    }

    /// Address records of a host of the zones.
    pub(super) fn address_records(&self, owner: &Name, qtype: RecordType) -> Vec<Record> {
        let ttl_s = self.default_ttl_s();
        let records = self
            .addresses
            .iter()
            .map(|address| address_record(owner, ttl_s, *address));
        records
            .filter(|record| record.record_type() == qtype)
            .collect()
    }

    /// The zone's NS records, with the addresses of those servers that are in the zones.
    pub(super) fn ns_records(&self, zone: &Zone, owner: &Name) -> (Vec<Record>, Vec<Record>) {
        let ttl_s = self.default_ttl_s();
        let servers = zone.name_servers.iter();
        let records = servers
            .clone()
            .map(|host| ns_record(owner, ttl_s, host))
            .collect();
        let addresses = servers
            .filter(|host| self.is_host(host))
            .flat_map(|host| {
                self.addresses
                    .iter()
                    .map(move |ip| address_record(host, ttl_s, *ip))
            })
            .collect();
        (records, addresses)
    }

    /// The zone's SOA record; in a negative answer its TTL says how long that holds (RFC 2308
    /// §3). `sequence` is the change log's: the serial is its lower 32 bits.
    pub(super) fn soa_record(
        &self,
        zone: &Zone,
        name: &Name,
        sequence: u64,
        negative: bool,
    ) -> Record {
        let options = &self.options;
        let time = |seconds: u32| i32::try_from(seconds).unwrap_or(i32::MAX);
        let mname = zone.name_servers.first().unwrap_or(&zone.apex).clone();
        let minimum = options.negative_ttl_s.min(MAX_TTL_S);
        let soa = SOA::new(
            mname,
            zone.rname.clone(),
            sequence as u32,
            time(options.refresh_s),
            time(options.retry_s),
            time(options.expire_s),
            minimum,
        );
        let ttl_s = if negative {
            self.default_ttl_s().min(minimum)
        } else {
            self.default_ttl_s()
        };
        Record::from_rdata(zone.apex_in(name), ttl_s, RData::SOA(soa))
    }

    pub(super) fn default_ttl_s(&self) -> u32 {
        self.options.default_ttl_s.min(MAX_TTL_S)
    }
}

impl Zone {
    fn new(kind: ZoneKind, name: &ZoneName, options: &DnsOptions) -> Result<Self, BadName> {
        let apex = parse("zone", &name.to_string())?;
        let below = |label: &str| parse("zone", &format!("{label}.{name}"));
        let name_servers = if options.name_servers.is_empty() {
            vec![below("ns1")?]
        } else {
            let given = options.name_servers.iter();
            given
                .map(|host| parse("ns", host))
                .collect::<Result<_, _>>()?
        };
        let rname = match options.soa_rname.as_str() {
            "" => below("hostmaster")?,
            given => parse("soa_rname", given)?,
        };
        Ok(Self {
            kind,
            apex,
            name_servers,
            rname,
        })
    }

    /// Its name, in lower case.
    pub(super) fn apex(&self) -> &Name {
        &self.apex
    }

    pub(super) fn is_apex(&self, name: &Name) -> bool {
        labels(name) == labels(&self.apex)
    }

    /// Labels of a name in this zone that are before the zone's.
    pub(super) fn labels_before(&self, name: &Name) -> usize {
        labels(name).saturating_sub(labels(&self.apex))
    }

    /// The part of a name in this zone that has `count` labels before the zone's, spelled as
    /// the question spells it; the name itself when it is shorter.
    pub(super) fn ancestor(&self, name: &Name, count: usize) -> Name {
        name.trim_to(labels(&self.apex) + count)
    }

    fn apex_in(&self, name: &Name) -> Name {
        self.ancestor(name, 0)
    }
}

/// Labels of a name, `*` included, the root not.
fn labels(name: &Name) -> usize {
    name.iter().len()
}

fn parse(option: &'static str, text: &str) -> Result<Name, BadName> {
    let bad = || BadName {
        option,
        text: text.to_owned(),
    };
    let mut name = Name::from_ascii(text).map_err(|_| bad())?.to_lowercase();
    if name.is_root() {
        return Err(bad());
    }
    name.set_fqdn(true);
    Ok(name)
}

pub(super) fn ns_record(owner: &Name, ttl_s: u32, host: &Name) -> Record {
    Record::from_rdata(owner.clone(), ttl_s, RData::NS(NS(host.clone())))
}

pub(super) fn address_record(owner: &Name, ttl_s: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(owner.clone(), ttl_s, data)
}
