//! EPP over HTTP: a session is its cookies, whatever connections it takes. GET greets, POST takes a document
//! and answers it.

use super::Options;
use super::link::{LinkError, over_tls};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use hyper::{HeaderMap, Method, Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use idnode_proto::epp::frame::MAX_DOCUMENT_BYTES;
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

/// The media type of EPP (RFC 5730 section 8).
const MEDIA_TYPE: &str = "application/epp+xml";
/// Most cookies that are kept; further ones are passed over.
const MAX_COOKIES: usize = 32;
/// The longest one, bytes.
const MAX_COOKIE_BYTES: usize = 4_096;

/// Any stream that bytes go over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl Stream for TcpStream {}
impl Stream for TlsStream<TcpStream> {}

/// A session over HTTP.
pub(super) struct Http {
    options: Options,
    uri: Uri,
    cookies: Cookies,
    /// `None`: the next request makes one.
    connection: Option<Connection>,
}

/// A connection that takes one request after another.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Http {
    /// A session at the server of the options, which nothing is asked yet.
    pub fn new(options: &Options) -> Result<Self, LinkError> {
        Ok(Self {
            uri: options.server.parse().map_err(LinkError::answer)?,
            options: options.clone(),
            cookies: Cookies::default(),
            connection: None,
        })
    }

    /// Asks, over a new connection if the last one is of no more use.
    pub async fn ask(&mut self, method: Method, document: &str) -> Result<String, LinkError> {
        let request = self.request(method, document)?;
        let answer = self.send(request).await?;
        let closes = closes(&answer);
        let status = answer.status();
        self.cookies.take(answer.headers());
        let body = Limited::new(answer.into_body(), MAX_DOCUMENT_BYTES);
        let body = body.collect().await.map_err(LinkError::answer)?.to_bytes();
        if closes {
            self.connection = None;
        }
        if !status.is_success() {
            return Err(LinkError::answer(format!("the server answers {status}")));
        }
        String::from_utf8(body.into()).map_err(LinkError::answer)
    }

    fn request(&self, method: Method, document: &str) -> Result<Request<Full<Bytes>>, LinkError> {
        let target = self.uri.path_and_query().map_or("/", |it| it.as_str());
        let host = self.uri.authority().map_or("", |it| it.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, host)
            .header(ACCEPT, MEDIA_TYPE)
            .header(CONTENT_TYPE, MEDIA_TYPE);
        if let Some(cookies) = self.cookies.header() {
            request = request.header(COOKIE, cookies);
        }
        let body = Full::new(Bytes::copy_from_slice(document.as_bytes()));
        request.body(body).map_err(LinkError::answer)
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, LinkError> {
        let mut unsent = request;
        if let Some(mut kept) = self.connection.take()
            && kept.sender.ready().await.is_ok()
        {
            match kept.sender.try_send_request(unsent).await {
                Ok(answer) => {
                    self.connection = Some(kept);
                    return Ok(answer);
                }
                // The server has closed it, and has not seen the request.
                Err(mut error) => match error.take_message() {
                    Some(request) => unsent = request,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let made = self.connect().await?;
        let made = self.connection.insert(made);
        made.sender.ready().await?;
        Ok(made.sender.send_request(unsent).await?)
    }

    async fn connect(&self) -> Result<Connection, LinkError> {
        let is_tls = self.uri.scheme_str() == Some("https");
        let host = self.uri.host().unwrap_or_default();
        let port = self.uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = (host.trim_matches(['[', ']']), port);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match is_tls {
            true => Box::new(over_tls(&self.options, stream, host).await?),
            false => Box::new(stream),
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the EPP server ended");
            }
        });
        Ok(Connection { sender, driver })
    }
}

/// Whether an answer is the last one of its connection (RFC 9112 section 9.3).
fn closes(answer: &Response<Incoming>) -> bool {
    let all = answer.headers().get_all(CONNECTION);
    let options: Vec<&str> = all
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .map(str::trim)
        .collect();
    let has = |name: &str| options.iter().any(|it| it.eq_ignore_ascii_case(name));
    has("close") || answer.version() < Version::HTTP_11 && !has("keep-alive")
}

/// The cookies of a session, by their names. What else is said of a cookie is of no interest: all are of one
/// server, and end with the session.
#[derive(Debug, Default)]
struct Cookies(BTreeMap<String, String>);

impl Cookies {
    /// Keeps what an answer sets, in place of what had the same name.
    fn take(&mut self, headers: &HeaderMap) {
        for set in headers.get_all(SET_COOKIE) {
            let pair = set.to_str().ok().and_then(|it| it.split(';').next());
            let Some((name, value)) = pair.and_then(|it| it.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            let fits = self.0.len() < MAX_COOKIES || self.0.contains_key(name);
            if !name.is_empty() && name.len() + value.len() <= MAX_COOKIE_BYTES && fits {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// All of them, as they are sent back; `None`: there are none.
    fn header(&self) -> Option<String> {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let pairs: Vec<String> = pairs.collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cookies_are_kept_by_name() {
        let mut cookies = Cookies::default();
        assert_eq!(cookies.header(), None);
        let mut take = |set: &[&str]| {
            let mut headers = HeaderMap::new();
            for set in set {
                headers.append(SET_COOKIE, set.parse().unwrap());
            }
            cookies.take(&headers);
            cookies.header()
        };
        let first = take(&[
            "route=a; Path=/",
            "session = 1=2 ;HttpOnly",
            "nonsense",
            "=x",
        ]);
        assert_eq!(first.as_deref(), Some("route=a; session=1=2"));
        let second = take(&["session=3; Secure"]);
        assert_eq!(second.as_deref(), Some("route=a; session=3"));
        let many: Vec<String> = (0..100).map(|number| format!("c{number}=1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(take(&many).unwrap().split(';').count(), MAX_COOKIES);
    }
}
