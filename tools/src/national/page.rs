//! The status page: what every part says of itself, for a person at `/` and for programs at
//! `/status`; faults are set at `/faults`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value};

use super::faults::{Faults, Script};
use super::{Failure, Part};

#[derive(Clone)]
struct Shown {
    parts: Arc<Vec<Arc<dyn Part>>>,
    faults: Arc<Faults>,
}

/// The page over these parts, with their own routes.
pub fn router(parts: Vec<Arc<dyn Part>>, faults: Arc<Faults>) -> Router {
    let own = parts
        .iter()
        .fold(Router::new(), |all, part| all.merge(part.routes()));
    let shown = Shown {
        parts: Arc::new(parts),
        faults,
    };
    Router::new()
        .route("/", get(page))
        .route("/status", get(status))
        .route("/faults", get(faults_left).post(set_faults))
        .with_state(shown)
        .merge(own)
}

async fn page(State(shown): State<Shown>) -> Result<Html<String>, Trouble> {
    let mut html = String::from(HEAD);
    for part in shown.parts.iter() {
        // Writing to a String cannot fail.
        let _ = write!(
            html,
            "<h2>{}</h2>\n{}\n",
            escaped(part.name()),
            part.section()?
        );
    }
    let faults = serde_json::to_string(&shown.faults.script()).map_err(Failure::from)?;
    let _ = write!(
        html,
        "<h2>faults</h2>\n<p><code>{}</code></p>\n",
        escaped(&faults)
    );
    Ok(Html(html))
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>idnational</title>\n\
    <style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}\
    table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;padding:.3rem .8rem;text-align:left}\
    form{display:inline}</style>\n<h1>国家顶级节点 <small>idnational</small></h1>\n";

async fn status(State(shown): State<Shown>) -> Result<Json<Value>, Trouble> {
    let mut all = Map::new();
    for part in shown.parts.iter() {
        all.insert(part.name().to_owned(), part.status()?);
    }
    let faults = serde_json::to_value(shown.faults.script()).map_err(Failure::from)?;
    all.insert("faults".to_owned(), faults);
    Ok(Json(Value::Object(all)))
}

async fn faults_left(State(shown): State<Shown>) -> Json<Script> {
    Json(shown.faults.script())
}

async fn set_faults(State(shown): State<Shown>, Json(script): Json<Script>) -> Json<Script> {
    shown.faults.set(script);
    Json(shown.faults.script())
}

/// An answer that could not be made.
pub struct Trouble(Failure);

impl<E: Into<Failure>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

/// Text as it stands in HTML.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_does_not_become_markup() {
        assert_eq!(
            escaped("<b a=\"1\">&'标识"),
            "&lt;b a=&quot;1&quot;&gt;&amp;&#39;标识"
        );
    }
}
