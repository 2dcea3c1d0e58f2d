//! The language nodes speak, sans I/O: pure functions over bytes and text.
//!
//! | module | holds |
//! |---|---|
//! | [`identifier`] | the one [`identifier::Identifier`] type: six schemes parsed once into canonical form |
//! | [`dnsname`] | the mapping between identifiers and names under the node's DNS zones |
//! | [`value`] | typed handle values and their stored and wire encoding (RFC 3651 §3.1) |
//! | [`rdata`] | values that hold the data of DNS records, in wire form |
//! | [`handle`] | the Handle protocol's envelopes, messages, site records (RFC 3652) |
//! | [`iiidap`] | IIIDAP: documents and queries of registration data, and the same over WHOIS |
//! | [`xml`] | XML, read within bounds and written: in some values, and in documents |
//! | [`epp`] | provisioning at the national node: EPP with its objects (RFC 5730, 5734) |
//! | [`report`] | what a node reports at fixed times: periods, keys, what a report must fulfil |
//! | [`routes`] | where nodes resolve what, and what they tell each other of it |
//! | [`trust`] | signatures over values, certificates of their signers, the verifier of their chains |
//! | [`escrow`] | deposits of a registry with an escrow agent: documents, container, manifest |
//! | [`calendar`] | the date of a day by its number |
//! | [`import`] | chunks of a bulk load, whose items are taken apart one by one |
//! | [`api`] | generated protobuf messages, gRPC clients and servers (`proto/idnode/v1/*.proto`) |

#[path = "gen/mod.rs"]
pub mod api;
pub mod calendar;
pub mod dnsname;
pub mod epp;
pub mod escrow;
pub mod handle;
pub mod identifier;
pub mod iiidap;
pub mod import;
pub mod rdata;
pub mod report;
pub mod routes;
pub mod trust;
pub mod value;
pub mod xml;
