//! Bodies that nobody has read to their end when the answer is there. A client that is still
//! sending over HTTP/2 takes the end of its stream for a failure, whatever was answered, so what
//! is left is read first. Over HTTP/1.1 it is not: a client that waits for `100 Continue` must not
//! be told to send what is not wanted.

use axum::body::Body;
use axum::http::Version;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Most bytes that are read to be thrown away.
const DISCARDED_BYTES: usize = 256 << 10;

/// Where a request's body comes back to.
pub(super) struct Unread(Option<Arc<Mutex<Option<Incoming>>>>);

impl Unread {
    /// Of a request that has a body over HTTP/2.
    pub(super) fn of(request: &hyper::Request<Incoming>) -> Self {
        let wanted = request.version() == Version::HTTP_2 && !request.body().is_end_stream();
        Self(wanted.then(Arc::default))
    }

    /// The body for who may read it.
    pub(super) fn lend(&self, body: Incoming) -> Body {
        match &self.0 {
            None => Body::new(body),
            Some(back) => Body::new(Lent {
                body: Some(body),
                back: back.clone(),
            }),
        }
    }

    /// Takes back what nobody was shown.
    pub(super) fn leave(&self, body: Incoming) {
        if let Some(back) = &self.0 {
            *back.lock() = Some(body);
        }
    }

    /// Reads what is left, up to a point.
    pub(super) async fn discard(&self, limit: Duration) {
        let left = self.0.as_ref().and_then(|back| back.lock().take());
        if let Some(body) = left.filter(|body| !body.is_end_stream()) {
            let _ = tokio::time::timeout(limit, discard(body)).await;
        }
    }
}

/// Reads what is left of a body, up to a point.
pub(super) async fn discard(mut body: Incoming) {
    let mut left = DISCARDED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// A body that is given back by who drops it.
struct Lent {
    body: Option<Incoming>,
    back: Arc<Mutex<Option<Incoming>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.back.lock() = self.body.take();
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map(Incoming::size_hint)
            .unwrap_or_default()
    }
}
