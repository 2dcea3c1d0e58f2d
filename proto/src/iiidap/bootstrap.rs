//! The bootstrap registry (AUTHORITY §3, §8): who is authoritative for which identifiers.

use super::MAX_DOCUMENT_BYTES;
use super::document::DocumentError;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Identifiers, and the base URLs of whoever answers for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service(
    /// Entry Array: prefixes in lower case.
    pub Vec<String>,
    /// Service URL Array: base URLs that end in a slash.
    pub Vec<String>,
);

/// The registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Version of its format: `1.0`.
    pub version: String,
    /// When it was last changed (RFC 3339).
    pub publication: String,
    /// A comment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Who answers for what.
    pub services: Vec<Service>,
}

impl Bootstrap {
    /// Version of the format that is defined.
    pub const VERSION: &str = "1.0";
    /// Longest base URL that is used, bytes.
    const MAX_URL_BYTES: usize = 2_048;

    /// Reads a registry. What is not known or cannot be used is left out (AUTHORITY §3): URLs of
    /// other schemes than HTTP's or without their final slash, services without an entry or a
    /// URL. Entries become lower case.
    ///
    /// # Errors
    /// It is too long, no JSON, or of another shape (AUTHORITY §8.2).
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLong(bytes.len()));
        }
        let mut read: Self = serde_json::from_slice(bytes)?;
        for Service(entries, urls) in &mut read.services {
            entries.retain(|entry| !entry.is_empty());
            for entry in entries {
                *entry = entry.to_lowercase();
            }
            urls.retain(|url| Self::is_base(url));
        }
        read.services
            .retain(|Service(entries, urls)| !entries.is_empty() && !urls.is_empty());
        Ok(read)
    }

    /// Whether something is a base URL.
    fn is_base(url: &str) -> bool {
        let host = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let named = host.is_some_and(|host| !host.starts_with(['/', ':', '?', '#']));
        let whole = url.ends_with('/') && url.len() <= Self::MAX_URL_BYTES;
        let odd = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}?#@".contains(&byte);
        named && whole && !url.bytes().any(odd)
    }

    /// Who is authoritative for a prefix: the entry that has the most labels of those that its
    /// labels begin with, and the first base URL there is for it, HTTPS before HTTP (AUTHORITY
    /// §3). The draft's "from right to left" is that of domain names, from which its text is made;
    /// its example goes from the left, as prefixes do.
    pub fn authority<'a>(&'a self, prefix: &str) -> Option<Authority<'a>> {
        let prefix = prefix.to_lowercase();
        let matches = self.services.iter().flat_map(|Service(entries, urls)| {
            let covering = entries.iter().filter(|entry| covers(entry, &prefix));
            covering.map(move |entry| Authority { entry, urls })
        });
        // Of equals the first (AUTHORITY §3: they are equivalent).
        matches.reduce(
            |best, next| match labels(next.entry).cmp(&labels(best.entry)) {
                Ordering::Greater => next,
                _ => best,
            },
        )
    }
}

/// How many labels a prefix has.
pub fn labels(prefix: &str) -> usize {
    prefix.split('.').count()
}

/// Whether one prefix is, label by label, the beginning of another.
fn covers(entry: &str, prefix: &str) -> bool {
    prefix
        .strip_prefix(entry)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// An entry of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The prefix, in lower case.
    pub entry: &'a str,
    urls: &'a [String],
}

impl Authority<'_> {
    /// The base URL to use.
    pub fn base(&self) -> Option<&str> {
        let secure = self.urls.iter().find(|url| url.starts_with("https://"));
        secure.or(self.urls.first()).map(String::as_str)
    }
}
