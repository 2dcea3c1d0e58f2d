//! Bodies that nobody has read to their end when the answer is there. A client that is still
//! sending takes the end of its stream, or connection, for a failure, whatever was answered, so what
//! is left is read first. Not from a client that waits for `100 Continue`: it must not be told to send
//! what is not wanted. Where something is left even so, the connection ends, and the answer says that.

use axum::body::Body;
use axum::http::{Version, header};
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
pub(super) struct Unread {
    back: Option<Arc<Mutex<Option<Incoming>>>>,
    /// Its client waits to be told to send it.
    is_withheld: bool,
}

impl Unread {
    /// Of a request.
    pub(super) fn of(request: &hyper::Request<Incoming>) -> Self {
        let is_http2 = request.version() == Version::HTTP_2;
        Self {
            back: (!request.body().is_end_stream()).then(Arc::default),
            is_withheld: !is_http2 && request.headers().contains_key(header::EXPECT),
        }
    }

    /// The body for who may read it.
    pub(super) fn lend(&self, body: Incoming) -> Body {
        match &self.back {
            None => Body::new(body),
            Some(back) => Body::new(Lent {
                body: Some(body),
                back: back.clone(),
            }),
        }
    }

    /// Takes back what nobody was shown.
    pub(super) fn leave(&self, body: Incoming) {
        if let Some(back) = &self.back {
            *back.lock() = Some(body);
        }
    }

    /// Reads what is left, up to a point; whether that was all.
    pub(super) async fn discard(&self, limit: Duration) -> bool {
        let left = self.back.as_ref().and_then(|back| back.lock().take());
        match left.filter(|body| !body.is_end_stream()) {
            None => true,
            Some(_) if self.is_withheld => false,
            Some(body) => tokio::time::timeout(limit, discard(body)).await == Ok(true),
        }
    }
}

/// Reads what is left of a body, up to a point; whether that was all.
pub(super) async fn discard(mut body: Incoming) -> bool {
    let mut left = DISCARDED_BYTES;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return false;
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
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
