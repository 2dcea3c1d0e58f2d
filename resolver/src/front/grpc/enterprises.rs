//! EnterpriseService.

use super::call::{Api, idempotency};
use super::convert::{self, enterprise, required};
use super::status::Result;
use idnode_proto::api;
use idnode_proto::api::enterprise_service_server::EnterpriseService;
use idnode_proto::api::get_enterprise_request::By;
use idnode_registry::write::{Command, Outcome, Receipt};
use std::mem::take;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl EnterpriseService for Api {
    async fn create_enterprise(
        &self,
        request: Request<api::CreateEnterpriseRequest>,
    ) -> std::result::Result<Response<api::EnterpriseReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("CreateEnterprise", key, &request);
            let profile = enterprise::parse_profile(required(request.profile, "profile")?)?;
            let receipt = api
                .write(&caller, idempotency, Command::CreateEnterprise { profile })
                .await?;
            Ok(answer(receipt))
        })
        .await
    }

    async fn get_enterprise(
        &self,
        request: Request<api::GetEnterpriseRequest>,
    ) -> std::result::Result<Response<api::Enterprise>, Status> {
        self.unary(request, |api, caller, request| async move {
            let found = match required(request.by, "by")? {
                By::Id(id) => api
                    .registry()
                    .get_enterprise(&caller, convert::enterprise_id(&id, "id")?)?,
                By::CertificateCode(code) => api.registry().find_enterprise(&caller, &code)?,
            };
            Ok(enterprise::shown(found))
        })
        .await
    }

    async fn list_enterprises(
        &self,
        request: Request<api::ListEnterprisesRequest>,
    ) -> std::result::Result<Response<api::ListEnterprisesResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let page = convert::page(request.page);
            let listed = api
                .read(move |registry| registry.list_enterprises(&caller, &page))
                .await?;
            Ok(api::ListEnterprisesResponse {
                enterprises: listed.items.into_iter().map(enterprise::shown).collect(),
                next_page_token: listed.next_token,
            })
        })
        .await
    }

    async fn update_enterprise(
        &self,
        request: Request<api::UpdateEnterpriseRequest>,
    ) -> std::result::Result<Response<api::EnterpriseReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("UpdateEnterprise", key, &request);
            let command = Command::UpdateEnterprise {
                id: convert::enterprise_id(&request.id, "id")?,
                profile: enterprise::parse_profile(required(request.profile, "profile")?)?,
                expected_version: request.expected_version,
            };
            Ok(answer(api.write(&caller, idempotency, command).await?))
        })
        .await
    }

    async fn review_enterprise(
        &self,
        request: Request<api::ReviewEnterpriseRequest>,
    ) -> std::result::Result<Response<api::EnterpriseReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("ReviewEnterprise", key, &request);
            let command = review(request)?;
            Ok(answer(api.write(&caller, idempotency, command).await?))
        })
        .await
    }

    async fn set_quota(
        &self,
        request: Request<api::SetQuotaRequest>,
    ) -> std::result::Result<Response<api::EnterpriseReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("SetQuota", key, &request);
            let command = Command::SetQuota {
                id: convert::enterprise_id(&request.id, "id")?,
                quota: enterprise::parse_quota(request.quota.unwrap_or_default()),
                expected_version: request.expected_version,
            };
            Ok(answer(api.write(&caller, idempotency, command).await?))
        })
        .await
    }
}

fn review(request: api::ReviewEnterpriseRequest) -> Result<Command> {
    Ok(Command::ReviewEnterprise {
        id: convert::enterprise_id(&request.id, "id")?,
        action: enterprise::parse_action(request.action)?,
        message: request.message,
        expected_version: request.expected_version,
    })
}

fn answer(receipt: Receipt) -> api::EnterpriseReceipt {
    let answered = Some(convert::receipt(&receipt));
    let enterprise = match receipt.outcome {
        Outcome::Enterprise(enterprise) => Some(enterprise::shown(*enterprise)),
        _ => None,
    };
    api::EnterpriseReceipt {
        receipt: answered,
        enterprise,
    }
}
