//! Errors outside the JSON API: problem details (RFC 9457), with the part of the request that
//! was wrong.

use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use idnode_proto::handle::ResponseCode;
use serde::Serialize;

/// In front of a problem's name in its `type`.
const TYPE_LEAD: &str = "urn:idnode:problem:";

/// A problem to be told.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    name: &'static str,
    detail: String,
    part: Option<&'static str>,
    values: Option<String>,
    code: Option<ResponseCode>,
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a str>,
    #[serde(rename = "responseCode", skip_serializing_if = "Option::is_none")]
    response_code: Option<u32>,
}

impl Problem {
    /// A problem whose `type` ends in `name`, words joined by hyphens.
    pub(super) fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            name,
            detail: detail.into(),
            part: None,
            values: None,
            code: None,
        }
    }

    /// Which part of the request it is about.
    pub(super) fn part(mut self, part: &'static str) -> Self {
        self.part = Some(part);
        self
    }

    /// The Handle protocol's code for it, which clients of the JSON API look for wherever they
    /// are led.
    pub(super) fn code(mut self, code: ResponseCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Where the identifier's values are.
    pub(super) fn values(mut self, url: String) -> Self {
        self.values = Some(url);
        self
    }

    /// The same with words in front of its detail.
    pub(super) fn because(mut self, lead: &str) -> Self {
        self.detail.insert_str(0, lead);
        self
    }

    /// The answer; `instance` is the request's path.
    pub(super) fn response(&self, instance: &str) -> Response<Body> {
        let title = self.name.replace('-', " ");
        let details = Details {
            r#type: format!("{TYPE_LEAD}{}", self.name),
            title: &title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            part: self.part,
            values: self.values.as_deref(),
            response_code: self.code.map(|code| code.0),
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let fields = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            ),
            // 404, 410, 414 and others may otherwise be kept for as long as a cache likes.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        let mut response = (self.status, fields, body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
