//! What each key allows beyond its type.

use std::collections::BTreeSet;

use super::error::Problem;
use super::value::{self, Value};
use crate::front::dns::{Allowed, Key, Secondary};
use idnode_proto::identifier::Prefix;
use idnode_proto::trust::ValueName;

/// Bytes of a zone's name in text form: leaves 150 of DNS's 255 for an identifier's labels.
pub const ZONE_NAME_BYTES: usize = 100;

/// Bytes of any domain name in text form with its final dot (255 on the wire, RFC 1035 §2.3.4).
const NAME_BYTES: usize = 254;

/// Entries of most lists.
pub(super) const LIST_ITEMS: usize = 16;

/// Entries of a list of networks.
pub(super) const NETWORKS: usize = 1_024;
/// Entries of a list of prefixes of any scheme.
pub(super) const PREFIXES: usize = 64;

/// What a key allows: one text for people, one check for the machine.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What is allowed, as documentation and errors put it.
    pub allowed: &'static str,
    /// The check behind it.
    pub check: Check,
}

/// The check of a rule.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Nothing beyond the type.
    Nothing,
    /// An integer between two bounds, both included.
    Range(i128, i128),
    /// A text; the error says which part is wrong.
    Text(fn(&str) -> Result<(), String>),
    /// Every entry of a list of at most so many, none twice.
    Each(usize, fn(&str) -> Result<(), String>),
    /// Every entry of a list of at most 16 secrets, which no error repeats.
    EachSecret(fn(&str) -> Result<(), String>),
}

impl Rule {
    /// Checks a value that already has the key's type.
    pub fn check(&self, value: &Value) -> Result<(), Problem> {
        let refused = |why| Problem::Refused {
            why,
            allowed: self.allowed,
        };
        match (self.check, value) {
            (Check::Range(least, most), Value::Integer(number))
                if !(least..=most).contains(number) =>
            {
                Err(Problem::OutOfRange {
                    value: number.to_string(),
                    allowed: self.allowed,
                })
            }
            (Check::Text(check), Value::Text(text)) => check(text).map_err(refused),
            (Check::Each(most, check), Value::List(items)) => {
                each(most, check, items).map_err(refused)
            }
            (Check::EachSecret(check), Value::List(items)) => few(LIST_ITEMS, items)
                .and_then(|()| items.iter().try_for_each(|item| check(item)))
                .map_err(refused),
            _ => Ok(()),
        }
    }
}

fn few(most: usize, items: &[String]) -> Result<(), String> {
    if items.len() > most {
        return Err(format!("{} entries are too many", items.len()));
    }
    Ok(())
}

fn each(
    most: usize,
    check: fn(&str) -> Result<(), String>,
    items: &[String],
) -> Result<(), String> {
    few(most, items)?;
    let mut seen = BTreeSet::new();
    for item in items {
        check(item)?;
        if !seen.insert(item.to_ascii_lowercase()) {
            return Err(format!("{item:?} is listed twice"));
        }
    }
    Ok(())
}

/// The text of what a rule allows. A macro, so that the table's doc comments can hold it.
macro_rules! allowed {
    (true or false) => { "true or false" };
    (node_id) => { "1 to 64 letters, digits, '.', '_' or '-'" };
    (path) => { "a path of 1 to 4096 bytes" };
    (listen) => { "an IP address and port such as 127.0.0.1:2643, IPv6 in brackets; port 0 takes any free port" };
    (listen or off) => { "an IP address and port, IPv6 in brackets, port 0 taking any free port; or \"\": off" };
    (path or none) => { "a path of at most 4096 bytes, or \"\"" };
    (zone) => { "a domain name of at most 100 bytes that ends in a dot; the node's three zones must not contain one another" };
    (mailbox) => { "a domain name that ends in a dot, or \"\"" };
    (names) => { "at most 16 domain names that end in a dot" };
    (addresses) => { "at most 16 IP addresses" };
    (public_url) => { "an http or https URL without '?', '#' or a final '/', or \"\"" };
    (schemes) => { "at most 16 URL schemes in lower case, none that runs code or reads files (RFC 3986 section 3.1)" };
    (language) => { "a language tag of 2 to 35 letters, digits and '-' (RFC 5646)" };
    (networks) => { "at most 1024 networks such as 192.0.2.0/24 or 2001:db8::/32, or addresses" };
    (endpoints) => { "at most 16 IP addresses and ports such as 192.0.2.1:2641, IPv6 in brackets" };
    (nsid) => { "at most 128 printable ASCII characters" };
    (cookie_secret) => { "32 hexadecimal digits, or \"\"" };
    (tsig_keys) => { "at most 16 keys name:algorithm:base64, the algorithm hmac-sha256, hmac-sha384, hmac-sha512, hmac-sha224 or hmac-sha1" };
    (key_file) => { "a path of at most 4096 bytes, or \"\"" };
    (allowed) => { "at most 16 entries such as \"192.0.2.0/24\", \"key:name\" or \"192.0.2.0/24 key:name\"" };
    (secondaries) => { "at most 16 entries such as \"192.0.2.1:53\" or \"192.0.2.1:53 key:name\"" };
    (value name or none) => { "an index and a handle such as \"300:0.NA/88.118.8\", or \"\"" };
    (value names) => { "at most 16 entries such as \"400:0.NA/88.118.8\"" };
    (own prefixes) => { "at most 16 prefixes such as \"88.118\"" };
    (any prefixes) => { "at most 64 prefixes such as \"oid:1.2.156.3001\" or \"gs1:6901234\"" };
    (certificate type) => { "\"social-credit-code\" or \"other\"" };
    (token or none) => { "at most 255 printable ASCII characters without spaces" };
    (words) => { "at most 256 bytes of text" };
    (host and port or none) => { "a host and port such as reports.example.org:7443, or \"\"" };
    (own prefix or none) => { "a prefix such as \"88.118\", or \"\"" };
    (epp server) => { "a host and port such as bms.example.org:700, an http or https URL, or \"\"" };
    (sftp server) => { "a host and port such as escrow.example.org:22, or \"\"" };
    (host key) => { "a key type and its base64 such as \"ssh-ed25519 AAAA...\", or \"\"" };
    (time of day) => { "hours and minutes such as \"08:00\"" };
    (compression) => { "\"zip\" or \"zstd\"" };
    (directives) => { "a level (off, error, warn, info, debug, trace), then module=level, separated by commas" };
    (format) => { "\"text\" or \"json\"" };
    ($least:literal to $most:literal) => { concat!($least, " to ", $most) };
    ($least:literal to $most:literal $unit:ident) => {
        concat!($least, " to ", $most, " ", stringify!($unit))
    };
}
pub(super) use allowed;

/// The rule of the same name in [`allowed!`].
macro_rules! rule {
    (@check true or false) => { $crate::config::rule::Check::Nothing };
    (@check node_id) => { $crate::config::rule::Check::Text($crate::config::rule::node_id) };
    (@check path) => { $crate::config::rule::Check::Text($crate::config::rule::path) };
    (@check listen) => { $crate::config::rule::Check::Text($crate::config::rule::listen) };
    (@check listen or off) => { $crate::config::rule::Check::Text($crate::config::rule::optional_listen) };
    (@check path or none) => { $crate::config::rule::Check::Text($crate::config::rule::optional_path) };
    (@check zone) => { $crate::config::rule::Check::Text($crate::config::rule::zone) };
    (@check mailbox) => { $crate::config::rule::Check::Text($crate::config::rule::mailbox) };
    (@check names) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::name) };
    (@check addresses) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::address) };
    (@check public_url) => { $crate::config::rule::Check::Text($crate::config::rule::public_url) };
    (@check schemes) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::scheme) };
    (@check language) => { $crate::config::rule::Check::Text($crate::config::rule::language) };
    (@check networks) => { $crate::config::rule::Check::Each($crate::config::rule::NETWORKS, $crate::config::rule::network) };
    (@check endpoints) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::endpoint) };
    (@check nsid) => { $crate::config::rule::Check::Text($crate::config::rule::nsid) };
    (@check cookie_secret) => { $crate::config::rule::Check::Text($crate::config::rule::cookie_secret) };
    (@check tsig_keys) => { $crate::config::rule::Check::EachSecret($crate::config::rule::tsig_key) };
    (@check key_file) => { $crate::config::rule::Check::Text($crate::config::rule::key_file) };
    (@check allowed) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::allowed_transfer) };
    (@check secondaries) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::secondary) };
    (@check value name or none) => { $crate::config::rule::Check::Text($crate::config::rule::optional_value_name) };
    (@check value names) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::value_name) };
    (@check own prefixes) => { $crate::config::rule::Check::Each($crate::config::rule::LIST_ITEMS, $crate::config::rule::own_prefix) };
    (@check any prefixes) => { $crate::config::rule::Check::Each($crate::config::rule::PREFIXES, $crate::config::rule::any_prefix) };
    (@check certificate type) => { $crate::config::rule::Check::Text($crate::config::rule::certificate_type) };
    (@check token or none) => { $crate::config::rule::Check::Text($crate::config::rule::optional_token) };
    (@check words) => { $crate::config::rule::Check::Text($crate::config::rule::words) };
    (@check host and port or none) => { $crate::config::rule::Check::Text($crate::config::rule::host_and_port) };
    (@check own prefix or none) => { $crate::config::rule::Check::Text($crate::config::rule::optional_prefix) };
    (@check epp server) => { $crate::config::rule::Check::Text($crate::config::rule::epp_server) };
    (@check sftp server) => { $crate::config::rule::Check::Text($crate::config::rule::sftp_server) };
    (@check host key) => { $crate::config::rule::Check::Text($crate::config::rule::host_key) };
    (@check time of day) => { $crate::config::rule::Check::Text($crate::config::rule::time_of_day) };
    (@check compression) => { $crate::config::rule::Check::Text($crate::config::rule::compression) };
    (@check directives) => { $crate::config::rule::Check::Text($crate::logging::check_directives) };
    (@check format) => { $crate::config::rule::Check::Text($crate::config::rule::format) };
    (@check $least:literal to $most:literal $($unit:ident)?) => {
        $crate::config::rule::Check::Range($least, $most)
    };
    ($($rule:tt)+) => {
        $crate::config::rule::Rule {
            allowed: $crate::config::rule::allowed!($($rule)+),
            check: $crate::config::rule::rule!(@check $($rule)+),
        }
    };
}
pub(super) use rule;

pub(super) fn node_id(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 64 {
        return Err(format!("{text:?} has {} bytes", text.len()));
    }
    match text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))
    {
        Some(odd) => Err(format!("{text:?} contains {odd:?}")),
        None => Ok(()),
    }
}

pub(super) fn path(text: &str) -> Result<(), String> {
    match text.len() {
        0 => Err("the path is empty".to_owned()),
        1..=4096 if !text.contains('\0') => Ok(()),
        1..=4096 => Err(format!("{text:?} contains a NUL")),
        length => Err(format!("the path has {length} bytes")),
    }
}

pub(super) fn optional_path(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { path(text) }
}

pub(super) fn listen(text: &str) -> Result<(), String> {
    value::parse_listen(text).map(drop)
}

pub(super) fn optional_listen(text: &str) -> Result<(), String> {
    value::parse_optional_listen(text).map(drop)
}

pub(super) fn format(text: &str) -> Result<(), String> {
    value::parse_format(text).map(drop)
}

pub(super) fn address(text: &str) -> Result<(), String> {
    value::parse_address(text).map(drop)
}

pub(super) fn endpoint(text: &str) -> Result<(), String> {
    match text.parse::<std::net::SocketAddr>() {
        Ok(endpoint) if endpoint.port() != 0 => Ok(()),
        _ => Err(format!("{text:?} is no IP address and port")),
    }
}

pub(super) fn network(text: &str) -> Result<(), String> {
    value::parse_network(text).map(drop)
}

pub(super) fn zone(text: &str) -> Result<(), String> {
    if text.len() > ZONE_NAME_BYTES {
        return Err(format!("{text:?} has {} bytes", text.len()));
    }
    name(text)
}

pub(super) fn mailbox(text: &str) -> Result<(), String> {
    if let Some((user, host)) = text.split_once('@') {
        return Err(format!(
            "{text:?} must be written as {:?}",
            format!("{user}.{host}.")
        ));
    }
    if text.is_empty() { Ok(()) } else { name(text) }
}

/// A domain name in the letters-digits-hyphen form (RFC 1123 §2.1) and `_` (RFC 8552).
pub(super) fn name(text: &str) -> Result<(), String> {
    let Some(labels) = text.strip_suffix('.') else {
        return Err(format!("{text:?} does not end in a dot"));
    };
    if text.len() > NAME_BYTES {
        return Err(format!("{text:?} has {} bytes", text.len()));
    }
    for label in labels.split('.') {
        if label.is_empty() {
            return Err(format!("{text:?} has an empty label"));
        }
        if label.len() > 63 {
            return Err(format!(
                "label {label:?} has {} bytes, more than 63",
                label.len()
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(format!("label {label:?} begins or ends with '-'"));
        }
        if let Some(odd) = label
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
        {
            return Err(format!("label {label:?} contains {odd:?}"));
        }
    }
    Ok(())
}

pub(super) fn public_url(text: &str) -> Result<(), String> {
    match text.contains('?') {
        true => Err(format!("{text:?} contains '?'")),
        false => url(text),
    }
}

/// A URL of HTTP, which may have a query.
fn url(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or_else(|| format!("{text:?} does not begin with http:// or https://"))?;
    if rest.is_empty() || rest.starts_with(['/', ':']) {
        return Err(format!("{text:?} has no host"));
    }
    if rest.ends_with('/') {
        return Err(format!("{text:?} ends in '/'"));
    }
    let is_odd =
        |c: &char| !c.is_ascii_graphic() || matches!(c, '#' | '@' | '"' | '<' | '>' | '\\');
    match rest.chars().find(is_odd) {
        Some(odd) => Err(format!("{text:?} contains {odd:?}")),
        None => Ok(()),
    }
}

pub(super) fn scheme(text: &str) -> Result<(), String> {
    // A browser that follows a redirect to one of these runs or reads what a registrant wrote.
    if matches!(
        text,
        "javascript" | "vbscript" | "data" | "file" | "blob" | "filesystem"
    ) {
        return Err(format!("{text:?} is not a scheme to redirect to"));
    }
    let is_part =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
    let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins_well || text.len() > 32 || !text.chars().all(is_part) {
        return Err(format!("{text:?} is not a URL scheme in lower case"));
    }
    Ok(())
}

pub(super) fn language(text: &str) -> Result<(), String> {
    let is_subtag = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if !(2..=35).contains(&text.len()) || !begins_well || !text.split('-').all(is_subtag) {
        return Err(format!("{text:?} is no language tag"));
    }
    Ok(())
}

pub(super) fn nsid(text: &str) -> Result<(), String> {
    if text.len() > 128 {
        return Err(format!("the text has {} bytes", text.len()));
    }
    match text.chars().find(|c| !matches!(c, ' '..='~')) {
        Some(odd) => Err(format!("{text:?} contains {odd:?}")),
        None => Ok(()),
    }
}

/// The text is a secret: errors do not repeat it.
pub(super) fn cookie_secret(text: &str) -> Result<(), String> {
    if text.is_empty() || value::parse_cookie_secret(text).is_some() {
        return Ok(());
    }
    Err(format!(
        "the text of {} bytes is no secret of 16 bytes",
        text.len()
    ))
}

/// The text is a secret: errors do not repeat it.
pub(super) fn tsig_key(text: &str) -> Result<(), String> {
    Key::parse(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

pub(super) fn key_file(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { path(text) }
}

pub(super) fn value_name(text: &str) -> Result<(), String> {
    let name = text.parse::<ValueName>();
    name.map(drop).map_err(|error| format!("{text:?} {error}"))
}

pub(super) fn optional_value_name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Ok(())
    } else {
        value_name(text)
    }
}

pub(super) fn allowed_transfer(text: &str) -> Result<(), String> {
    let entry = Allowed::parse(text);
    entry.map(drop).map_err(|error| error.to_string())
}

pub(super) fn secondary(text: &str) -> Result<(), String> {
    let entry = Secondary::parse(text);
    entry.map(drop).map_err(|error| error.to_string())
}

pub(super) fn own_prefix(text: &str) -> Result<(), String> {
    let prefix = Prefix::parse(text);
    prefix.map(drop).map_err(|error| error.to_string())
}

pub(super) fn optional_token(text: &str) -> Result<(), String> {
    if text.len() > 255 {
        return Err(format!("the text has {} bytes", text.len()));
    }
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        Some(odd) => Err(format!("{text:?} contains {odd:?}")),
        None => Ok(()),
    }
}

pub(super) fn any_prefix(text: &str) -> Result<(), String> {
    let parsed = Prefix::parse(text);
    parsed
        .map(drop)
        .map_err(|error| format!("{text:?}: {error}"))
}

pub(super) fn certificate_type(text: &str) -> Result<(), String> {
    match crate::upward::routes::certificate_type(text) {
        Some(_) => Ok(()),
        None => Err(format!("{text:?} is neither")),
    }
}

pub(super) fn words(text: &str) -> Result<(), String> {
    if text.len() > 256 {
        return Err(format!("the text has {} bytes", text.len()));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(odd) => Err(format!("{text:?} contains {odd:?}")),
        None => Ok(()),
    }
}

/// A host and port, or a URL; what is in neither form is told by the one that was meant.
pub(super) fn epp_server(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if text.contains("://") {
        return url(text.strip_suffix('/').unwrap_or(text));
    }
    host_and_port(text)
}

pub(super) fn optional_prefix(text: &str) -> Result<(), String> {
    match text {
        "" => Ok(()),
        text => own_prefix(text),
    }
}

pub(super) fn host_and_port(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("{text:?} has no port"))?;
    if port.parse::<u16>().map_or(true, |port| port == 0) {
        return Err(format!("{port:?} is no port"));
    }
    match host.trim_start_matches('[').trim_end_matches(']') {
        "" => Err(format!("{text:?} has no host")),
        host => optional_token(host),
    }
}

pub(super) fn sftp_server(text: &str) -> Result<(), String> {
    match text.contains("://") {
        true => Err(format!("{text:?} is a URL, not a host and port")),
        false => epp_server(text),
    }
}

pub(super) fn host_key(text: &str) -> Result<(), String> {
    match text.is_empty() {
        true => Ok(()),
        false => crate::upward::escrow::host_key(text).map(drop),
    }
}

pub(super) fn time_of_day(text: &str) -> Result<(), String> {
    let minutes = crate::upward::escrow::minutes(text);
    minutes
        .map(drop)
        .ok_or_else(|| format!("{text:?} is no time of day"))
}

pub(super) fn compression(text: &str) -> Result<(), String> {
    match crate::upward::escrow::compression(text) {
        Some(_) => Ok(()),
        None => Err(format!("{text:?} is neither")),
    }
}
