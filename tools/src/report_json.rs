//! Reports as JSON, for people and scripts: names as in `report.proto`, times in RFC 3339.

use idnode_proto::api::report::Body;
use idnode_proto::api::{
    ApplicationData, Contact, Downtime, EnterpriseListing, FaultEvent, Incident, LatencyDay,
    LevelDay, Monitoring, PrefixDay, Report, ReportedEnterprise, ServiceReport,
};
use serde_json::{Value, json};

use crate::ctl::json::{name, scheme, time};

/// A report with its body.
pub(crate) fn report(report: &Report) -> Value {
    let mut document = json!({
        "key": report.key,
        "node": report.node,
        "kind": name(report.kind().as_str_name(), "REPORT_KIND_"),
        "begins_at": time(report.begins_at.as_ref()),
        "ends_at": time(report.ends_at.as_ref()),
        "scope": report.scope,
        "made_at": time(report.made_at.as_ref()),
        "clock_offset_s": report.clock_offset_s,
    });
    let body = match &report.body {
        None => return document,
        Some(Body::Fault(it)) => ("fault", fault(it)),
        Some(Body::Enterprises(it)) => ("enterprises", enterprises(it)),
        Some(Body::Statistics(it)) => ("statistics", statistics(it)),
        Some(Body::Monitoring(it)) => ("monitoring", monitoring(it)),
        Some(Body::Application(it)) => ("application", application(it)),
        Some(Body::Service(it)) => ("service", service(it)),
    };
    if let Some(fields) = document.as_object_mut() {
        fields.insert(body.0.to_owned(), body.1);
    }
    document
}

/// A fault, or its end.
pub(crate) fn fault(event: &FaultEvent) -> Value {
    json!({
        "number": event.number,
        "related_number": event.related_number,
        "state": name(event.state().as_str_name(), "FAULT_STATE_"),
        "type": event.r#type,
        "at": time(event.at.as_ref()),
        "since": time(event.since.as_ref()),
        "check": event.check,
        "cause": event.cause,
    })
}

fn enterprises(listing: &EnterpriseListing) -> Value {
    json!({
        "after_sequence": listing.after_sequence,
        "through_sequence": listing.through_sequence,
        "parts": listing.parts,
        "enterprises": listing.enterprises.iter().map(enterprise).collect::<Vec<_>>(),
    })
}

fn enterprise(enterprise: &ReportedEnterprise) -> Value {
    let routes = enterprise.routes.iter().map(|route| {
        let addresses = route
            .addresses
            .iter()
            .map(|it| json!({"address": it.address, "port": it.port, "protocol": it.protocol}));
        json!({
            "prefix": route.prefix,
            "scheme": scheme(route.scheme()),
            "state": route.state,
            "delegated": route.delegated,
            "addresses": addresses.collect::<Vec<_>>(),
            "version": route.version,
        })
    });
    json!({
        "id": enterprise.id,
        "name": enterprise.name,
        "certificate_type": enterprise.certificate_type,
        "certificate_code": enterprise.certificate_code,
        "status": enterprise.status,
        "version": enterprise.version,
        "routes": routes.collect::<Vec<_>>(),
        "name_en": enterprise.name_en,
        "address": enterprise.address,
        "province_code": enterprise.province_code,
        "city_code": enterprise.city_code,
        "county_code": enterprise.county_code,
        "country_code": enterprise.country_code,
        "website": enterprise.website,
        "description": enterprise.description,
        "contact": enterprise.contact.as_ref().map(contact),
    })
}

fn contact(contact: &Contact) -> Value {
    json!({"name": contact.name, "email": contact.email, "phone": contact.phone})
}

fn statistics(day: &PrefixDay) -> Value {
    let sources = day.sources.iter().map(|source| {
        json!({
            "source": source.source,
            "queries": source.queries,
            "over_at_most": source.over_at_most,
            "deviation": source.deviation,
        })
    });
    json!({
        "prefix": day.prefix,
        "scheme": scheme(day.scheme()),
        "new_identifiers": day.new_identifiers,
        "deleted_identifiers": day.deleted_identifiers,
        "identifiers": day.identifiers,
        "identifiers_before": day.identifiers_before,
        "queries": day.queries,
        "successes": day.successes,
        "sources": sources.collect::<Vec<_>>(),
        "sampled_one_in": day.sampled_one_in,
        "source_capacity": day.source_capacity,
        "unlisted_at_most": day.unlisted_at_most,
        "unrecorded_s": day.unrecorded_s,
    })
}

fn monitoring(report: &Monitoring) -> Value {
    json!({
        "node": report.node.as_ref().map(level),
        "prefixes": report.prefixes.iter().map(level).collect::<Vec<_>>(),
        "parts": report.parts,
    })
}

fn level(day: &LevelDay) -> Value {
    json!({
        "prefix": day.prefix,
        "resolution": day.resolution.as_ref().map(latency),
        "registration": day.registration.as_ref().map(latency),
        "queries": day.queries,
        "peak_qps": day.peak_qps,
        "peak_at": time(day.peak_at.as_ref()),
    })
}

fn latency(day: &LatencyDay) -> Value {
    json!({
        "count": day.count,
        "average_ms": day.average_ms,
        "max_ms": day.max_ms,
        "max_at": time(day.max_at.as_ref()),
        "min_ms": day.min_ms,
        "min_at": time(day.min_at.as_ref()),
    })
}

fn application(data: &ApplicationData) -> Value {
    let days = data.days.iter().map(|day| {
        json!({
            "day": day.day,
            "new_identifiers": day.new_identifiers,
            "deleted_identifiers": day.deleted_identifiers,
            "queries": day.queries,
            "successes": day.successes,
        })
    });
    json!({
        "prefix": data.prefix,
        "scheme": scheme(data.scheme()),
        "enterprise": data.enterprise,
        "identifiers": data.identifiers,
        "new_identifiers": data.new_identifiers,
        "deleted_identifiers": data.deleted_identifiers,
        "queries": data.queries,
        "successes": data.successes,
        "active_days": data.active_days,
        "days": days.collect::<Vec<_>>(),
    })
}

fn service(report: &ServiceReport) -> Value {
    json!({
        "due_at": time(report.due_at.as_ref()),
        "month_s": report.month_s,
        "uptime_s": report.uptime_s,
        "available_s": report.available_s,
        "availability": report.availability,
        "registration": report.registration.as_ref().map(latency),
        "resolution": report.resolution.as_ref().map(latency),
        "effect": report.effect.as_ref().map(latency),
        "registrations": report.registrations,
        "queries": report.queries,
        "maintenance": report.maintenance.iter().map(downtime).collect::<Vec<_>>(),
        "outages": report.outages.iter().map(downtime).collect::<Vec<_>>(),
        "incidents": report.incidents.iter().map(incident).collect::<Vec<_>>(),
    })
}

fn downtime(downtime: &Downtime) -> Value {
    json!({
        "begins_at": time(downtime.begins_at.as_ref()),
        "ends_at": time(downtime.ends_at.as_ref()),
    })
}

fn incident(incident: &Incident) -> Value {
    json!({
        "number": incident.number,
        "type": incident.r#type,
        "begins_at": time(incident.begins_at.as_ref()),
        "ends_at": time(incident.ends_at.as_ref()),
        "cause": incident.cause,
    })
}
