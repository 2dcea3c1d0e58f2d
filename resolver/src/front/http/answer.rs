//! The JSON API's answers: response code, handle, message or values; plain, for people, or as
//! a script for a page that cannot read other origins (JSONP).

use super::data::ValueJson;
use super::request::Parameters;
use axum::body::{Body, Bytes};
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use idnode_proto::handle::ResponseCode;
use idnode_proto::value::ValueRef;
use serde::ser::{Serialize, Serializer};

/// The HTTP status that goes with a Handle response code.
pub(super) fn status_of(code: ResponseCode) -> StatusCode {
    match code {
        ResponseCode::SUCCESS | ResponseCode::VALUES_NOT_FOUND => StatusCode::OK,
        ResponseCode::BUSY | ResponseCode::BACKUP => StatusCode::SERVICE_UNAVAILABLE,
        ResponseCode::NOT_SUPPORTED => StatusCode::NOT_IMPLEMENTED,
        ResponseCode::HANDLE_NOT_FOUND => StatusCode::NOT_FOUND,
        ResponseCode::HANDLE_EXISTS | ResponseCode::VALUE_EXISTS => StatusCode::CONFLICT,
        ResponseCode::PROTOCOL_ERROR
        | ResponseCode::SESSION_TIMEOUT
        | ResponseCode::SESSION_FAILED
        | ResponseCode::INVALID_HANDLE
        | ResponseCode::INVALID_VALUE
        | ResponseCode::NOT_RESPONSIBLE => StatusCode::BAD_REQUEST,
        ResponseCode::SERVICE_REFERRAL | ResponseCode::PREFIX_REFERRAL => {
            StatusCode::MULTIPLE_CHOICES
        }
        ResponseCode::AUTHENTICATION_NEEDED => StatusCode::UNAUTHORIZED,
        ResponseCode::DAILY_QUOTA
        | ResponseCode::REGISTRATION_QUOTA
        | ResponseCode::PREFIX_QUOTA
        | ResponseCode::INVALID_ADMIN
        | ResponseCode::NO_PERMISSION
        | ResponseCode::AUTHENTICATION_FAILED
        | ResponseCode::INVALID_CREDENTIAL
        | ResponseCode::AUTHENTICATION_TIMEOUT
        | ResponseCode::UNABLE_TO_AUTHENTICATE => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style<'a> {
    pretty: bool,
    callback: Option<&'a str>,
}

impl<'a> Style<'a> {
    /// As the parameters ask.
    pub(super) fn of(parameters: &'a Parameters) -> Self {
        Self {
            pretty: parameters.pretty,
            callback: parameters.callback.as_deref(),
        }
    }

    /// Appends an object to an empty body.
    fn written(self, mut body: Vec<u8>, object: &impl Serialize) -> serde_json::Result<Vec<u8>> {
        if let Some(callback) = self.callback {
            // The comment keeps the name from being the first bytes of a file of another kind.
            body.extend_from_slice(b"/**/");
            body.extend_from_slice(callback.as_bytes());
            body.push(b'(');
        }
        if self.pretty {
            serde_json::to_writer_pretty(&mut body, object)?;
        } else {
            serde_json::to_writer(&mut body, object)?;
        }
        match self.callback {
            Some(_) => {
                body.extend_from_slice(b");");
                Ok(script_safe(body))
            }
            None => Ok(body),
        }
    }
}

/// An answer of the JSON API.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// Its code, which decides the HTTP status.
    pub(super) code: ResponseCode,
    /// The handle asked for, as the client wrote it.
    pub(super) handle: &'a str,
    /// What was wrong, and with which part.
    pub(super) message: Option<String>,
    /// What was asked for.
    pub(super) values: Option<&'a [ValueRef<'a>]>,
}

impl<'a> Answer<'a> {
    /// An error.
    pub(super) fn error(code: ResponseCode, handle: &'a str, message: impl Into<String>) -> Self {
        Self {
            code,
            handle,
            message: Some(message.into()),
            values: None,
        }
    }

    /// That what was asked for is done.
    pub(super) fn done(handle: &'a str) -> Self {
        Self {
            code: ResponseCode::SUCCESS,
            handle,
            message: None,
            values: None,
        }
    }

    /// The answer with its status and content type.
    pub(super) fn response(&self, style: Style<'_>) -> Response<Body> {
        self.response_as(status_of(self.code), style)
    }

    /// The same with another status.
    pub(super) fn response_as(&self, status: StatusCode, style: Style<'_>) -> Response<Body> {
        let (status, body) = match self.body(style) {
            Ok(body) => (status, body),
            // Writing what was decoded to memory has no way to fail.
            Err(error) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                error.to_string().into_bytes(),
            ),
        };
        with_body(status, style, body)
    }

    /// The bytes of the answer.
    pub(super) fn body(&self, style: Style<'_>) -> serde_json::Result<Vec<u8>> {
        let values: usize = self
            .values
            .unwrap_or_default()
            .iter()
            .map(|value| value.raw().len() + 128)
            .sum();
        style.written(Vec::with_capacity(128 + self.handle.len() + values), self)
    }
}

/// A response around any other object.
pub(super) fn object(
    status: StatusCode,
    style: Style<'_>,
    object: &impl Serialize,
) -> Response<Body> {
    match style.written(Vec::with_capacity(256), object) {
        Ok(body) => with_body(status, style, body),
        Err(error) => with_body(
            StatusCode::INTERNAL_SERVER_ERROR,
            Style::default(),
            error.to_string().into_bytes(),
        ),
    }
}

/// A response of the JSON API around a body of [`Answer::body`].
pub(super) fn with_body(
    status: StatusCode,
    style: Style<'_>,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    let kind = match style.callback {
        Some(_) => "application/javascript; charset=utf-8",
        None => "application/json",
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            response_code: u32,
            handle: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            values: Option<Values<'a>>,
        }
        let members = Members {
            response_code: self.code.0,
            handle: self.handle,
            message: self.message.as_deref(),
            values: self.values.map(Values),
        };
        members.serialize(serializer)
    }
}

struct Values<'a>(&'a [ValueRef<'a>]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ValueJson))
    }
}

/// Escapes U+2028 and U+2029, which end a line in scripts written before 2019's ECMAScript and
/// occur in JSON inside strings only.
fn script_safe(script: Vec<u8>) -> Vec<u8> {
    const SEPARATORS: [(&[u8], &[u8]); 2] = [
        ("\u{2028}".as_bytes(), b"\\u2028"),
        ("\u{2029}".as_bytes(), b"\\u2029"),
    ];
    if !script.contains(&0xe2) {
        return script;
    }
    let mut safe = Vec::with_capacity(script.len() + 16);
    let mut rest = script.as_slice();
    while let Some((first, after)) = rest.split_first() {
        match SEPARATORS
            .iter()
            .find(|(separator, _)| rest.starts_with(separator))
        {
            Some((separator, escape)) => {
                safe.extend_from_slice(escape);
                rest = rest.get(separator.len()..).unwrap_or_default();
            }
            None => {
                safe.push(*first);
                rest = after;
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scripts_hold_no_line_separator() {
        let answer = Answer::error(
            ResponseCode::HANDLE_NOT_FOUND,
            "88.118.8/\u{2028}\u{2029}产",
            "m",
        );
        let style = Style {
            pretty: false,
            callback: Some("a.b"),
        };
        let body = String::from_utf8(answer.body(style).unwrap()).unwrap();
        assert_eq!(
            body,
            r#"/**/a.b({"responseCode":100,"handle":"88.118.8/\u2028\u2029产","message":"m"});"#
        );
    }

    #[test]
    fn every_response_code_has_the_status_that_clients_expect() {
        let expected = [
            (1, 200),
            (2, 500),
            (3, 503),
            (5, 501),
            (7, 503),
            (100, 404),
            (101, 409),
            (102, 400),
            (200, 200),
            (201, 409),
            (301, 400),
            (302, 300),
            (303, 300),
            (400, 403),
            (401, 403),
            (402, 401),
            (403, 403),
            (404, 403),
        ];
        for (code, status) in expected {
            assert_eq!(status_of(ResponseCode(code)).as_u16(), status, "{code}");
        }
    }
}
