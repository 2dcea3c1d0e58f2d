//! What is shown: how each node stands, an identifier, and a digest by which both sides can be compared.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use idnode_proto::identifier::{Identifier, Prefix};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Inner;
use super::apply::Row;
use super::store::{Copy, Node};
use crate::national::Failure;
use crate::national::page::escaped;

/// How every node stands, for programs.
pub(super) fn status(inner: &Inner) -> Result<Value, Failure> {
    let mut nodes = Map::new();
    for (name, node) in inner.store.nodes()? {
        let shown = shown_node(inner, &name, &node);
        nodes.insert(name, shown);
    }
    Ok(json!({"nodes": nodes}))
}

fn shown_node(inner: &Inner, name: &str, node: &Node) -> Value {
    let making = |it: &Copy| json!({"sequence": it.sequence, "identifiers": it.live + it.deleted});
    let shown = &node.shown;
    json!({
        "connected": inner.turn(name).is_open,
        "log": shown.log,
        "sequence": shown.sequence,
        "committed_at_ms": shown.committed_at_ms,
        "identifiers": {"live": shown.live, "deleted": shown.deleted},
        "enterprises": shown.enterprises,
        "templates": shown.templates,
        "prefixes": shown.prefixes,
        "changes": {"added": node.added, "deleted": node.removed, "modified": node.modified},
        "repeated": node.repeated,
        "lag_ms": inner.lags.of(name),
        "making": node.making.as_ref().map(making),
    })
}

/// How every node stands, for a person.
pub(super) fn section(inner: &Inner) -> Result<String, Failure> {
    let mut html = String::from(
        "<table><tr><th>node</th><th>stream</th><th>sequence</th><th>identifiers</th>\
         <th>deleted</th><th>enterprises</th><th>templates</th><th>prefixes</th>\
         <th>lag p50 / p99, ms</th></tr>",
    );
    for (name, node) in inner.store.nodes()? {
        let (shown, lag) = (&node.shown, inner.lags.of(&name));
        let number = |key: &str| lag.get(key).map_or_else(String::new, Value::to_string);
        let stream = match (inner.turn(&name).is_open, &node.making) {
            (false, _) => "none".to_owned(),
            (true, None) => "open".to_owned(),
            (true, Some(making)) => format!("a snapshot as of {}", making.sequence),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{stream}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{} / {}</td></tr>",
            escaped(&name),
            shown.sequence,
            shown.live,
            shown.deleted,
            shown.enterprises,
            shown.templates,
            shown.prefixes,
            number("p50"),
            number("p99"),
        );
    }
    html.push_str("</table>");
    Ok(html)
}

/// `GET /identifiers`, `/identifiers/digest` and `/objects`.
pub(super) fn routes(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/identifiers", get(identifier))
        .route("/identifiers/digest", get(digest))
        .route("/objects", get(objects))
        .with_state(inner)
}

/// Of which node, and which identifier.
#[derive(Debug, Deserialize)]
struct OfCode {
    node: String,
    code: String,
}

/// `GET /identifiers?node=…&code=…`: what is known of an identifier.
async fn identifier(State(inner): State<Arc<Inner>>, Query(wanted): Query<OfCode>) -> Response {
    let identifier = match Identifier::parse(&wanted.code) {
        Ok(identifier) => identifier,
        Err(why) => return (StatusCode::BAD_REQUEST, why.to_string()).into_response(),
    };
    blocking(move || {
        let stored = inner.store.identifier(&wanted.node, identifier.key())?;
        let row = stored.map(|stored| Row::decode(identifier.key(), &stored));
        Ok(row.transpose()?.map(|row| shown_row(&row)))
    })
    .await
}

fn shown_row(row: &Row) -> Value {
    let data = &row.data;
    let product = data.product.as_ref().map(|it| {
        json!({
            "type": it.r#type,
            "brand": it.brand,
            "name": it.name,
            "maker": it.maker,
            "produced_at": it.produced_at,
            "expires_at": it.expires_at,
            "carrier_type": it.carrier_type,
            "carrier_id": it.carrier_id,
        })
    });
    json!({
        "code": data.code,
        "operation": data.operation,
        "live": row.is_live(),
        "version": row.version,
        "created_at_ms": data.created_at_ms,
        "modified_at_ms": modified(row),
        "template": data.template,
        "product": product,
    })
}

fn modified(row: &Row) -> u64 {
    match row.data.modified_at_ms {
        0 => row.data.created_at_ms,
        modified => modified,
    }
}

/// Of which node, and below which prefix; of none: all.
#[derive(Debug, Deserialize)]
struct OfPrefix {
    node: String,
    #[serde(default)]
    prefix: String,
}

/// `GET /identifiers/digest?node=…&prefix=…`: how many identifiers there are, and the SHA-256 of a line
/// for each that is registered, in the order of keys: code, version, times of creation and of the last
/// change in milliseconds, template, with tabs between.
async fn digest(State(inner): State<Arc<Inner>>, Query(wanted): Query<OfPrefix>) -> Response {
    let range = match wanted.prefix.as_str() {
        "" => (Vec::new(), None),
        text => match Prefix::parse(text) {
            Ok(prefix) => {
                let (from, to) = prefix.key_range();
                (from, Some(to))
            }
            Err(why) => return (StatusCode::BAD_REQUEST, why.to_string()).into_response(),
        },
    };
    blocking(move || {
        let (mut live, mut deleted, mut hash) = (0_u64, 0_u64, Sha256::new());
        let range = (range.0.as_slice(), range.1.as_deref());
        inner
            .store
            .each_identifier(&wanted.node, range, |key, stored| {
                let row = Row::decode(key, stored)?;
                if row.is_live() {
                    live += 1;
                    let (data, modified_ms) = (&row.data, modified(&row));
                    let line = format!(
                        "{}\t{}\t{}\t{modified_ms}\t{}\n",
                        data.code, row.version, data.created_at_ms, data.template
                    );
                    hash.update(line.as_bytes());
                } else {
                    deleted += 1;
                }
                Ok(())
            })?;
        let digest = data_encoding::HEXLOWER.encode(&hash.finalize());
        Ok(Some(
            json!({"live": live, "deleted": deleted, "digest": digest}),
        ))
    })
    .await
}

/// Of which node.
#[derive(Debug, Deserialize)]
struct OfNode {
    node: String,
}

/// `GET /objects?node=…`: enterprises, prefixes and templates of a node.
async fn objects(State(inner): State<Arc<Inner>>, Query(wanted): Query<OfNode>) -> Response {
    blocking(move || {
        let objects = inner.store.objects(&wanted.node)?;
        Ok(Some(Value::Object(objects.into_iter().collect())))
    })
    .await
}

/// Answers what is read on a thread that may wait for the disk; `None`: 404.
async fn blocking(
    read: impl FnOnce() -> Result<Option<Value>, Failure> + Send + 'static,
) -> Response {
    let failed = |reason: String| (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response();
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(Some(found))) => Json(found).into_response(),
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(error)) => failed(error.to_string()),
        Err(error) => failed(error.to_string()),
    }
}
