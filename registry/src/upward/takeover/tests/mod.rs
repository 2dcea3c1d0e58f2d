#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod decisions;
mod merging;
mod notices;
mod writes;

use idnode_proto::api::{TakeoverNotice, TakeoverOperation, TakeoverPhase, TakeoverRegistration};
use idnode_proto::value::{Value, encode_values};

/// A notice for `taiyuan` about 88.118.
fn notice(epoch: u64, revision: u64, phase: TakeoverPhase, registrations: u64) -> TakeoverNotice {
    TakeoverNotice {
        node: "taiyuan".to_owned(),
        epoch,
        revision,
        phase: phase.into(),
        prefixes: vec!["88.118".to_owned()],
        registrations,
        ..TakeoverNotice::default()
    }
}

/// One value.
fn url(text: &str) -> Value {
    Value {
        timestamp_s: 1_700_000_000,
        ..Value::new(1, "URL", text)
    }
}

/// A registration with one value, or a deletion without.
fn registration(
    number: u64,
    operation: TakeoverOperation,
    identifier: &str,
    text: &str,
    known_sequence: u64,
) -> TakeoverRegistration {
    let is_deletion = operation == TakeoverOperation::Delete;
    TakeoverRegistration {
        number,
        operation: operation.into(),
        identifier: identifier.to_owned(),
        values: match is_deletion {
            true => Vec::new(),
            false => encode_values(&[url(text)]),
        },
        reason: if is_deletion {
            text.to_owned()
        } else {
            String::new()
        },
        known_sequence,
        ..TakeoverRegistration::default()
    }
}
