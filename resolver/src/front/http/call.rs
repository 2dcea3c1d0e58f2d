//! A request to the JSON API for one identifier: what all its methods begin with.

use super::Shared;
use super::answer::Style;
use super::auth::{Shown, authenticate};
use super::deadline::Deadline;
use super::refusal::Refusal;
use super::request::{self, Parameters};
use super::target;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, Uri};
use idnode_proto::identifier::{Identifier, MAX_IDENTIFIER_BYTES};
use idnode_registry::Caller;
use std::sync::Arc;

/// A request for one identifier.
#[derive(Debug)]
pub(super) struct Call {
    /// What every request works with.
    pub(super) shared: Arc<Shared>,
    /// When it must be answered.
    pub(super) deadline: Deadline,
    /// What its query says.
    pub(super) parameters: Parameters,
    /// What it is about.
    pub(super) identifier: Identifier,
    /// Who sends it.
    pub(super) caller: Caller,
    /// Where it was sent.
    pub(super) uri: Uri,
    /// Whether it is sent on to HTTPS where there is a choice.
    pub(super) prefers_https: bool,
}

impl Call {
    /// Reads a path behind `lead`, a query and a credential.
    ///
    /// # Errors
    /// The answer to what cannot be read.
    pub(super) async fn begin(
        shared: &Arc<Shared>,
        lead: &str,
        parts: &Parts,
    ) -> Result<Self, Response<Body>> {
        let (deadline, uri) = (Deadline::of(shared), &parts.uri);
        let path = uri.path().strip_prefix(lead).unwrap_or_default();
        let parameters = Parameters::parse(uri.query())
            .map_err(|error| answered(Refusal::from(error), path, Style::default()))?;
        let style = Style::of(&parameters);
        let text = request::decoded(path).map_err(|error| answered(error, path, style))?;
        let named = super::mint::named(&text, &parameters);
        let identifier =
            named.map_err(|refusal| answered(refusal, &text, Style::of(&parameters)))?;
        let shown = Shown::of(parts).without_ambient(parameters.callback.is_some());
        let caller = authenticate(shared, shown, deadline)
            .await
            .map_err(|refusal| answered(refusal, &identifier.display(), style))?;
        Ok(Self {
            shared: shared.clone(),
            deadline,
            identifier,
            caller,
            uri: uri.clone(),
            prefers_https: target::prefers_https(parts),
            parameters,
        })
    }

    /// How it is answered.
    pub(super) fn style(&self) -> Style<'_> {
        Style::of(&self.parameters)
    }

    /// The answer to a request that is not fulfilled.
    pub(super) fn refused(&self, refusal: impl Into<Refusal>) -> Response<Body> {
        answered(refusal, &self.identifier.display(), self.style())
    }
}

/// A refusal's answer for a handle as the client wrote it.
pub(super) fn answered(
    refusal: impl Into<Refusal>,
    handle: &str,
    style: Style<'_>,
) -> Response<Body> {
    let refusal = refusal.into();
    // Of what is far too long the beginning says which it was.
    let handle = handle
        .get(..handle.floor_char_boundary(MAX_IDENTIFIER_BYTES))
        .unwrap_or_default();
    refusal.response(handle, style)
}
