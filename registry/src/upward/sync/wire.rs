//! Messages as they are sent: `idnode.v1.TellChangesRequest` with its batch encoded already.

use bytes::Bytes;
use idnode_proto::api::{IntakeHello, IntakePart, IntakeStart};

/// One message; one of its fields is set.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Told {
    #[prost(message, optional, tag = "1")]
    hello: Option<IntakeHello>,
    /// An encoded `IntakeBatch`: on the wire, bytes and a message are one.
    #[prost(bytes = "bytes", tag = "2")]
    batch: Bytes,
    #[prost(message, optional, tag = "3")]
    start: Option<IntakeStart>,
    #[prost(message, optional, tag = "4")]
    part: Option<IntakePart>,
}

impl Told {
    pub(super) fn hello(hello: IntakeHello) -> Self {
        Self {
            hello: Some(hello),
            ..Self::default()
        }
    }

    pub(super) fn batch(encoded: Bytes) -> Self {
        Self {
            batch: encoded,
            ..Self::default()
        }
    }

    pub(super) fn start(start: IntakeStart) -> Self {
        Self {
            start: Some(start),
            ..Self::default()
        }
    }

    pub(super) fn part(part: IntakePart) -> Self {
        Self {
            part: Some(part),
            ..Self::default()
        }
    }
}
