//! The texts inside the records: what TXT says of a value, URIs as DNS may carry them, and the
//! service fields of NAPTR.

use data_encoding::BASE64;
use idnode_proto::dnsname::ZoneKind;
use idnode_proto::handle::site::InterfaceProtocol;
use idnode_proto::value::{ValueRef, types};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use std::net::{IpAddr, SocketAddr};

/// Longest character string of a record (RFC 1035 §3.3).
pub(super) const MAX_STRING_BYTES: usize = 255;
/// Longest value data a TXT record carries, bytes; of longer data it tells the length.
pub(super) const MAX_TXT_DATA_BYTES: usize = 16_384;

/// What a URI may not hold as it is (RFC 3986 §2), and `\`, which a NAPTR regexp would read.
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
/// What a value type may not hold between `type=` and the space after it.
const NOT_IN_TYPE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
/// What an identifier may not hold in the path of a URL.
const NOT_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b':')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The ORS services a value's type may name: those of ITU-T X.672 annex A, and UINF (URI) and LINF
/// (ID registry), which ITU-T lists as new service types of X.672.
const ORS_SERVICES: [&str; 6] = ["COID", "CINF", "RINF", "MINF", "UINF", "LINF"];
/// The ORS service of a plain URL value: a service point.
const ORS_URI_SERVICE: &str = "UINF";
/// The GS1 Web Vocabulary, whose link types values may name as `gs1:pip`.
const GS1_VOCABULARY: &str = "https://gs1.org/voc/";
/// The ONS service of a plain URL value: the product information page.
const GS1_PRODUCT_INFORMATION: &str = "https://gs1.org/voc/pip";

/// `index=1 type=URL data=https://…`: the data as text where it is text, else `base64=…`;
/// `length=…` in place of data that is too long.
pub(super) fn describe(value: &ValueRef<'_>) -> Vec<u8> {
    let value_type = utf8_percent_encode(value.value_type(), NOT_IN_TYPE);
    let mut text = format!("index={} type={value_type} ", value.index()).into_bytes();
    let data = value.data();
    if data.len() > MAX_TXT_DATA_BYTES {
        text.extend_from_slice(format!("length={}", data.len()).as_bytes());
    } else if is_text(data) {
        text.extend_from_slice(b"data=");
        text.extend_from_slice(data);
    } else {
        text.extend_from_slice(format!("base64={}", BASE64.encode(data)).as_bytes());
    }
    text
}

fn is_text(data: &[u8]) -> bool {
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    std::str::from_utf8(data).is_ok_and(|text| !text.contains(is_control))
}

/// A value's data as an absolute URI, with what may not stand in one percent-encoded; `None`
/// if it is none.
pub(super) fn uri_of(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?.trim();
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'));
    let is_uri = is_scheme && !rest.is_empty();
    is_uri.then(|| percent_encode(text.as_bytes(), NOT_IN_URI).to_string())
}

/// What a value is for a client that follows links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The service field of its NAPTR record.
    pub(super) service: String,
    /// Where it leads; of an ORS value possibly a text that is no URI.
    pub(super) target: String,
    /// Whether the target is an absolute URI.
    pub(super) is_uri: bool,
}

/// The link a value is in a zone of this kind; `None` if it is none.
pub(super) fn link_of(value: &ValueRef<'_>, zone: ZoneKind) -> Option<Link> {
    let value_type = value.value_type();
    let uri = || uri_of(value.data());
    if let Some(service) = ors_service(value_type) {
        let text = || {
            let text = std::str::from_utf8(value.data())
                .ok()
                .filter(|_| is_text(value.data()))?;
            Some(percent_encode(text.as_bytes(), NOT_IN_URI).to_string())
        };
        let (target, is_uri) = uri().map_or_else(|| (text(), false), |uri| (Some(uri), true));
        let target = target?;
        let service = match zone {
            ZoneKind::Ors => format!("ORS+{service}"),
            ZoneKind::Ons => GS1_PRODUCT_INFORMATION.to_owned(),
            ZoneKind::Node => uri_service(&target, "I2C"),
        };
        // Only an ORS client knows what to do with a text.
        return (is_uri || zone == ZoneKind::Ors).then_some(Link {
            service,
            target,
            is_uri,
        });
    }
    let relation = gs1_relation(value_type);
    if relation.is_none() && !value_type.eq_ignore_ascii_case(types::URL) {
        return None;
    }
    let target = uri()?;
    let service = match zone {
        ZoneKind::Node => uri_service(&target, "I2R"),
        ZoneKind::Ors => format!("ORS+{ORS_URI_SERVICE}"),
        ZoneKind::Ons => relation.unwrap_or_else(|| GS1_PRODUCT_INFORMATION.to_owned()),
    };
    Some(Link {
        service,
        target,
        is_uri: true,
    })
}

/// The ORS service a value type names: `RINF` or `ORS+RINF`.
fn ors_service(value_type: &str) -> Option<&'static str> {
    let bare = match value_type.get(..4) {
        Some(lead) if lead.eq_ignore_ascii_case("ORS+") => value_type.get(4..)?,
        _ => value_type,
    };
    ORS_SERVICES
        .into_iter()
        .find(|service| service.eq_ignore_ascii_case(bare))
}

/// The link relation a value type is: a web address, or `gs1:` and a term of GS1's vocabulary.
fn gs1_relation(value_type: &str) -> Option<String> {
    if value_type.starts_with("http://") || value_type.starts_with("https://") {
        return Some(percent_encode(value_type.as_bytes(), NOT_IN_URI).to_string());
    }
    let term = value_type.strip_prefix("gs1:")?;
    let is_term = !term.is_empty() && term.bytes().all(|c| c.is_ascii_alphanumeric());
    is_term.then(|| format!("{GS1_VOCABULARY}{term}"))
}

/// A service field of the URI resolution application (RFC 3404 §4.4): the protocol and what it
/// gives (RFC 2483): `I2R` the resource, `I2C` a description.
pub(super) fn uri_service(target: &str, gives: &str) -> String {
    let protocol = target.split_once(':').map_or("http", |(scheme, _)| scheme);
    format!("{}+{gives}", protocol.to_ascii_lowercase())
}

/// The regexp field that turns whatever was asked for into `target` (RFC 3402 §3.2); `None`
/// when it would be longer than a character string.
pub(super) fn regexp_to(target: &str) -> Option<String> {
    // `|` is never in a target, see [`NOT_IN_URI`].
    let delimiter = if target.contains('!') { '|' } else { '!' };
    let regexp = format!("{delimiter}^.*${delimiter}{target}{delimiter}");
    (regexp.len() <= MAX_STRING_BYTES).then_some(regexp)
}

/// The HTTP address of an identifier at a service interface, `http://192.0.2.1:8080/api/handles/…`;
/// without an identifier that of the interface itself.
pub(super) fn interface_url(
    protocol: InterfaceProtocol,
    address: IpAddr,
    port: u16,
    identifier: Option<&str>,
) -> Option<String> {
    let scheme = match protocol {
        InterfaceProtocol::Http => "http",
        InterfaceProtocol::Https => "https",
        _ => return None,
    };
    let authority = SocketAddr::new(address, port);
    let path = identifier
        .map(|text| format!("api/handles/{}", utf8_percent_encode(text, NOT_IN_PATH)))
        .unwrap_or_default();
    Some(format!("{scheme}://{authority}/{path}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::value::Value;

    fn link(value_type: &str, data: &str, zone: ZoneKind) -> Option<Link> {
        let value = Value::new(1, value_type, data);
        let mut scratch = Vec::new();
        link_of(&value.view_in(&mut scratch).unwrap(), zone)
    }

    fn described(value_type: &str, data: &[u8]) -> String {
        let value = Value::new(7, value_type, data);
        let mut scratch = Vec::new();
        String::from_utf8(describe(&value.view_in(&mut scratch).unwrap())).unwrap()
    }

    #[test]
    fn values_are_described_so_that_they_can_be_read_back() {
        assert_eq!(
            described("URL", b"http://a/"),
            "index=7 type=URL data=http://a/"
        );
        assert_eq!(
            described("a b%", "线".as_bytes()),
            "index=7 type=a%20b%25 data=线"
        );
        assert_eq!(described("X", &[0, 0xff]), "index=7 type=X base64=AP8=");
        assert_eq!(
            described("X", &[b'x'; 16_385]),
            "index=7 type=X length=16385"
        );
    }

    #[test]
    fn only_absolute_uris_are_uris() {
        assert_eq!(
            uri_of(b" https://e.cn/\xe7\xba\xbf a|b "),
            Some("https://e.cn/%E7%BA%BF%20a%7Cb".into())
        );
        assert_eq!(uri_of(b"urn:oid:1.2"), Some("urn:oid:1.2".into()));
        for none in ["", "e.cn/x", ":x", "1a:x", "http:", "a b:c", "//e.cn/"] {
            assert_eq!(uri_of(none.as_bytes()), None, "{none}");
        }
        assert_eq!(uri_of(&[b'a', b':', 0xff]), None);
    }

    #[test]
    fn services_follow_the_zone() {
        let service =
            |value_type, zone| link(value_type, "https://e.cn/", zone).map(|link| link.service);
        assert_eq!(service("url", ZoneKind::Node).as_deref(), Some("https+I2R"));
        assert_eq!(service("URL", ZoneKind::Ors).as_deref(), Some("ORS+UINF"));
        assert_eq!(
            service("URL", ZoneKind::Ons).as_deref(),
            Some("https://gs1.org/voc/pip")
        );
        assert_eq!(
            service("ors+rinf", ZoneKind::Ors).as_deref(),
            Some("ORS+RINF")
        );
        assert_eq!(service("LINF", ZoneKind::Ors).as_deref(), Some("ORS+LINF"));
        assert_eq!(
            service("CINF", ZoneKind::Node).as_deref(),
            Some("https+I2C")
        );
        assert_eq!(
            service("gs1:recallStatus", ZoneKind::Ons).as_deref(),
            Some("https://gs1.org/voc/recallStatus")
        );
        assert_eq!(
            service("http://www.gs1.org/ons/epcis", ZoneKind::Ons).as_deref(),
            Some("http://www.gs1.org/ons/epcis")
        );
        assert_eq!(service("EMAIL", ZoneKind::Node), None);
        let canonical = link("COID", "/1/2/156", ZoneKind::Ors).unwrap();
        assert_eq!(
            (canonical.target.as_str(), canonical.is_uri),
            ("/1/2/156", false)
        );
        assert_eq!(link("COID", "/1/2/156", ZoneKind::Node), None);
    }

    #[test]
    fn a_regexp_never_holds_its_own_delimiter() {
        assert_eq!(regexp_to("http://a/").as_deref(), Some("!^.*$!http://a/!"));
        assert_eq!(
            regexp_to("http://a/!").as_deref(),
            Some("|^.*$|http://a/!|")
        );
        assert_eq!(
            regexp_to(&"x".repeat(248)).map(|regexp| regexp.len()),
            Some(255)
        );
        assert_eq!(regexp_to(&"x".repeat(249)), None);
    }

    #[test]
    fn interface_addresses() {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let url = interface_url(InterfaceProtocol::Http, v6, 80, Some("88.118.8/a b?"));
        assert_eq!(
            url.as_deref(),
            Some("http://[2001:db8::1]:80/api/handles/88.118.8/a%20b%3F")
        );
        assert_eq!(interface_url(InterfaceProtocol::Tcp, v6, 2641, None), None);
    }
}
