//! The Handle protocol (RFC 3652, as running servers and clients of versions 2.1 to 2.11 speak
//! it), sans I/O: bytes in, typed messages out, and back.
//!
//! | module | holds |
//! |---|---|
//! | [`envelope`] | the 20 bytes of delivery, versions and which one to answer in |
//! | [`header`] | the 24 bytes of operation, result and options |
//! | [`code`] | the numbers of operations and results |
//! | [`message`] | a whole message |
//! | [`frame`] | cutting a TCP stream into messages |
//! | [`udp`] | cutting messages into datagrams and putting them together |
//! | [`digest`] | the digest of a request in its answer |
//! | [`request`] | a server reading requests, and what to answer to malformed ones |
//! | [`reply`] | a server writing answers |
//! | [`client`] | a client writing requests and reading answers |
//! | [`exchange`] | a client's request with challenge, proof and answers |
//! | [`body`] | the bodies of all other operations |
//! | [`auth`] | keys, proofs, sessions' encryption, credentials |
//! | [`site`] | HS_SITE data |
//! | [`admin`] | administrators: their ids and rights, HS_ADMIN and HS_VLIST data |
//! | [`predefined`] | HS_SERV and HS_ALIAS data |
//! | [`locations`] | `10320/loc` data |
//! | [`namespace`] | HS_NAMESPACE data: templates of handles that are not registered |
//!
//! A server's path: [`tcp_frame`] or [`Reassembler::accept`], then [`decode_request`], then a
//! method of [`Reply`], and over UDP [`datagrams`]. Of operations other than the two common ones
//! [`RequestMessage::operation`] reads the body.

pub mod admin;
mod asking;
pub mod auth;
pub mod body;
pub mod client;
pub mod code;
pub mod digest;
pub mod envelope;
pub mod exchange;
pub mod frame;
pub mod header;
pub mod locations;
pub mod message;
pub mod namespace;
pub mod predefined;
pub mod reply;
pub mod request;
pub mod site;
pub mod udp;
pub(crate) mod wire;

pub use admin::{
    Admin, AdminId, AdminIdError, AdminPermissions, AdminRights, decode_value_list,
    encode_value_list,
};
pub use body::Operation;
pub use client::{RequestHead, Response, ResponseBody, ResponseError};
pub use code::{OpCode, ResponseCode};
pub use digest::RequestDigest;
pub use envelope::{Envelope, EnvelopeFlags, Version};
pub use exchange::{Exchange, ExchangeError, Step};
pub use frame::{FrameError, FrameStatus, tcp_frame};
pub use header::{Header, OpFlags, SITE_SERIAL_UNKNOWN};
pub use message::{MAX_MESSAGE_LEN, Message, MessageTooLong};
pub use predefined::decode_handle_data;
pub use reply::Reply;
pub use request::{
    RefusedRequest, ReplyTo, Request, RequestFault, RequestMessage, ResolveRequest, Transport,
    decode_request,
};
pub use site::{HashOption, Interface, InterfaceProtocol, NodePorts, Server, Site};
pub use udp::{
    Datagram, DatagramError, MAX_DATAGRAM_LEN, Reassembler, ReassemblyLimits, datagrams,
};
pub use wire::WireError;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
