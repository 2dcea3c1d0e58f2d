//! TemplateService.

use super::call::{Api, idempotency};
use super::convert::{self, required, template};
use idnode_proto::api;
use idnode_proto::api::template_service_server::TemplateService;
use idnode_registry::write::{Command, Outcome};
use std::mem::take;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl TemplateService for Api {
    async fn put_template(
        &self,
        request: Request<api::PutTemplateRequest>,
    ) -> std::result::Result<Response<api::TemplateReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("PutTemplate", key, &request);
            let command = Command::PutTemplate {
                template: template::parse(required(request.template, "template")?)?,
                expected_version: request.expected_version,
            };
            let receipt = api.write(&caller, idempotency, command).await?;
            let answered = Some(convert::receipt(&receipt));
            let template = match receipt.outcome {
                Outcome::Template(template) => Some(template::shown(*template)),
                _ => None,
            };
            Ok(api::TemplateReceipt {
                receipt: answered,
                template,
            })
        })
        .await
    }

    async fn get_template(
        &self,
        request: Request<api::GetTemplateRequest>,
    ) -> std::result::Result<Response<api::Template>, Status> {
        self.unary(request, |api, caller, request| async move {
            Ok(template::shown(
                api.registry().get_template(&caller, &request.name)?,
            ))
        })
        .await
    }

    async fn list_templates(
        &self,
        request: Request<api::ListTemplatesRequest>,
    ) -> std::result::Result<Response<api::ListTemplatesResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let page = convert::page(request.page);
            let listed = api
                .read(move |registry| registry.list_templates(&caller, &page))
                .await?;
            Ok(api::ListTemplatesResponse {
                templates: listed.items.into_iter().map(template::shown).collect(),
                next_page_token: listed.next_token,
            })
        })
        .await
    }

    async fn delete_template(
        &self,
        request: Request<api::DeleteTemplateRequest>,
    ) -> std::result::Result<Response<api::WriteReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("DeleteTemplate", key, &request);
            let command = Command::DeleteTemplate {
                name: request.name,
                expected_version: request.expected_version,
            };
            Ok(convert::receipt(
                &api.write(&caller, idempotency, command).await?,
            ))
        })
        .await
    }
}
