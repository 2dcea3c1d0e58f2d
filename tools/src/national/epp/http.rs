//! EPP over HTTP: a cookie is a session, GET greets, POST takes a document and answers it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use idnode_proto::epp::frame::MAX_DOCUMENT_BYTES;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::engine::{Engine, Reply, Session};
use super::server::{HANDSHAKE, wrong_answer};
use crate::national::faults::{Channel, Faults, Kind};

const MEDIA_TYPE: &str = "application/epp+xml";
const COOKIE_NAME: &str = "epp";
/// Sessions at once; the one that was silent longest goes.
const MAX_SESSIONS: usize = 256;
/// How long an answer that is dropped is waited for.
const NEVER: Duration = Duration::from_secs(3_600);

struct Server {
    engine: Arc<Engine>,
    faults: Arc<Faults>,
    sessions: Mutex<HashMap<String, (Instant, Session)>>,
}

/// What is served: one path.
pub(super) fn router(engine: Arc<Engine>, faults: Arc<Faults>) -> Router {
    let server = Arc::new(Server {
        engine,
        faults,
        sessions: Mutex::default(),
    });
    Router::new()
        .route("/", get(greet).post(answer))
        .layer(DefaultBodyLimit::max(MAX_DOCUMENT_BYTES))
        .with_state(server)
}

/// Serves HTTP until the process ends.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    if let Err(error) = axum::serve(listener, router).await {
        eprintln!("idnational: EPP over HTTP: {error}");
    }
}

/// Serves HTTPS until the process ends, to clients that show a certificate.
pub(super) async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, router: Router) {
    let places = Arc::new(Semaphore::new(MAX_SESSIONS));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                let service = TowerToHyperService::new(router);
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // How a client breaks off is of no interest.
                let _ = serving.await;
            }
            drop(place);
        });
    }
}

impl Server {
    fn open(&self) -> Result<String, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let id = data_encoding::HEXLOWER.encode(&random);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, (at, _))| *at);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(id.clone(), (Instant::now(), Session::default()));
        Ok(id)
    }

    fn take(&self, id: &str) -> Option<Session> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(id).map(|(_, session)| session)
    }

    fn keep(&self, id: String, session: Session) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(id, (Instant::now(), session));
    }
}

async fn greet(State(server): State<Arc<Server>>) -> Response {
    if server.faults.is_down(Channel::Epp) {
        server.faults.next(Channel::Epp);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match server.open() {
        Ok(id) => {
            let cookie = format!("{COOKIE_NAME}={id}; HttpOnly; SameSite=Strict");
            let headers = [(SET_COOKIE, cookie), (CONTENT_TYPE, MEDIA_TYPE.to_owned())];
            (headers, server.engine.greeting()).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn answer(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    document: Bytes,
) -> Response {
    let fault = server.faults.next(Channel::Epp);
    let kind = fault.as_ref().map(|it| it.kind);
    if kind == Some(Kind::Down) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let cookies = headers
        .get(COOKIE)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    let mut cookies = cookies
        .split(';')
        .filter_map(|it| it.trim().split_once('='));
    let id = cookies
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, id)| id.to_owned());
    let Some((id, mut session)) = id.and_then(|id| Some((id.clone(), server.take(&id)?))) else {
        return (StatusCode::FORBIDDEN, "no session: GET begins one").into_response();
    };
    let engine = server.engine.clone();
    let answered = tokio::task::spawn_blocking(move || {
        let reply = engine.answer(&mut session, &document);
        (session, reply)
    });
    let Ok((session, Reply { document, closes })) = answered.await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if !closes {
        server.keep(id, session);
    }
    let xml = |document: String| ([(CONTENT_TYPE, MEDIA_TYPE)], document).into_response();
    match kind {
        // On HTTP nothing comes after an answer, so that what is late is lost.
        Some(Kind::Drop | Kind::Reorder) => {
            sleep(NEVER).await;
            StatusCode::REQUEST_TIMEOUT.into_response()
        }
        Some(Kind::Delay) => {
            sleep(Duration::from_millis(fault.map_or(0, |it| it.delay_ms))).await;
            xml(document)
        }
        Some(Kind::HalfAnswer) => half(&document),
        Some(Kind::WrongAnswer) => xml(wrong_answer()),
        Some(Kind::Duplicate | Kind::Down) | None => xml(document),
    }
}

/// The first half of an answer, under the length of the whole.
fn half(document: &str) -> Response {
    let length = document.len().to_string();
    let bytes = document.as_bytes();
    let half = Bytes::copy_from_slice(bytes.get(..bytes.len() / 2).unwrap_or_default());
    let stream = futures_util::stream::iter([Ok::<_, Infallible>(half)]);
    let headers = [
        (CONTENT_TYPE, MEDIA_TYPE.to_owned()),
        (CONTENT_LENGTH, length),
    ];
    (headers, Body::from_stream(stream)).into_response()
}
