//! Emergency takeover (应急接管): what is taken over from which node, what is registered in its
//! place, and how it is handed back.
//!
//! | module | holds |
//! |---|---|
//! | [`row`] | how a node stands: pure transitions |
//! | [`ledger`] | the book: takeovers, registrations, conflicts |
//! | [`registered`] | a registration: as it is asked for, kept and told |
//! | `conflict` | what a node could not merge, as it is shown |
//! | [`known`] | what the national node knows of an identifier |
//! | `service` | TakeoverService, over which nodes are told |
//! | `desk` | the page and its forms, the intake of registrations |
//!
//! A node has at most one takeover at a time. Its number (epoch) goes up with each; its revision goes
//! up with each change, and is what the node acknowledges.

mod conflict;
mod desk;
pub mod known;
pub mod ledger;
pub mod registered;
pub mod row;
mod service;

use std::sync::Arc;

use idnode_proto::api::takeover_service_server::TakeoverServiceServer;

use super::uplink::MESSAGE_LIMIT_BYTES;
use super::uplink::peer::Members;
use super::{Part, Shared};
pub use ledger::Ledger;
use service::Service;

/// The service for the listener of streams.
pub fn service(
    shared: &Shared,
    members: &Arc<Members>,
) -> TakeoverServiceServer<impl idnode_proto::api::takeover_service_server::TakeoverService> {
    let service = Service::new(
        shared.faults.clone(),
        members.clone(),
        shared.takeovers.clone(),
    );
    TakeoverServiceServer::new(service)
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
        .max_encoding_message_size(MESSAGE_LIMIT_BYTES)
}

/// The part of the page.
pub fn part(shared: &Shared) -> Arc<dyn Part> {
    Arc::new(desk::Desk::new(shared.takeovers.clone()))
}
