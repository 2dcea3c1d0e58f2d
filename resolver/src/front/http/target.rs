//! Where a redirect leads: to what an identifier's URL value says, or to the node that its
//! prefix is delegated to. Nothing of the request but the identifier itself ends up there.

use super::peer::Peer;
use axum::http::HeaderValue;
use axum::http::header;
use axum::http::request::Parts;
use idnode_proto::handle::site::{Interface, InterfaceProtocol};
use idnode_registry::prefix::PrefixRecord;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// Longest Location, bytes; clients take no longer header field.
const MAX_LOCATION_BYTES: usize = 8 << 10;

/// What a URI can't hold (RFC 3986 §2). '%' stays: the URL was registered encoded.
const NOT_IN_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a path segment of an identifier is encoded with to be read back as it is.
const NOT_IN_PATH: &AsciiSet = &NOT_IN_URI.add(b'%').add(b'?').add(b'#').add(b'[').add(b']');

/// Why a URL value is not redirected to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unusable {
    /// It is not text.
    #[error("is not UTF-8")]
    NotText,
    /// It has no scheme.
    #[error("is no absolute URL")]
    NotAbsolute,
    /// The operator lets nobody be sent there.
    #[error("has the scheme {0:.40}, which this node does not redirect to")]
    Scheme(String),
    /// It does not fit a header field.
    #[error("is {0} bytes encoded, at most {MAX_LOCATION_BYTES} are redirected to")]
    TooLong(usize),
}

/// The Location for a URL value's data: trimmed, with everything encoded that a header field or
/// a URI can't hold.
pub(super) fn of_url(data: &[u8], schemes: &[String]) -> Result<HeaderValue, Unusable> {
    let url = std::str::from_utf8(data)
        .map_err(|_| Unusable::NotText)?
        .trim();
    let (scheme, rest) = url.split_once(':').ok_or(Unusable::NotAbsolute)?;
    let well_formed = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'));
    if !well_formed {
        return Err(Unusable::NotAbsolute);
    }
    if !schemes
        .iter()
        .any(|allowed| scheme.eq_ignore_ascii_case(allowed))
    {
        return Err(Unusable::Scheme(scheme.to_owned()));
    }
    let hierarchical = ["http", "https"]
        .iter()
        .any(|http| scheme.eq_ignore_ascii_case(http));
    let host = rest
        .strip_prefix("//")
        .is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#', '\\']));
    if hierarchical && !host {
        return Err(Unusable::NotAbsolute);
    }
    let location = utf8_percent_encode(url, NOT_IN_URI).to_string();
    if location.len() > MAX_LOCATION_BYTES {
        return Err(Unusable::TooLong(location.len()));
    }
    HeaderValue::try_from(location).map_err(|_| Unusable::NotText)
}

/// Whether who sent this should be sent on to HTTPS where there is a choice: over TLS already, or
/// with a credential that another node should not get in clear.
pub(super) fn prefers_https(parts: &Parts) -> bool {
    let encrypted = parts
        .extensions
        .get::<Peer>()
        .is_some_and(|it| it.encrypted);
    encrypted || parts.headers.contains_key(header::AUTHORIZATION)
}

/// The address of the first HTTP interface for queries among a delegation's sites, `http://…`
/// before `https://…` unless that is preferred, without a final slash.
pub(super) fn of_delegation(record: &PrefixRecord, prefers_https: bool) -> Option<String> {
    let sites: Vec<_> = record.delegation.as_ref()?.decoded_sites().collect();
    let speaks = |protocol: InterfaceProtocol| {
        let wanted =
            move |interface: &&Interface| interface.query && interface.protocol == protocol;
        sites
            .iter()
            .flat_map(|site| &site.servers)
            .find_map(|server| {
                let interface = server.interfaces.iter().find(wanted)?;
                reachable(server.address).then(|| SocketAddr::new(server.address, interface.port))
            })
    };
    let http = speaks(InterfaceProtocol::Http).map(|address| format!("http://{address}"));
    let https = speaks(InterfaceProtocol::Https).map(|address| format!("https://{address}"));
    if prefers_https {
        https.or(http)
    } else {
        http.or(https)
    }
}

fn reachable(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}

/// A Location from the address of a node, a path and a query of this request: no longer than
/// a URI that is taken, and already ASCII where HTTP's grammar was kept.
pub(super) fn at_node(address: &str, path: &str, query: Option<&str>) -> Option<HeaderValue> {
    let mut location = format!("{address}{}", utf8_percent_encode(path, NOT_IN_URI));
    if let Some(query) = query {
        location.push('?');
        location.extend(utf8_percent_encode(query, NOT_IN_URI));
    }
    HeaderValue::try_from(location).ok()
}

/// An identifier's text as the rest of a path.
pub(super) fn as_path(identifier: &str) -> String {
    utf8_percent_encode(identifier, NOT_IN_PATH).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn location(url: &str) -> Result<String, Unusable> {
        let schemes = ["http".to_owned(), "https".to_owned()];
        of_url(url.as_bytes(), &schemes).map(|location| location.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_url_is_sent_as_registered_where_it_can_be() {
        let same = "https://example.com:8443/a%20b/%E4?x=1&y=[2]#z";
        assert_eq!(location(same).unwrap(), same);
        assert_eq!(
            location(" HTTP://example.com/\n").unwrap(),
            "HTTP://example.com/"
        );
        assert_eq!(
            location("http://例.cn/产 品").unwrap(),
            "http://%E4%BE%8B.cn/%E4%BA%A7%20%E5%93%81"
        );
        assert_eq!(
            location("http://e.com/\r\nset-cookie: a=b\0").unwrap(),
            "http://e.com/%0D%0Aset-cookie:%20a=b%00"
        );
    }

    #[test]
    fn nothing_but_allowed_absolute_urls_is_redirected_to() {
        for url in ["javascript:alert(1)", "data:text/html,x", "FTP://e.com/"] {
            assert!(matches!(location(url), Err(Unusable::Scheme(_))), "{url}");
        }
        for url in [
            "",
            "/a",
            "//e.com",
            "e.com",
            "http:",
            "http:e.com",
            "http:///e.com",
            "java\nscript:x",
            ":x",
            "http://\\e",
        ] {
            assert_eq!(location(url), Err(Unusable::NotAbsolute), "{url}");
        }
        assert_eq!(
            of_url(b"http://\xff/", &["http".into()]),
            Err(Unusable::NotText)
        );
        assert_eq!(
            location(&format!("http://e.com/{}", "产".repeat(3_000))),
            Err(Unusable::TooLong(27_013))
        );
    }
}
