//! The page: how nodes stand, takeover and hand-back by a person, registrations in a node's place.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Json, Router};
use idnode_proto::identifier::Prefix;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ledger::Ledger;
use super::registered::Wish;
use super::row::{Phase, Refusal, Row};
use crate::national::page::escaped;
use crate::national::{Failure, Part};

/// Conflicts and registrations that the page shows.
const SHOWN: usize = 100;
/// Registrations of a page, if nobody says how many.
const PAGE: usize = 100;

/// The part of the page.
pub(super) struct Desk {
    ledger: Arc<Ledger>,
}

impl Desk {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }
}

impl Part for Desk {
    fn name(&self) -> &'static str {
        "takeover"
    }

    fn status(&self) -> Result<Value, Failure> {
        let mut nodes = Map::new();
        for (node, row) in self.ledger.rows()? {
            nodes.insert(node, shown_row(&row)?);
        }
        let conflicts = serde_json::to_value(self.ledger.conflicts()?)?;
        Ok(json!({"nodes": nodes, "conflicts": conflicts}))
    }

    fn section(&self) -> Result<String, Failure> {
        let mut html = String::from(
            "<table><tr><th>node<th>takeover<th>phase<th>prefixes<th>registrations\
             <th>acknowledged<th>cause<th></tr>\n",
        );
        for (node, row) in self.ledger.rows()? {
            // Writing to a String cannot fail.
            let _ = writeln!(
                html,
                "<tr><td>{}<td>{}<td>{:?}<td>{}<td>{}<td>{} of {}<td>{}<td>{}</tr>",
                escaped(&node),
                row.epoch,
                row.phase,
                escaped(&row.prefixes.join(", ")),
                row.registrations,
                row.acknowledged,
                row.revision,
                escaped(&row.cause),
                form(&node, &row),
            );
        }
        html.push_str("</table>\n");
        self.conflicts(&mut html)?;
        Ok(html)
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/takeover", post(take))
            .route("/hand-back", post(hand_back))
            .route("/takeover/registrations", post(register).get(registrations))
            .with_state(self.ledger.clone())
    }
}

impl Desk {
    fn conflicts(&self, html: &mut String) -> Result<(), Failure> {
        let conflicts = self.ledger.conflicts()?;
        if conflicts.is_empty() {
            return Ok(());
        }
        html.push_str(
            "<table><tr><th>conflict<th>identifier<th>why<th>settled<th>both versions</tr>\n",
        );
        for conflict in conflicts.iter().rev().take(SHOWN) {
            let document = &conflict.document;
            let text = |name: &str| escaped(document[name].as_str().unwrap_or_default());
            let both = json!({"node": document["node"], "national": document["national"]});
            let _ = writeln!(
                html,
                "<tr><td>{} {}-{}<td>{}<td>{}<td>{}<td><code>{}</code></tr>",
                escaped(&conflict.node),
                conflict.epoch,
                conflict.number,
                text("identifier"),
                text("kind"),
                escaped(&conflict.settlement),
                escaped(&both.to_string()),
            );
        }
        html.push_str("</table>\n");
        Ok(())
    }
}

fn shown_row(row: &Row) -> Result<Value, Failure> {
    Ok(serde_json::to_value(row)?)
}

fn form(node: &str, row: &Row) -> String {
    let (action, label) = match row.phase {
        Phase::TakenOver => ("/hand-back", "交还"),
        Phase::None | Phase::HandedBack | Phase::HandingBack => ("/takeover", "接管"),
    };
    format!(
        "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"node\" \
         value=\"{}\"><button>{label}</button></form>",
        escaped(node)
    )
}

/// Which node, and what of it.
#[derive(Debug, Deserialize)]
struct Decision {
    node: String,
    /// Commas between them; empty: all of the node's.
    #[serde(default)]
    prefixes: String,
    #[serde(default)]
    cause: String,
}

async fn take(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
    Form(decision): Form<Decision>,
) -> Response {
    let cause = match decision.cause.as_str() {
        "" => "decided by a person".to_owned(),
        cause => cause.to_owned(),
    };
    let named = decision.prefixes.split(',').filter(|it| !it.is_empty());
    let prefixes: Result<Vec<Prefix>, _> = named.map(Prefix::parse).collect();
    let prefixes = match prefixes {
        Ok(prefixes) => prefixes,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, format!("prefixes: {error}")).into_response();
        }
    };
    decide(&headers, move || {
        ledger.take(&decision.node, &prefixes, &cause)
    })
    .await
}

async fn hand_back(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
    Form(decision): Form<Decision>,
) -> Response {
    decide(&headers, move || ledger.hand_back(&decision.node)).await
}

/// A decision of a person, or of a program: the page, or the node's row.
async fn decide(
    headers: &HeaderMap,
    decide: impl FnOnce() -> Result<Row, Failure> + Send + 'static,
) -> Response {
    let field = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    // A page of others must not decide through a person's browser.
    if field("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return (StatusCode::FORBIDDEN, "decide on the page itself").into_response();
    }
    let is_page = field("accept").is_some_and(|accept| accept.contains("text/html"));
    match off_thread(decide).await {
        Ok(_) if is_page => Redirect::to("/").into_response(),
        Ok(row) => Json(row).into_response(),
        Err(failure) => refused(&failure),
    }
}

async fn register(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Response {
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        return (StatusCode::FORBIDDEN, "register on the page itself").into_response();
    }
    let wanted = match wish.check() {
        Ok(wanted) => wanted,
        Err(refusal) => return (StatusCode::BAD_REQUEST, refusal.0).into_response(),
    };
    match off_thread(move || ledger.register(wanted)).await {
        Ok((node, registered)) => {
            let shown = json!({"node": node, "registration": registered});
            (StatusCode::CREATED, Json(shown)).into_response()
        }
        Err(failure) => refused(&failure),
    }
}

/// Which registrations are asked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    node: String,
    epoch: u64,
    #[serde(default)]
    after: u64,
}

/// `GET /takeover/registrations?node=…&epoch=…&after=…`: a page of them, in order.
async fn registrations(
    State(ledger): State<Arc<Ledger>>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let found = off_thread(move || {
        let Wanted { node, epoch, after } = wanted;
        ledger.registrations(&node, epoch, after, PAGE)
    });
    match found.await {
        Ok(found) => Json(found).into_response(),
        Err(failure) => refused(&failure),
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await?
}

fn refused(failure: &Failure) -> Response {
    let status = match failure.downcast_ref::<Refusal>() {
        Some(_) => StatusCode::CONFLICT,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, failure.to_string()).into_response()
}
