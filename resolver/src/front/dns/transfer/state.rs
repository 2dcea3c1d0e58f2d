//! Since when the zones are made in the way they are now: name servers, addresses, times and
//! the node's own site are in the zones without being in the log. A difference to what was
//! before they changed cannot be told; who has that gets the whole zone.

use super::super::DnsOptions;
use crate::front::Core;
use data_encoding::HEXLOWER;
use idnode_registry::Sequence;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// How records are made of what is registered; to be raised when that changes.
const FORMAT: u32 = 1;

/// What is in the zones without being in the log, as one hash.
pub(super) fn fingerprint(core: &Core, options: &DnsOptions, addresses: &[IpAddr]) -> String {
    let text = format!(
        "{FORMAT} {:?} {:?} {:?} {:?} {:?} {:?}",
        core.zones,
        options.name_servers,
        options.soa_rname,
        [
            options.refresh_s,
            options.retry_s,
            options.expire_s,
            options.default_ttl_s,
            options.negative_ttl_s
        ],
        addresses,
        core.resolver.own_site(),
    );
    HEXLOWER.encode(&Sha256::digest(text))
}

/// The place in the log from which on differences can be told: where the log was when a node
/// first ran with this fingerprint. It is kept in a file; without one it is `now`.
///
/// # Errors
/// The file cannot be written.
pub(super) fn unchanged_since(
    file: Option<&Path>,
    fingerprint: &str,
    now: Sequence,
) -> io::Result<Sequence> {
    let Some(file) = file else {
        return Ok(now);
    };
    if let Some((kept, since)) = read(file)
        && kept == fingerprint
        && since <= now
    {
        return Ok(since);
    }
    let new = file.with_extension("new");
    fs::write(&new, format!("{fingerprint} {now}\n"))?;
    fs::rename(&new, file)?;
    Ok(now)
}

/// A damaged file is as good as none: at worst somebody gets a whole zone.
fn read(file: &Path) -> Option<(String, Sequence)> {
    let text = fs::read_to_string(file).ok()?;
    let (fingerprint, since) = text.trim().split_once(' ')?;
    Some((fingerprint.to_owned(), since.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_change_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zones");
        let since = |fingerprint, now| unchanged_since(Some(&file), fingerprint, now).unwrap();
        assert_eq!(since("a", 5), 5);
        assert_eq!(since("a", 9), 5);
        assert_eq!(since("b", 12), 12);
        assert_eq!(since("b", 20), 12);
        assert_eq!(since("a", 20), 20, "what was before is not remembered");
        assert_eq!(since("a", 7), 7, "the registry is another one");
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(since("a", 30), 30);
        assert_eq!(unchanged_since(None, "a", 3).unwrap(), 3);
    }
}
