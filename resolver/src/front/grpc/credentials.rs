//! CredentialService.

use super::call::Api;
use super::convert;
use idnode_proto::api;
use idnode_proto::api::add_administrator_request::Key;
use idnode_proto::api::credential_service_server::CredentialService;
use idnode_proto::handle::admin::AdminId;
use idnode_registry::Error;
use idnode_registry::administrator::ProofKey;
use idnode_registry::credential::Credential;
use idnode_registry::write::Command;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl CredentialService for Api {
    async fn create_api_key(
        &self,
        request: Request<api::CreateApiKeyRequest>,
    ) -> std::result::Result<Response<api::CreateApiKeyResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let named = convert::optional_enterprise_id(&request.enterprise_id, "enterprise_id")?;
            let enterprise = named.or_else(|| caller.enterprise());
            let (credential, token) = Credential::generate(enterprise, request.label)?;
            let receipt = api
                .write(&caller, None, Command::AddCredential(credential.clone()))
                .await?;
            Ok(api::CreateApiKeyResponse {
                receipt: Some(convert::receipt(&receipt)),
                key: Some(convert::api_key(credential)),
                token,
            })
        })
        .await
    }

    async fn add_administrator(
        &self,
        request: Request<api::AddAdministratorRequest>,
    ) -> std::result::Result<Response<api::AddAdministratorResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let named = convert::optional_enterprise_id(&request.enterprise_id, "enterprise_id")?;
            let enterprise = named.or_else(|| caller.enterprise());
            let administrator = request
                .administrator
                .parse::<AdminId>()
                .map_err(|error| Error::invalid("administrator", error.to_string()))?;
            let key = match request.key {
                Some(Key::SecretKey(secret)) => ProofKey::Secret(secret.into()),
                Some(Key::PublicKey(data)) => ProofKey::Public(data.into()),
                None => return Err(Error::invalid("secret_key", "no key is given").into()),
            };
            let credential =
                Credential::of_administrator(enterprise, request.label, &administrator, key)?;
            let command = Command::AddCredential(credential.clone());
            let receipt = api.write(&caller, None, command).await?;
            Ok(api::AddAdministratorResponse {
                receipt: Some(convert::receipt(&receipt)),
                key: Some(convert::api_key(credential)),
            })
        })
        .await
    }

    async fn list_api_keys(
        &self,
        request: Request<api::ListApiKeysRequest>,
    ) -> std::result::Result<Response<api::ListApiKeysResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let enterprise =
                convert::optional_enterprise_id(&request.enterprise_id, "enterprise_id")?;
            let page = convert::page(request.page);
            let listed = api
                .read(move |registry| registry.list_credentials(&caller, enterprise, &page))
                .await?;
            Ok(api::ListApiKeysResponse {
                keys: listed.items.into_iter().map(convert::api_key).collect(),
                next_page_token: listed.next_token,
            })
        })
        .await
    }

    async fn revoke_api_key(
        &self,
        request: Request<api::RevokeApiKeyRequest>,
    ) -> std::result::Result<Response<api::WriteReceipt>, Status> {
        self.unary(request, |api, caller, request| async move {
            let command = Command::RevokeCredential { id: request.id };
            Ok(convert::receipt(&api.write(&caller, None, command).await?))
        })
        .await
    }

    async fn who_am_i(
        &self,
        request: Request<api::WhoAmIRequest>,
    ) -> std::result::Result<Response<api::WhoAmIResponse>, Status> {
        self.unary(request, |_, caller, _| async move {
            Ok(api::WhoAmIResponse {
                operator: caller.is_operator(),
                enterprise_id: caller
                    .enterprise()
                    .map(|id| id.to_string())
                    .unwrap_or_default(),
                credential_id: caller.credential().to_owned(),
            })
        })
        .await
    }
}
