//! The review a person does, and the section of the page.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::engine::Engine;
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
            "identifiers": identifiers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "queue": queue.iter().map(|(_, it)| &it.prefix).collect::<Vec<_>>(),
            "transactions": answers.len(),
        }))
    }

    fn section(&self) -> Result<String, Failure> {
        let book = &self.0.book;
        let enterprises: Vec<(String, StoredEnterprise)> = book.all(ENTERPRISES)?;
        let prefixes: Vec<(String, StoredPrefix)> = book.all(PREFIXES)?;
        let queue: Vec<(String, Queued)> = book.all(QUEUE)?;
        let mut html = format!(
            "<p>{} enterprises, {} prefixes, {} messages not acknowledged</p>\n<table>\
             <tr><th>prefix<th>enterprise<th>node<th>state<th>message<th>review</tr>\n",
            enterprises.len(),
            prefixes.len(),
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
            // Writing to a String cannot fail.
            let _ = writeln!(
                html,
                "<tr><td>{}<td>{} {}<td>{}<td>{:?}<td>{}<td>{review}</tr>",
                escaped(prefix),
                escaped(&stored.enterprise_id),
                escaped(name),
                escaped(&stored.client),
                stored.state,
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
