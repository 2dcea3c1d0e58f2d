//! IdentifierService: identifiers one at a time, and listings. The streams are in
//! [`super::import`] and [`super::export`].

use super::call::{Api, idempotency};
use super::convert::{self, record, value};
use super::status::Result;
use super::{auth, export, import};
use crate::clock;
use idnode_proto::api;
use idnode_proto::api::identifier_service_server::IdentifierService;
use idnode_registry::write::{Command, Draft, SetMode};
use std::mem::take;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl IdentifierService for Api {
    async fn create_identifier(
        &self,
        request: Request<api::CreateIdentifierRequest>,
    ) -> std::result::Result<Response<api::WriteReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("CreateIdentifier", key, &request);
            let draft = draft(
                &request.identifier,
                &request.values,
                request.template,
                now_s(),
            )?;
            Ok(convert::receipt(
                &api.write(&caller, idempotency, Command::CreateIdentifier(draft))
                    .await?,
            ))
        })
        .await
    }

    async fn update_identifier(
        &self,
        request: Request<api::UpdateIdentifierRequest>,
    ) -> std::result::Result<Response<api::WriteReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("UpdateIdentifier", key, &request);
            let command = Command::update_handle(
                convert::identifier(&request.identifier, "identifier")?,
                value::parse_all(&request.set_values, "set_values")?,
                SetMode::Put,
                request.remove_indexes,
                request.replace_all,
                request.template,
                request.expected_version,
                now_s(),
            )?;
            Ok(convert::receipt(
                &api.write(&caller, idempotency, command).await?,
            ))
        })
        .await
    }

    async fn delete_identifier(
        &self,
        request: Request<api::DeleteIdentifierRequest>,
    ) -> std::result::Result<Response<api::WriteReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("DeleteIdentifier", key, &request);
            let command = Command::DeleteIdentifier {
                identifier: convert::identifier(&request.identifier, "identifier")?,
                reason: request.reason,
                expected_version: request.expected_version,
            };
            Ok(convert::receipt(
                &api.write(&caller, idempotency, command).await?,
            ))
        })
        .await
    }

    async fn get_identifier(
        &self,
        request: Request<api::GetIdentifierRequest>,
    ) -> std::result::Result<Response<api::IdentifierRecord>, Status> {
        self.unary(request, |api, caller, request| async move {
            let asked = convert::identifier(&request.identifier, "identifier")?;
            let (identifier, found) = api.registry().get_identifier(&caller, &asked)?;
            Ok(record::shown(&identifier, found))
        })
        .await
    }

    async fn list_identifiers(
        &self,
        request: Request<api::ListIdentifiersRequest>,
    ) -> std::result::Result<Response<api::ListIdentifiersResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let prefix = convert::prefix(&request.prefix, "prefix")?;
            let page = convert::page(request.page);
            api.read(move |registry| {
                let listed =
                    registry.list_identifiers(&caller, &prefix, &page, request.include_deleted)?;
                let identifiers = listed.items.into_iter().map(|(identifier, mut found)| {
                    if request.without_values {
                        found.value_count = 0;
                    }
                    record::shown(&identifier, found)
                });
                Ok(api::ListIdentifiersResponse {
                    identifiers: identifiers.collect(),
                    next_page_token: listed.next_token,
                })
            })
            .await
        })
        .await
    }

    type ImportStream = Answers<api::ImportResponse>;

    async fn import(
        &self,
        request: Request<Streaming<api::ImportRequest>>,
    ) -> std::result::Result<Response<Self::ImportStream>, Status> {
        let (metadata, _, inbound) = request.into_parts();
        auth::known(&self.core, &metadata).map_err(|refused| self.refuse(refused))?;
        Ok(Response::new(Box::pin(import::answers(
            self.clone(),
            metadata,
            inbound,
        ))))
    }

    type ExportStream = Answers<api::ExportResponse>;

    async fn export(
        &self,
        request: Request<api::ExportRequest>,
    ) -> std::result::Result<Response<Self::ExportStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let started = auth::known(&self.core, &metadata)
            .and_then(|caller| export::start(self, caller, &request));
        Ok(Response::new(Box::pin(
            started.map_err(|refused| self.refuse(refused))?,
        )))
    }
}

/// An identifier to be registered, checked.
pub(super) fn draft(
    identifier: &str,
    values: &[api::Value],
    template: String,
    now_s: u32,
) -> Result<Draft> {
    let identifier = convert::identifier(identifier, "identifier")?;
    let values = value::parse_all(values, "values")?;
    let template = Some(template).filter(|name| !name.is_empty());
    Ok(Draft::new(identifier, values, template, now_s)?)
}

/// Seconds since the Unix epoch, now: what a value without a timestamp gets.
pub(super) fn now_s() -> u32 {
    u32::try_from(clock::now_s()).unwrap_or(u32::MAX)
}
