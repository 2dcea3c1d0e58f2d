//! A conflict that a node has told of, with both versions.

use idnode_proto::api::value::{Data, Ttl};
use idnode_proto::api::{TakeoverConflict, TakeoverSettlement, Value};
use idnode_proto::value::{Ttl as Plain, Values};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::bulk::json::ValuesOut;

/// A conflict that a node has told of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conflict {
    /// The node.
    pub node: String,
    /// The takeover.
    pub epoch: u64,
    /// The registration.
    pub number: u64,
    /// `open`, or whose version was kept.
    pub settlement: String,
    /// Both versions, and why.
    pub document: Json,
}

impl Conflict {
    /// As a node tells it.
    pub fn of(node: &str, told: &TakeoverConflict) -> Self {
        let settlement = match told.settlement() {
            TakeoverSettlement::Unspecified => "open",
            TakeoverSettlement::Here => "node",
            TakeoverSettlement::Theirs => "national",
            TakeoverSettlement::Followed => "followed",
        };
        Self {
            node: node.to_owned(),
            epoch: told.epoch,
            number: told.number,
            settlement: settlement.to_owned(),
            document: document(told),
        }
    }
}

/// A conflict for a person and programs: both versions.
fn document(conflict: &TakeoverConflict) -> Json {
    let here = conflict.here.clone().unwrap_or_default();
    let theirs = conflict.theirs.clone().unwrap_or_default();
    let error = conflict.error.as_ref();
    json!({
        "identifier": conflict.identifier,
        "kind": conflict.kind().as_str_name().trim_start_matches("TAKEOVER_CONFLICT_KIND_").to_lowercase(),
        "error": error.map(|it| json!({"reason": it.reason, "field": it.field, "message": it.message})),
        "node": {
            "live": here.live, "version": here.version, "values": shown(&here.values),
            "template": here.template, "reason": here.reason,
        },
        "national": {
            "operation": theirs.operation().as_str_name().trim_start_matches("TAKEOVER_OPERATION_").to_lowercase(),
            "values": shown(&theirs.values), "template": theirs.template, "reason": theirs.reason,
        },
    })
}

fn shown(encoded: &[u8]) -> Json {
    let values = Values::all(encoded).map_while(Result::ok);
    let values: Vec<Value> = values
        .map(|value| Value {
            index: value.index(),
            r#type: value.value_type().to_owned(),
            data: Some(match std::str::from_utf8(value.data()) {
                Ok(text) => Data::Text(text.to_owned()),
                Err(_) => Data::Raw(value.data().to_vec()),
            }),
            ttl: Some(match value.ttl() {
                Plain::RelativeS(seconds) => Ttl::TtlS(seconds),
                Plain::AbsoluteS(at) => Ttl::ExpiresAtS(at),
            }),
            permissions: Some(value.permissions().0.into()),
            timestamp_s: value.timestamp_s(),
            references: Vec::new(),
        })
        .collect();
    serde_json::to_value(ValuesOut(&values)).unwrap_or_default()
}
