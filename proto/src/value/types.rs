//! The names of the value types this node reads or writes itself. Types compare as they are
//! written; the Handle System keeps no other list of them than what is registered under
//! `0.TYPE` (RFC 3651 §3.2).

/// A web address.
pub const URL: &str = "URL";
/// A mail address.
pub const EMAIL: &str = "EMAIL";
/// Text for people.
pub const DESC: &str = "DESC";
/// A host name or address.
pub const INET_HOST: &str = "INET_HOST";
/// A domain name, as the data of a DNS record (RFC 1035 §3.3.12), see [`crate::rdata`].
pub const PTR: &str = "PTR";
/// A service binding, as the data of a DNS record (RFC 9460), see [`crate::rdata`].
pub const SVCB: &str = "SVCB";
/// A service binding for HTTP, as the data of a DNS record (RFC 9460 §9), see [`crate::rdata`].
pub const HTTPS: &str = "HTTPS";
/// A uniform resource name.
pub const URN: &str = "URN";
/// Who administers the handle (RFC 3651 §3.2.1).
pub const HS_ADMIN: &str = "HS_ADMIN";
/// A service site: the servers that answer for a prefix (RFC 3651 §3.2.2).
pub const HS_SITE: &str = "HS_SITE";
/// A service site that answers for the prefixes below this one.
pub const HS_SITE_PREFIX: &str = "HS_SITE.PREFIX";
/// A site of the service that has been given this prefix's children (RFC 3651 §3.2.3).
pub const HS_NA_DELEGATE: &str = "HS_NA_DELEGATE";
/// The handle that holds the sites of a shared service (RFC 3651 §3.2.4).
pub const HS_SERV: &str = "HS_SERV";
/// Another name of this handle (RFC 3651 §3.2.5).
pub const HS_ALIAS: &str = "HS_ALIAS";
/// Which sites are primary (RFC 3651 §3.2.6).
pub const HS_PRIMARY: &str = "HS_PRIMARY";
/// A list of references to other values (RFC 3651 §3.2.7).
pub const HS_VLIST: &str = "HS_VLIST";
/// A public key.
pub const HS_PUBKEY: &str = "HS_PUBKEY";
/// A secret key; never leaves the server.
pub const HS_SECKEY: &str = "HS_SECKEY";
/// A signature over other values, a JWS.
pub const HS_SIGNATURE: &str = "HS_SIGNATURE";
/// A certificate: a signed statement about a key, a JWS.
pub const HS_CERT: &str = "HS_CERT";
/// What a prefix says of its namespace, XML.
pub const HS_NAMESPACE: &str = "HS_NAMESPACE";
