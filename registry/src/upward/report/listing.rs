//! The hourly listing of enterprises and their routes: those that have changed since the one
//! before.

use super::Context;
use super::make::{Batch, Parts, scheme};
use crate::Result;
use crate::enterprise::{Enterprise, EnterpriseId};
use crate::prefix::{Delegation, PrefixRecord};
use crate::upward::{Entry, Topic};
use idnode_proto::api::{self, report::Body};
use idnode_proto::report::{Kind, Period};

/// Bytes of one report's enterprises, about.
const PART_BYTES: usize = 1 << 20;
/// Most routes of one enterprise that are listed, by key.
const MAX_ROUTES: usize = 10_000;
/// Name of the cursor into the change log.
const CURSOR: &str = "report.enterprises";

/// What was told of an enterprise: with the log position alone, a route that is gone would not be
/// noticed.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Told {
    #[prost(uint64, tag = "1")]
    routes: u64,
}

fn told_key(enterprise: u64) -> [u8; 9] {
    let mut key = [5; 9];
    if let Some(rest) = key.last_chunk_mut::<8>() {
        *rest = enterprise.to_be_bytes();
    }
    key
}

pub(super) fn enterprises(context: &Context<'_>, hour: Period) -> Result<Batch> {
    let moment = context.registry.moment()?;
    let after_sequence = context.journal.cursor(CURSOR)?;
    let through_sequence = moment.sequence().max(after_sequence);
    let mut parts = Parts::of(PART_BYTES);
    let mut entries = vec![Entry::cursor(CURSOR, through_sequence)];
    for enterprise in moment.enterprises()? {
        let enterprise = enterprise?;
        let prefixes = moment.prefixes_of(EnterpriseId(enterprise.id), MAX_ROUTES)?;
        let told: Option<Told> = context
            .journal
            .get(Topic::Report, &told_key(enterprise.id))?;
        let told_routes = told.map(|it| it.routes);
        let routes = prefixes.len() as u64;
        let newest = prefixes.iter().map(|it| it.version);
        let newest = newest.fold(enterprise.version, u64::max);
        if newest <= after_sequence && told_routes == Some(routes) {
            continue;
        }
        let told = Told { routes };
        entries.push(Entry::put(Topic::Report, told_key(enterprise.id), &told));
        parts.push(shown(enterprise, &prefixes));
    }
    let parts = parts.finish();
    let count = parts.len() as u32;
    let reports = (1..).zip(parts).map(|(number, enterprises): (u32, _)| {
        let body = api::EnterpriseListing {
            after_sequence,
            through_sequence,
            parts: count,
            enterprises,
        };
        let scope = number.to_string();
        context.report(Kind::Enterprises, hour, &scope, Body::Enterprises(body))
    });
    Ok(Batch {
        reports: reports.collect(),
        entries,
        reached: None,
    })
}

fn shown(enterprise: Enterprise, prefixes: &[PrefixRecord]) -> api::ReportedEnterprise {
    let status = enterprise.state().official_name();
    let profile = enterprise.profile;
    let certificate_type = profile.certificate_type().name();
    api::ReportedEnterprise {
        id: enterprise.id,
        name: profile.name,
        certificate_type: certificate_type.to_owned(),
        certificate_code: profile.certificate_code,
        status: status.to_owned(),
        version: enterprise.version,
        routes: prefixes.iter().filter_map(route).collect(),
        name_en: profile.name_en,
        address: profile.address,
        province_code: profile.province_code,
        city_code: profile.city_code,
        county_code: profile.county_code,
        country_code: profile.country_code,
        website: profile.website,
        description: profile.description,
        // Who its legal person is, reviews are told alone.
        contact: profile.contact.map(|it| api::Contact {
            name: it.name,
            email: it.email,
            phone: it.phone,
        }),
    }
}

fn route(record: &PrefixRecord) -> Option<api::PrefixRoute> {
    let prefix = record.prefix().ok()?;
    Some(api::PrefixRoute {
        prefix: prefix.canonical(),
        scheme: scheme(prefix.scheme()).into(),
        state: record.state().official_name().to_owned(),
        delegated: record.delegation.is_some(),
        addresses: record.delegation.as_ref().map_or_else(Vec::new, addresses),
        version: record.version,
    })
}

fn addresses(delegation: &Delegation) -> Vec<api::RouteAddress> {
    let mut found = Vec::new();
    for site in delegation.decoded_sites() {
        for server in &site.servers {
            for interface in &server.interfaces {
                found.push(api::RouteAddress {
                    address: server.address.to_string(),
                    port: interface.port.into(),
                    protocol: format!("{:?}", interface.protocol).to_ascii_uppercase(),
                });
            }
        }
    }
    for server in &delegation.name_servers {
        let name = std::slice::from_ref(&server.name);
        let glue = match server.addresses.as_slice() {
            [] => name,
            addresses => addresses,
        };
        found.extend(glue.iter().map(|address| api::RouteAddress {
            address: address.clone(),
            port: 53,
            protocol: "DNS".to_owned(),
        }));
    }
    found
}
