//! `GET /api/site`: the node's own service site, as its HS_SITE values and site information
//! requests have it.

use super::Shared;
use super::answer::{Style, object};
use super::call::answered;
use super::data::site_json;
use super::handles::not_offered;
use super::refusal::Refusal;
use super::request::Parameters;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use idnode_proto::handle::{ResponseCode, Site};
use serde::Serialize;
use std::sync::Arc;

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<T: Serialize> {
    response_code: u32,
    site: T,
}

/// `/api/site`.
pub(super) async fn get(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_offered(request.method(), request.uri(), "GET, HEAD, OPTIONS");
    }
    let parameters = match Parameters::parse(request.uri().query()) {
        Ok(parameters) => parameters,
        Err(error) => return answered(error, "", Style::default()),
    };
    let style = Style::of(&parameters);
    match Site::decode(shared.core.resolver.own_site()) {
        Ok(site) => {
            let shown = Shown {
                response_code: ResponseCode::SUCCESS.0,
                site: site_json(site),
            };
            object(StatusCode::OK, style, &shown)
        }
        Err(error) => {
            let refusal = Refusal::new(ResponseCode::ERROR, format!("the site: {error}"));
            answered(refusal, "", style)
        }
    }
}
