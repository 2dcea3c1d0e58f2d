//! What an announcement and a sibling must fulfil in themselves. Both sides hold them to the same:
//! the national node what nodes announce, a node what it is told of its siblings.

use super::endpoint::{Service, ip_type};
use super::{code_type, digest};
use crate::api::{
    Announcement, CodeType, OperatorCertificateType, OperatorProfile, ResolutionConfiguration,
    ResolutionEndpoint, Sibling,
};
use crate::identifier::{Prefix, Scheme};
use crate::report::{Flaw, millis};
use std::collections::HashSet;
use std::net::IpAddr;

/// Most prefixes of one node.
pub const MAX_CONFIGURATIONS: usize = 1_024;
/// Most endpoints of one prefix.
pub const MAX_ENDPOINTS: usize = 64;
/// Longest id of a node, bytes.
pub const MAX_NODE_BYTES: usize = 64;
/// Longest text of a profile, bytes.
const MAX_TEXT_BYTES: usize = 512;
/// Longest text of a prefix, bytes.
const MAX_PREFIX_BYTES: usize = 1_024;
/// Longest text of an address, bytes: an IPv6 address that is written out has 39.
const MAX_IP_BYTES: usize = 45;
/// How much of a text a reason repeats, characters.
const SHOWN_CHARS: usize = 64;

type Checked<T = ()> = Result<T, Flaw>;

/// Checks an announcement in itself; the prefixes that it configures then, in its order.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_announcement(announcement: &Announcement) -> Checked<Vec<Prefix>> {
    node("node", &announcement.node)?;
    let profile = announcement.operator.as_ref();
    let profile = profile.ok_or_else(|| Flaw::new("operator", "is missing"))?;
    check_profile(profile)?;
    let prefixes = check_configurations(&announcement.configurations)?;
    for (place, own) in profile.prefixes.iter().enumerate() {
        let field = format!("operator.prefixes[{place}]");
        let own = prefix(&field, own)?;
        if !prefixes.contains(&own) {
            return Err(Flaw::new(field, "has no configuration"));
        }
    }
    let made = announcement.made_at.as_ref();
    let made = made.ok_or_else(|| Flaw::new("made_at", "is missing"))?;
    millis(made).ok_or_else(|| Flaw::new("made_at", "is no time after 1970"))?;
    if announcement.digest != digest(announcement) {
        return Err(Flaw::new("digest", "is not that of the content"));
    }
    Ok(prefixes)
}

/// Checks what is told of a sibling in itself; its prefixes then, in its order.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_sibling(sibling: &Sibling) -> Checked<Vec<Prefix>> {
    node("node", &sibling.node)?;
    text("operator", &sibling.operator)?;
    check_configurations(&sibling.configurations)
}

fn check_profile(profile: &OperatorProfile) -> Checked {
    for (field, value) in [
        ("operator.name", &profile.name),
        ("operator.certificate_code", &profile.certificate_code),
        ("operator.contact_name", &profile.contact_name),
        ("operator.contact_email", &profile.contact_email),
        ("operator.contact_phone", &profile.contact_phone),
        ("operator.software", &profile.software),
    ] {
        text(field, value)?;
    }
    let is_known = OperatorCertificateType::try_from(profile.certificate_type).is_ok();
    let is_told = profile.certificate_type() != OperatorCertificateType::Unspecified;
    if !is_known || is_told == profile.certificate_code.is_empty() {
        let reason = "is there with a code of that type, and without one not";
        return Err(Flaw::new("operator.certificate_type", reason));
    }
    most(
        "operator.prefixes",
        profile.prefixes.len(),
        MAX_CONFIGURATIONS,
    )
}

fn check_configurations(configurations: &[ResolutionConfiguration]) -> Checked<Vec<Prefix>> {
    most("configurations", configurations.len(), MAX_CONFIGURATIONS)?;
    let (mut seen, mut prefixes) = (HashSet::new(), Vec::new());
    for (place, it) in configurations.iter().enumerate() {
        let at = |field: &str| format!("configurations[{place}].{field}");
        let prefix = prefix(&at("prefix"), &it.prefix)?;
        if it.code_type() == CodeType::Unspecified || it.code_type() != code_type(prefix.scheme()) {
            let reason = format!("is not that of {}", it.prefix);
            return Err(Flaw::new(at("code_type"), reason));
        }
        if !seen.insert(prefix.clone()) {
            return Err(Flaw::new(
                at("prefix"),
                format!("{} is there twice", it.prefix),
            ));
        }
        if it.endpoints.is_empty() {
            return Err(Flaw::new(at("endpoints"), "are missing"));
        }
        most(&at("endpoints"), it.endpoints.len(), MAX_ENDPOINTS)?;
        for (number, endpoint) in it.endpoints.iter().enumerate() {
            check_endpoint(endpoint).map_err(|flaw| Flaw {
                field: at(&format!("endpoints[{number}].{}", flaw.field)),
                ..flaw
            })?;
        }
        prefixes.push(prefix);
    }
    Ok(prefixes)
}

fn check_endpoint(endpoint: &ResolutionEndpoint) -> Checked {
    if Service::of(endpoint).is_none() {
        return Err(Flaw::new("service", "is none that is spoken so"));
    }
    let flaw = |reason| Flaw::new("ip", format!("{:?} {reason}", shortened(&endpoint.ip)));
    if endpoint.ip.len() > MAX_IP_BYTES {
        return Err(flaw("is no address"));
    }
    let ip: IpAddr = endpoint.ip.parse().map_err(|_| flaw("is no address"))?;
    if ip.is_unspecified() || ip.is_multicast() || is_broadcast(ip) {
        return Err(flaw("is no host's address"));
    }
    if endpoint.ip_type() != ip_type(ip) {
        return Err(Flaw::new("ip_type", "is not that of the address"));
    }
    if !(1..=65_535).contains(&endpoint.port) {
        let reason = format!("{} is none from 1 to 65535", endpoint.port);
        return Err(Flaw::new("port", reason));
    }
    Ok(())
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// A prefix in its canonical spelling: who compares texts must not be led astray.
fn prefix(field: &str, written: &str) -> Checked<Prefix> {
    if written.len() > MAX_PREFIX_BYTES {
        let reason = format!(
            "has {} bytes, at most {MAX_PREFIX_BYTES} are taken",
            written.len()
        );
        return Err(Flaw::new(field, reason));
    }
    let prefix = Prefix::parse(written)
        .map_err(|error| Flaw::new(field, format!("{:?}: {error}", shortened(written))))?;
    if prefix.canonical() != written {
        let reason = format!("{:?} is not canonical", shortened(written));
        return Err(Flaw::new(field, reason));
    }
    if is_of_authority(&prefix) {
        let reason = format!("{written} is the authority of prefixes");
        return Err(Flaw::new(field, reason));
    }
    Ok(prefix)
}

/// Whether a prefix is `0.NA` or above or below it: who held that would speak for every prefix.
fn is_of_authority(prefix: &Prefix) -> bool {
    let head = prefix.head();
    prefix.scheme() == Scheme::Handle && (head == b"0" || head.starts_with(b"0."))
}

fn node(field: &str, id: &str) -> Checked {
    if id.is_empty() || id.len() > MAX_NODE_BYTES || id.contains(char::is_control) {
        return Err(Flaw::new(
            field,
            format!("{:?} is no node's id", shortened(id)),
        ));
    }
    Ok(())
}

fn text(field: &str, value: &str) -> Checked {
    if value.len() > MAX_TEXT_BYTES {
        let reason = format!(
            "has {} bytes, at most {MAX_TEXT_BYTES} are taken",
            value.len()
        );
        return Err(Flaw::new(field, reason));
    }
    match value.contains(char::is_control) {
        true => Err(Flaw::new(field, "has control characters")),
        false => Ok(()),
    }
}

fn most(field: &str, count: usize, most: usize) -> Checked {
    if count > most {
        let reason = format!("are {count}, at most {most} are taken");
        return Err(Flaw::new(field, reason));
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}
