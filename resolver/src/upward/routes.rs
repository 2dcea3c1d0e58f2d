//! What the configuration says of routes: who the node is, and what of its siblings is used.

use super::own_prefixes;
use crate::config::Config;
use crate::front::Core;
use crate::node::options::{networks, own_addresses};
use crate::node::{Addresses, NodeError};
use idnode_proto::api::{OperatorCertificateType, OperatorProfile};
use idnode_proto::identifier::Prefix;
use idnode_proto::routes::Ports;
use idnode_registry::upward::routes::{Own, Routes, SiblingRules};
use std::sync::Arc;

/// The type of certificate that a name of the configuration means.
pub(crate) fn certificate_type(name: &str) -> Option<OperatorCertificateType> {
    match name {
        "social-credit-code" => Some(OperatorCertificateType::SocialCreditCode),
        "other" => Some(OperatorCertificateType::Other),
        _ => None,
    }
}

/// The routes of a node whose streams are on: its siblings are known from here on.
pub(super) fn of(
    config: &Config,
    core: &Arc<Core>,
    at: &Addresses,
) -> Result<Option<Arc<Routes>>, NodeError> {
    if config.upward_sync.server.is_empty() {
        return Ok(None);
    }
    let rules = SiblingRules {
        node: config.node.id.clone(),
        own: own_prefixes(config),
        deny: networks(&config.handle.recursion_deny),
        allow: networks(&config.upward_routes.sibling_networks),
    };
    let (registry, uplink) = (core.registry.clone(), core.uplink.clone());
    let routes = Routes::open(registry, uplink, own(config, at), rules)?;
    Ok(Some(routes))
}

fn own(config: &Config, at: &Addresses) -> Own {
    let told = &config.upward_routes;
    // The configuration's rule has them read once already.
    let others = told.other_prefixes.iter();
    let others = others.filter_map(|text| Prefix::parse(text).ok());
    Own {
        node: config.node.id.clone(),
        operator: profile(config),
        prefixes: own_prefixes(config),
        other_prefixes: others.collect(),
        addresses: own_addresses(config).collect(),
        ports: Ports {
            handle_tcp: Some(at.handle.port()),
            handle_udp: Some(at.handle.port()),
            http: Some(at.http.port()),
            https: at.https.map(|it| it.port()),
            dns: Some(at.dns.port()),
        },
    }
}

fn profile(config: &Config) -> OperatorProfile {
    let told = &config.upward_routes;
    let certificate_type = match told.certificate_code.as_str() {
        "" => OperatorCertificateType::Unspecified,
        _ => certificate_type(&told.certificate_type).unwrap_or(OperatorCertificateType::Other),
    };
    OperatorProfile {
        name: config.upward.operator.clone(),
        certificate_type: certificate_type.into(),
        certificate_code: told.certificate_code.clone(),
        contact_name: told.contact_name.clone(),
        contact_email: told.contact_email.clone(),
        contact_phone: told.contact_phone.clone(),
        prefixes: Vec::new(),
        software: concat!("idnode ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}
