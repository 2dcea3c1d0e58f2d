//! The review a person does, and the section of the page.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use idnode_proto::epp::identifier::IdentifierCreate;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::engine::Engine;
use super::objects::parsed;
use super::store::{
    ANSWERS, Answered, ENTERPRISES, IDENTIFIERS, Outcome, PREFIXES, PrefixState, QUEUE, Queued,
    StoredEnterprise, StoredIdentifier, StoredPrefix, decide,
};
use crate::national::page::{Trouble, escaped};
use crate::national::{Failure, Part};

/// The EPP server as a part of the national node.
pub(super) struct Desk(pub Arc<Engine>);

impl Part for Desk {
    fn name(&self) -> &'static str {
        "epp"
    }

    fn status(&self) -> Result<Value, Failure> {
        let book = &self.0.book;
        let enterprises: Vec<(String, StoredEnterprise)> = book.all(ENTERPRISES)?;
        let prefixes: Vec<(String, StoredPrefix)> = book.all(PREFIXES)?;
        let identifiers: Vec<(String, StoredIdentifier)> = book.all(IDENTIFIERS)?;
        let queue: Vec<(String, Queued)> = book.all(QUEUE)?;
        let answers: Vec<(String, Answered)> = book.all(ANSWERS)?;
        Ok(json!({
            "review": self.0.review,
            "sessions": self.0.sessions.load(Ordering::Relaxed),
            "enterprises": by_key(&enterprises)?,
            "prefixes": by_key(&prefixes)?,
            "identifiers": Value::Object(shown_identifiers(&identifiers)?),
            "queue": queue.iter().map(|(_, it)| &it.prefix).collect::<Vec<_>>(),
            "transactions": answers.len(),
        }))
    }

    fn section(&self) -> Result<String, Failure> {
        let book = &self.0.book;
        let enterprises: Vec<(String, StoredEnterprise)> = book.all(ENTERPRISES)?;
        let prefixes: Vec<(String, StoredPrefix)> = book.all(PREFIXES)?;
        let queue: Vec<(String, Queued)> = book.all(QUEUE)?;
        let identifiers: Vec<(String, StoredIdentifier)> = book.all(IDENTIFIERS)?;
        let mut html = format!(
            "<p>{} enterprises, {} prefixes, {} identifiers, {} messages not acknowledged</p>\n<table>\
             <tr><th>prefix<th>enterprise<th>node<th>state<th>served at<th>administrators\
             <th>message<th>review</tr>\n",
            enterprises.len(),
            prefixes.len(),
            identifiers.len(),
            queue.len()
        );
        for (prefix, stored) in &prefixes {
            let name = enterprises
                .iter()
                .find(|(id, _)| *id == stored.enterprise_id);
            let name = name
                .and_then(|(_, it)| it.told.get("entNameCn"))
                .map_or("", |it| it);
            let review = match stored.state {
                PrefixState::Pending => form(prefix, &[("pass", "通过"), ("refuse", "驳回")]),
                PrefixState::Passed => form(prefix, &[("withdraw", "停用")]),
                PrefixState::Withdrawn => form(prefix, &[("grant", "启用")]),
                PrefixState::Refused => String::new(),
            };
            let identifier = identifiers.iter().find(|(name, _)| name == prefix);
            let identifier = identifier.map(|(_, it)| parsed(it)).transpose()?;
            let (sites, administrators) = match &identifier {
                Some(identifier) => (served_at(identifier), administered_by(identifier)),
                None => (String::new(), String::new()),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                html,
                "<tr><td>{}<td>{} {}<td>{}<td>{:?}<td>{}<td>{}<td>{}<td>{review}</tr>",
                escaped(prefix),
                escaped(&stored.enterprise_id),
                escaped(name),
                escaped(&stored.client),
                stored.state,
                escaped(&sites),
                escaped(&administrators),
                escaped(&stored.message),
            );
        }
        html.push_str("</table>");
        Ok(html)
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/epp/review", post(review))
            .with_state(self.0.clone())
    }
}

/// Where a prefix is served, in one line.
fn served_at(identifier: &IdentifierCreate) -> String {
    let services = identifier.sites.iter().flat_map(|it| &it.services);
    let lines = services.flat_map(|service| {
        let addresses = service.addresses.iter();
        addresses.flat_map(|(_, address)| {
            let ways = service.interfaces.iter();
            let ways = ways.filter(|it| it.service == "query");
            ways.map(move |it| format!("{} {address} {}", it.protocol, it.port))
        })
    });
    lines.collect::<Vec<_>>().join(", ")
}

/// The indexes of the keys of a prefix's administrators.
fn administered_by(identifier: &IdentifierCreate) -> String {
    let indexes = identifier
        .administrators
        .iter()
        .map(|it| it.index.to_string());
    indexes.collect::<Vec<_>>().join(", ")
}

/// Identifiers with their states, administrators and sites, by their names.
fn shown_identifiers(rows: &[(String, StoredIdentifier)]) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    for (name, stored) in rows {
        let object = parsed(stored)?;
        let administrators = object.administrators.iter().map(|it| {
            json!({
                "index": it.index,
                "key_type": it.key.kind,
                "key": it.key.data,
                "permissions": it.permissions,
            })
        });
        let sites = object.sites.iter().map(|site| {
            let servers = site.services.iter().map(|it| {
                let ways = it.interfaces.iter();
                let ways = ways.map(|it| json!([it.service, it.protocol, it.port]));
                json!({
                    "id": it.server_id,
                    "addresses": it.addresses.iter().map(|(_, it)| it).collect::<Vec<_>>(),
                    "signs": it.key.is_some(),
                    "interfaces": ways.collect::<Vec<_>>(),
                })
            });
            json!({
                "index": site.index,
                "protocol_version": site.protocol_version,
                "servers": servers.collect::<Vec<_>>(),
            })
        });
        let shown = json!({
            "client": stored.client,
            "statuses": stored.statuses,
            "updates": stored.updates,
            "administrators": administrators.collect::<Vec<_>>(),
            "sites": sites.collect::<Vec<_>>(),
        });
        all.insert(name.clone(), shown);
    }
    Ok(all)
}

/// A form with a button for each outcome that can be decided.
fn form(prefix: &str, outcomes: &[(&str, &str)]) -> String {
    let prefix = escaped(prefix);
    let mut html = format!(
        "<form method=\"post\" action=\"/epp/review\"><input type=\"hidden\" name=\"prefix\" \
         value=\"{prefix}\"><input name=\"message\" placeholder=\"message\">"
    );
    for (value, label) in outcomes {
        // Writing to a String cannot fail.
        let _ = write!(
            html,
            " <button name=\"result\" value=\"{value}\">{label}</button>"
        );
    }
    html.push_str("</form>");
    html
}

fn by_key<T: serde::Serialize>(rows: &[(String, T)]) -> Result<Value, Failure> {
    let mut all = Map::new();
    for (key, value) in rows {
        all.insert(key.clone(), serde_json::to_value(value)?);
    }
    Ok(Value::Object(all))
}

/// What a reviewer says.
#[derive(Debug, Deserialize)]
struct Decision {
    prefix: String,
    result: Outcome,
    #[serde(default)]
    message: String,
}

async fn review(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    Form(decision): Form<Decision>,
) -> Result<Response, Trouble> {
    // A page of others must not decide through a reviewer's browser.
    let site = headers
        .get("sec-fetch-site")
        .and_then(|it| it.to_str().ok());
    if site.is_some_and(|site| site == "cross-site") {
        return Ok((StatusCode::FORBIDDEN, "decide on the page itself").into_response());
    }
    let decided = tokio::task::spawn_blocking(move || {
        let Decision {
            prefix,
            result,
            message,
        } = decision;
        engine
            .book
            .write(|page| decide(page, &prefix, result, &message))
    });
    match decided.await?? {
        true => Ok(Redirect::to("/").into_response()),
        false => Ok((
            StatusCode::CONFLICT,
            "this is not to be decided about this prefix",
        )
            .into_response()),
    }
}
