//! DNS over HTTPS (RFC 8484): HTTP/2 and HTTP/1.1, queries by GET and by POST.

use super::accept::Acceptor;
use super::bound_counter;
use super::peer::{Peer, Transport};
use super::stream::Connections;
use super::wire::freshness_s;
use crate::front::lifetime::Watch;
use crate::front::tls::Handshakes;
use crate::front::unread::discard;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use metrics::Counter;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Where queries are asked: what clients expect (RFC 8484 §4.1.1 and the discovery of RFC 9461).
const PATH: &str = "/dns-query";
const MEDIA_TYPE: &str = "application/dns-message";
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");
/// Greatest message, bytes (RFC 8484 §6).
const MAX_MESSAGE_BYTES: usize = u16::MAX as usize;
/// Longest path and query, bytes: a message of 12,000 in base64.
const MAX_URI_BYTES: usize = 16 << 10;
/// Most bytes of a request's head; a URI that is somewhat too long is still answered as such.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Counts where a request met a bound.
#[derive(Clone)]
struct Bounds {
    message: Counter,
    uri: Counter,
}

/// Serves DNS over HTTPS until the node shuts down.
pub(super) async fn serve(acceptor: Acceptor, handshakes: Handshakes, connections: Connections) {
    let shutdown = connections.shutdown.clone();
    let bounds = Bounds {
        message: bound_counter("dns_https_message_size"),
        uri: bound_counter("dns_https_uri"),
    };
    let connection = |stream, addr| {
        let (handshakes, shared, bounds) =
            (handshakes.clone(), connections.clone(), bounds.clone());
        async move {
            if let Some(stream) = handshakes.accept(stream).await {
                talk(stream, addr, shared, bounds).await;
            }
        }
    };
    acceptor.serve(shutdown, connection).await;
}

async fn talk(stream: TlsStream<TcpStream>, addr: SocketAddr, shared: Connections, bounds: Bounds) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let streams = u32::try_from(shared.limits.max_queries).unwrap_or(u32::MAX);
    let idle = shared.limits.idle;
    let watch = Watch::new(idle, shared.shutdown.clone());
    let begun = watch.begun();
    let client = Arc::new(Client {
        peer: Peer::new(addr, Transport::Https),
        shared,
        bounds,
    });
    let service = service_fn(move |request| {
        begun.one_more();
        respond(client.clone(), request)
    });
    let io = TokioIo::new(stream);
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(streams)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .max_send_buf_size(MAX_MESSAGE_BYTES)
            .serve_connection(io, service);
        watch.drive(connection).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(io, service);
        watch.drive(connection).await;
    }
}

/// Who asks on a connection.
struct Client {
    peer: Peer,
    shared: Connections,
    bounds: Bounds,
}

type Answer = Response<Full<Bytes>>;

/// A request that no answer of DNS belongs to.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    /// One line for people.
    reason: &'static str,
}

const fn refusal(status: StatusCode, reason: &'static str) -> Refusal {
    Refusal { status, reason }
}

async fn respond(client: Arc<Client>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, mut body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let answered = match client.query_of(&head, &mut body).await {
        Ok(query) => client.answer(&query).await,
        Err(refusal) => {
            // Clients that are still sending would take an early answer for a failure.
            let _ = tokio::time::timeout(client.shared.limits.idle, discard(body)).await;
            Err(refusal)
        }
    };
    let mut response = answered.unwrap_or_else(|refusal| refused(&refusal));
    if is_head {
        // The head says what GET would answer (RFC 9110 §9.3.2).
        *response.body_mut() = Full::default();
    }
    Ok(response)
}

impl Client {
    /// The message of a request.
    async fn query_of(&self, head: &Parts, body: &mut Incoming) -> Result<Bytes, Refusal> {
        if head.uri.path() != PATH {
            let reason = "queries are asked at /dns-query";
            return Err(refusal(StatusCode::NOT_FOUND, reason));
        }
        match head.method {
            Method::GET | Method::HEAD => self.query_of_uri(&head.uri),
            Method::POST => self.query_of_body(&head.headers, body).await,
            _ => {
                let reason = "queries are asked by GET or POST";
                Err(refusal(StatusCode::METHOD_NOT_ALLOWED, reason))
            }
        }
    }

    fn query_of_uri(&self, uri: &Uri) -> Result<Bytes, Refusal> {
        let query = uri.query().unwrap_or_default();
        if PATH.len() + 1 + query.len() > MAX_URI_BYTES {
            self.bounds.uri.increment(1);
            let reason = "the URI is too long: ask by POST";
            return Err(refusal(StatusCode::URI_TOO_LONG, reason));
        }
        message_in(query).map(Bytes::from)
    }

    async fn query_of_body(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Result<Bytes, Refusal> {
        if !is_dns_message(headers) {
            let reason = "the body must be application/dns-message";
            return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
        }
        if body.size_hint().lower() > MAX_MESSAGE_BYTES as u64 {
            return Err(self.too_large());
        }
        let body = Limited::new(body, MAX_MESSAGE_BYTES).collect();
        match tokio::time::timeout(self.shared.limits.idle, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(self.too_large()),
            Ok(Err(_)) => {
                let reason = "the body could not be read";
                Err(refusal(StatusCode::BAD_REQUEST, reason))
            }
            Err(_) => {
                self.shared.meters.count_unfinished();
                let reason = "the body did not come in time";
                Err(refusal(StatusCode::REQUEST_TIMEOUT, reason))
            }
        }
    }

    fn too_large(&self) -> Refusal {
        self.bounds.message.increment(1);
        let reason = "a DNS message has at most 65535 bytes";
        refusal(StatusCode::PAYLOAD_TOO_LARGE, reason)
    }

    async fn answer(&self, query: &[u8]) -> Result<Answer, Refusal> {
        let answer = self.shared.exchange.answer(query, &self.peer).await;
        let Some(answer) = answer else {
            let reason = "what was sent is no DNS query";
            return Err(refusal(StatusCode::BAD_REQUEST, reason));
        };
        let mut response = Response::new(Full::default());
        let fields = response.headers_mut();
        let max_age = format!("max-age={}", freshness_s(&answer));
        put(fields, header::CONTENT_TYPE, MEDIA_TYPE);
        put(fields, header::CACHE_CONTROL, &max_age);
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.len()));
        *response.body_mut() = Full::from(answer);
        Ok(response)
    }
}

fn refused(refusal: &Refusal) -> Answer {
    let text = format!("{}\n", refusal.reason);
    let mut response = Response::new(Full::default());
    *response.status_mut() = refusal.status;
    let fields = response.headers_mut();
    put(fields, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    put(fields, header::CACHE_CONTROL, "no-store");
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
        fields.insert(header::ALLOW, METHODS);
    }
    *response.body_mut() = Full::from(text);
    response
}

fn put(fields: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        fields.insert(name, value);
    }
}

/// The message in the parameter `dns` of a query: base64url without padding (RFC 8484 §6).
fn message_in(query: &str) -> Result<Vec<u8>, Refusal> {
    let bad = |reason| refusal(StatusCode::BAD_REQUEST, reason);
    let mut values = query
        .split('&')
        .filter_map(|parameter| parameter.strip_prefix("dns="));
    let text = values.next().ok_or(bad(
        "the parameter dns is missing: ?dns= and a DNS message in base64url",
    ))?;
    if values.next().is_some() {
        return Err(bad("the parameter dns is there twice"));
    }
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| bad("the parameter dns is not base64url without padding"))
}

/// Whether a body is said to be a DNS message; parameters mean nothing (RFC 8484 §6).
fn is_dns_message(headers: &HeaderMap) -> bool {
    let field = headers.get(header::CONTENT_TYPE);
    let text = field
        .and_then(|field| field.to_str().ok())
        .unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_message_is_one_parameter_in_base64url() {
        assert_eq!(message_in("dns=AAE").unwrap(), [0, 1]);
        assert_eq!(message_in("ct&dns=_-8&x=dns").unwrap(), [0xff, 0xef]);
        assert_eq!(message_in("dns=").unwrap(), [0; 0]);
        for bad in [
            "",
            "dns",
            "xdns=AAE",
            "dns=AAE=",
            "dns=A",
            "dns=+/8",
            "dns=AAE&dns=AAE",
        ] {
            assert_eq!(
                message_in(bad).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{bad}"
            );
        }
    }
}
