//! Service bindings (RFC 9460): `SvcPriority TargetName SvcParams`.

use super::RdataError;
use super::chars::{Words, char_string, domain_name};
use data_encoding::BASE64;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Keys that have names (RFC 9460 §14.3.2, RFC 9848, RFC 9461, RFC 9540), by number.
const KEY_NAMES: [&str; 9] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
    "dohpath",
    "ohttp",
];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
const DOH_PATH: u16 = 7;
const OHTTP: u16 = 8;
/// No key (RFC 9460 §14.3.2).
const INVALID_KEY: u16 = u16::MAX;

type Params = BTreeMap<u16, Vec<u8>>;

/// Reads service binding data and gives it in wire form (RFC 9460 §2.2).
pub(super) fn read(text: &[u8], mut words: Words<'_>) -> Result<Vec<u8>, RdataError> {
    let word = words.next().ok_or(RdataError::Missing("the priority"))??;
    let priority = priority(text.get(word).unwrap_or_default())?;
    let word = words.next().ok_or(RdataError::Missing("the target"))??;
    let target = domain_name(text, &word)?;
    let mut params = Params::new();
    for word in words {
        let (key, written, value) = param(text, word?)?;
        if params.insert(key, value).is_some() {
            return Err(bad(&written, "it occurs twice"));
        }
    }
    check(priority, &params)?;
    let mut wire = priority.to_be_bytes().to_vec();
    wire.extend(target);
    // Ascending by key.
    for (key, value) in params {
        wire.extend(key.to_be_bytes());
        // Of a text of 4,096 bytes none is longer than that: `::,` are 16 bytes.
        wire.extend((value.len() as u16).to_be_bytes());
        wire.extend(value);
    }
    Ok(wire)
}

fn bad(key: &str, reason: &'static str) -> RdataError {
    RdataError::Parameter {
        key: key.to_owned(),
        reason,
    }
}

fn priority(word: &[u8]) -> Result<u16, RdataError> {
    decimal(word).ok_or_else(|| {
        let written = String::from_utf8_lossy(word);
        RdataError::Priority(written.chars().take(20).collect())
    })
}

/// A number as it must be written: digits alone.
fn decimal(text: &[u8]) -> Option<u16> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

/// One parameter: its key, the key as written, its value in wire form.
fn param(text: &[u8], word: Range<usize>) -> Result<(u16, String, Vec<u8>), RdataError> {
    let bytes = text.get(word.clone()).unwrap_or_default();
    let equals = bytes.iter().position(|byte| *byte == b'=');
    let key_bytes = bytes.get(..equals.unwrap_or(bytes.len()));
    let written = String::from_utf8_lossy(key_bytes.unwrap_or_default());
    let written: String = written.chars().take(80).collect();
    let key = key_of(&written).ok_or_else(|| bad(&written, "no key is called so"))?;
    let value = equals.map(|at| word.start + at + 1..word.end);
    let raw = value
        .as_ref()
        .map(|value| char_string(text, value))
        .transpose()?;
    let escaped = value.is_some_and(|value| text.get(value).unwrap_or_default().contains(&b'\\'));
    // RFC 9460 §7.2, 7.3, 8; RFC 9848 §3.
    if escaped && matches!(key, MANDATORY | PORT | IPV4_HINT | ECH | IPV6_HINT) {
        return Err(bad(&written, "its value may have no escapes"));
    }
    let value = value_of(key, raw).map_err(|reason| bad(&written, reason))?;
    Ok((key, written, value))
}

/// The number of a key: a name, or `key` and a number without leading zeros that has no name.
fn key_of(written: &str) -> Option<u16> {
    if let Some(number) = KEY_NAMES.iter().position(|name| *name == written) {
        return u16::try_from(number).ok();
    }
    let digits = written.strip_prefix("key")?;
    let number = decimal(digits.as_bytes()).filter(|_| !digits.starts_with('0'))?;
    (usize::from(number) >= KEY_NAMES.len() && number != INVALID_KEY).then_some(number)
}

fn value_of(key: u16, raw: Option<Vec<u8>>) -> Result<Vec<u8>, &'static str> {
    if matches!(key, NO_DEFAULT_ALPN | OHTTP) {
        return match raw {
            None => Ok(Vec::new()),
            Some(_) => Err("it takes no value"),
        };
    }
    let raw = raw.unwrap_or_default();
    if raw.is_empty() && usize::from(key) < KEY_NAMES.len() {
        return Err("it needs a value");
    }
    match key {
        MANDATORY => mandatory(&raw),
        ALPN => alpn(&raw),
        PORT => decimal(&raw)
            .map(|port| port.to_be_bytes().to_vec())
            .ok_or("its value is a number from 0 to 65535"),
        IPV4_HINT => addresses(&raw, |address: Ipv4Addr| address.octets().to_vec()),
        IPV6_HINT => addresses(&raw, |address: Ipv6Addr| address.octets().to_vec()),
        ECH => ech(&raw),
        DOH_PATH if std::str::from_utf8(&raw).is_err() => Err("its value is UTF-8"),
        _ => Ok(raw),
    }
}

/// Keys that a client must know, ascending (RFC 9460 §8).
fn mandatory(raw: &[u8]) -> Result<Vec<u8>, &'static str> {
    let names = raw.split(|byte| *byte == b',');
    let keys = names.map(|name| key_of(std::str::from_utf8(name).ok()?));
    let mut keys: Vec<u16> = keys
        .collect::<Option<_>>()
        .ok_or("its value is a list of keys")?;
    if keys.contains(&MANDATORY) {
        return Err("it may not name itself");
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("it names a key twice");
    }
    Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
}

/// Protocol names, each with its length before it (RFC 9460 §7.1.1).
fn alpn(raw: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut wire = Vec::with_capacity(raw.len() + 1);
    for id in comma_separated(raw).ok_or("in a list \\ is followed by \\ or a comma")? {
        let length = u8::try_from(id.len()).ok().filter(|length| *length > 0);
        wire.push(length.ok_or("a protocol's name has 1 to 255 bytes")?);
        wire.extend(id);
    }
    Ok(wire)
}

/// The items of a list in which commas and `\` are escaped (RFC 9460 appendix A.1).
fn comma_separated(raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut items, mut item) = (Vec::new(), Vec::new());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => item.push(*bytes.next().filter(|next| matches!(next, b'\\' | b','))?),
            b',' => items.push(std::mem::take(&mut item)),
            byte => item.push(*byte),
        }
    }
    items.push(item);
    Some(items)
}

/// Addresses, separated by commas (RFC 9460 §7.3).
fn addresses<A: std::str::FromStr>(
    raw: &[u8],
    octets: impl Fn(A) -> Vec<u8>,
) -> Result<Vec<u8>, &'static str> {
    let mut wire = Vec::with_capacity(raw.len());
    for text in raw.split(|byte| *byte == b',') {
        let address = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok());
        wire.extend(octets(
            address.ok_or("its value is a list of addresses of its family")?,
        ));
    }
    Ok(wire)
}

/// An ECHConfigList, which begins with its length (RFC 9848 §3).
fn ech(raw: &[u8]) -> Result<Vec<u8>, &'static str> {
    const REASON: &str = "its value is an ECHConfigList in base64";
    let list = BASE64.decode(raw).map_err(|_| REASON)?;
    let (length, rest) = list.split_first_chunk().ok_or(REASON)?;
    if usize::from(u16::from_be_bytes(*length)) != rest.len() || rest.is_empty() {
        return Err(REASON);
    }
    Ok(list)
}

/// Whether the parameters fit the priority and each other (RFC 9460 §2.4.2, 2.4.3, 7.1.1).
fn check(priority: u16, params: &Params) -> Result<(), RdataError> {
    if let Some((key, _)) = params.first_key_value().filter(|_| priority == 0) {
        return Err(bad(
            &key_name(*key),
            "an alias (priority 0) has no parameters",
        ));
    }
    if params.contains_key(&NO_DEFAULT_ALPN) && !params.contains_key(&ALPN) {
        return Err(bad("no-default-alpn", "it needs alpn beside it"));
    }
    let named = params
        .get(&MANDATORY)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut named = named.chunks_exact(2).map(|key| match key {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => INVALID_KEY,
    });
    match named.find(|key| !params.contains_key(key)) {
        Some(_) => Err(bad("mandatory", "it names a key that is not there")),
        None => Ok(()),
    }
}

fn key_name(key: u16) -> String {
    match KEY_NAMES.get(usize::from(key)) {
        Some(name) => (*name).to_owned(),
        None => format!("key{key}"),
    }
}
