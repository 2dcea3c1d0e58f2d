//! Who may have transfers, and who is told of changes, as the configuration writes it.

use super::super::tsig::{Key, Keys, key_name};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// An entry of a list that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// It has more or other parts than it may.
    #[error("{0:?} is not of the form {1}")]
    Form(String, &'static str),
    /// The address or network is none.
    #[error("{0:?} is no address or network such as 192.0.2.0/24 or 2001:db8::/32")]
    Network(String),
    /// The address is none, or has no port.
    #[error("{0:?} is no address with a port such as 192.0.2.1:53 or [2001:db8::1]:53")]
    Address(String),
    /// The key's name is no domain name.
    #[error("{0:?} is no name of a key")]
    KeyName(String),
    /// There is no key of that name.
    #[error("there is no key {0}")]
    NoSuchKey(String),
}

/// What begins the name of a key.
const KEY: &str = "key:";

/// Who may have transfers: everybody from a network, whoever signs with a key, or whoever does
/// both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    network: Option<IpNet>,
    key: Option<KeyName>,
}

/// A key's name as it is written, and on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyName {
    text: String,
    wire: Vec<u8>,
}

impl KeyName {
    fn parse(text: &str) -> Result<Self, BadEntry> {
        let wire = key_name(text).ok_or_else(|| BadEntry::KeyName(text.to_owned()))?;
        let text = text.to_owned();
        Ok(Self { text, wire })
    }

    fn find(&self, keys: &Keys) -> Result<Arc<Key>, BadEntry> {
        let key = keys.named(&self.wire).cloned();
        key.ok_or_else(|| BadEntry::NoSuchKey(self.text.clone()))
    }
}

impl Allowed {
    /// How an entry is written.
    const FORM: &'static str = "network, key:name, or both with a space between";

    /// Reads `192.0.2.0/24`, `key:name` or `192.0.2.0/24 key:name`.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse(text: &str) -> Result<Self, BadEntry> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let (network, key) = match parts[..] {
            [key] if key.starts_with(KEY) => (None, Some(key)),
            [network] => (Some(network), None),
            [network, key] => (Some(network), Some(key)),
            _ => return Err(BadEntry::Form(text.to_owned(), Self::FORM)),
        };
        let key = match key.map(|key| key.strip_prefix(KEY)) {
            None => None,
            Some(Some(name)) => Some(KeyName::parse(name)?),
            Some(None) => return Err(BadEntry::Form(text.to_owned(), Self::FORM)),
        };
        Ok(Self {
            network: network.map(self::network).transpose()?,
            key,
        })
    }

    /// Whether its key is there.
    ///
    /// # Errors
    /// [`BadEntry::NoSuchKey`].
    pub(in super::super) fn check(&self, keys: &Keys) -> Result<(), BadEntry> {
        match &self.key {
            Some(key) => key.find(keys).map(drop),
            None => Ok(()),
        }
    }

    /// Whether it lets somebody in; `key`: the name on the wire of the key a query is signed
    /// with.
    pub(super) fn admits(&self, address: IpAddr, key: Option<&[u8]>) -> bool {
        // The dual-stack socket's form of an IPv4 address is that address.
        let address = address.to_canonical();
        self.network
            .is_none_or(|network| network.contains(&address))
            && self.key.as_ref().is_none_or(|own| key == Some(&own.wire))
    }
}

/// A secondary that is told of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secondary {
    pub(super) address: SocketAddr,
    key: Option<KeyName>,
}

impl Secondary {
    /// How an entry is written.
    const FORM: &'static str = "address:port or address:port key:name";

    /// Reads `192.0.2.1:53` or `192.0.2.1:53 key:name`.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse(text: &str) -> Result<Self, BadEntry> {
        let form = || BadEntry::Form(text.to_owned(), Self::FORM);
        let parts: Vec<&str> = text.split_whitespace().collect();
        let (address, key) = match parts[..] {
            [address] => (address, None),
            [address, key] => (address, Some(key.strip_prefix(KEY).ok_or_else(form)?)),
            _ => return Err(form()),
        };
        let address: Option<SocketAddr> = address.parse().ok();
        let address = address.filter(|address| address.port() != 0);
        Ok(Self {
            address: address.ok_or_else(|| BadEntry::Address(text.to_owned()))?,
            key: key.map(KeyName::parse).transpose()?,
        })
    }

    /// The key that is shared with it.
    ///
    /// # Errors
    /// [`BadEntry::NoSuchKey`].
    pub(in super::super) fn key(&self, keys: &Keys) -> Result<Option<Arc<Key>>, BadEntry> {
        self.key.as_ref().map(|key| key.find(keys)).transpose()
    }
}

fn network(text: &str) -> Result<IpNet, BadEntry> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse().or_else(|_| address());
    network.map_err(|_| BadEntry::Network(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn networks_and_keys_let_in_whom_they_name() {
        let admits = |entry: &str, address: &str, key: Option<&str>| {
            let key = key.map(|key| key_name(key).unwrap());
            Allowed::parse(entry)
                .unwrap()
                .admits(address.parse().unwrap(), key.as_deref())
        };
        assert!(admits("192.0.2.0/24", "192.0.2.255", None));
        assert!(admits("192.0.2.0/24", "::ffff:192.0.2.1", Some("any")));
        assert!(!admits("192.0.2.0/24", "192.0.3.0", None));
        assert!(admits("192.0.2.1", "192.0.2.1", None));
        assert!(!admits("192.0.2.1", "192.0.2.2", None));
        assert!(admits("0.0.0.0/0", "203.0.113.9", None));
        assert!(!admits("0.0.0.0/0", "2001:db8::1", None));
        assert!(admits("2001:db8::/33", "2001:db8:7fff::1", None));
        assert!(!admits("2001:db8::/33", "2001:db8:8000::1", None));
        assert!(admits("key:One.", "192.0.2.1", Some("one")));
        assert!(!admits("key:one", "192.0.2.1", Some("two")));
        assert!(!admits("key:one", "192.0.2.1", None));
        assert!(admits("192.0.2.0/24 key:one", "192.0.2.1", Some("one")));
        assert!(!admits("192.0.2.0/24 key:one", "192.0.2.1", None));
        assert!(!admits("192.0.2.0/24 key:one", "192.0.3.1", Some("one")));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (entry, text) in [
            ("", "is not of the form"),
            ("192.0.2.0/24 key:a key:b", "is not of the form"),
            ("192.0.2.0/24 one", "is not of the form"),
            ("192.0.2.0/33", "is no address or network"),
            ("192.0.2/24", "is no address or network"),
            ("host", "is no address or network"),
            ("key:a..b", "is no name of a key"),
        ] {
            let error = Allowed::parse(entry).unwrap_err().to_string();
            assert!(error.contains(text), "{entry}: {error}");
        }
        for (entry, text) in [
            ("192.0.2.1", "is no address with a port"),
            ("192.0.2.1:0", "is no address with a port"),
            ("192.0.2.1:53 one", "is not of the form"),
            ("192.0.2.1:53 key:", "is no name of a key"),
        ] {
            let error = Secondary::parse(entry).unwrap_err().to_string();
            assert!(error.contains(text), "{entry}: {error}");
        }
        let keys = Keys::new(vec![Key::parse("one:hmac-sha256:AAAA").unwrap()]).unwrap();
        let secondary = Secondary::parse("[2001:db8::1]:53 key:ONE").unwrap();
        assert!(secondary.key(&keys).unwrap().is_some());
        let unknown = Allowed::parse("key:two").unwrap().check(&keys);
        assert_eq!(unknown, Err(BadEntry::NoSuchKey("two".into())));
    }
}
