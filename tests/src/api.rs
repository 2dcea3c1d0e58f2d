//! The generated gRPC clients with a credential, and the few calls every test begins with.

use idnode_proto::api as pb;
use idnode_proto::api::change_service_client::ChangeServiceClient;
use idnode_proto::api::credential_service_client::CredentialServiceClient;
use idnode_proto::api::dnssec_service_client::DnssecServiceClient;
use idnode_proto::api::enterprise_service_client::EnterpriseServiceClient;
use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::api::prefix_service_client::PrefixServiceClient;
use idnode_proto::api::resolution_service_client::ResolutionServiceClient;
use idnode_proto::api::template_service_client::TemplateServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// Social credit codes with right check characters.
pub const CODES: [&str; 3] = [
    "91110000600037341L",
    "914403001922038216",
    "91440300708461136T",
];

/// A connection with the credential that its calls carry.
#[derive(Debug, Clone)]
pub struct Api {
    channel: Channel,
    token: Option<String>,
}

impl Api {
    /// Connects to a gRPC URL.
    ///
    /// # Errors
    /// Nothing listens there.
    pub async fn connect(url: &str, token: Option<&str>) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        let token = token.map(str::to_owned);
        Ok(Self { channel, token })
    }

    /// The same connection with another credential, or none.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            channel: self.channel.clone(),
            token: token.map(str::to_owned),
        }
    }

    /// A request with the credential.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let field = format!("Bearer {token}").parse().expect("an ASCII token");
            request.metadata_mut().insert("authorization", field);
        }
        request
    }

    /// Client of EnterpriseService.
    pub fn enterprises(&self) -> EnterpriseServiceClient<Channel> {
        EnterpriseServiceClient::new(self.channel.clone())
    }

    /// Client of PrefixService.
    pub fn prefixes(&self) -> PrefixServiceClient<Channel> {
        PrefixServiceClient::new(self.channel.clone())
    }

    /// Client of IdentifierService.
    pub fn identifiers(&self) -> IdentifierServiceClient<Channel> {
        IdentifierServiceClient::new(self.channel.clone())
    }

    /// Client of TemplateService.
    pub fn templates(&self) -> TemplateServiceClient<Channel> {
        TemplateServiceClient::new(self.channel.clone())
    }

    /// Client of CredentialService.
    pub fn credentials(&self) -> CredentialServiceClient<Channel> {
        CredentialServiceClient::new(self.channel.clone())
    }

    /// Client of ChangeService.
    pub fn changes(&self) -> ChangeServiceClient<Channel> {
        ChangeServiceClient::new(self.channel.clone())
    }

    /// Client of DnssecService.
    pub fn dnssec(&self) -> DnssecServiceClient<Channel> {
        DnssecServiceClient::new(self.channel.clone())
    }

    /// Client of ResolutionService.
    pub fn resolution(&self) -> ResolutionServiceClient<Channel> {
        ResolutionServiceClient::new(self.channel.clone())
    }

    /// Registers an enterprise under a social credit code and verifies it; its id.
    pub async fn verified_enterprise(&self, code: &str) -> String {
        let profile = pb::EnterpriseProfile {
            certificate_type: pb::CertificateType::SocialCreditCode.into(),
            certificate_code: code.to_owned(),
            name: format!("企业 {code}"),
            ..pb::EnterpriseProfile::default()
        };
        let request = self.request(pb::CreateEnterpriseRequest {
            profile: Some(profile),
            idempotency_key: String::new(),
        });
        let made = self.enterprises().create_enterprise(request).await.unwrap();
        let id = made.into_inner().enterprise.unwrap().id;
        let request = self.request(pb::ReviewEnterpriseRequest {
            id: id.clone(),
            action: pb::review_enterprise_request::Action::Verify.into(),
            ..pb::ReviewEnterpriseRequest::default()
        });
        self.enterprises().review_enterprise(request).await.unwrap();
        id
    }

    /// Registers a prefix for an enterprise and takes it to 启用.
    pub async fn active_prefix(&self, prefix: &str, enterprise_id: &str) {
        let request = self.request(pb::ApplyPrefixRequest {
            prefix: prefix.to_owned(),
            enterprise_id: enterprise_id.to_owned(),
            idempotency_key: String::new(),
        });
        self.prefixes().apply_prefix(request).await.unwrap();
        self.transition(prefix, pb::PrefixAction::StartReview).await;
        self.transition(prefix, pb::PrefixAction::Approve).await;
    }

    /// Takes a prefix through one step of its lifecycle.
    pub async fn transition(&self, prefix: &str, action: pb::PrefixAction) {
        let request = self.request(pb::TransitionPrefixRequest {
            prefix: prefix.to_owned(),
            action: action.into(),
            ..pb::TransitionPrefixRequest::default()
        });
        self.prefixes().transition_prefix(request).await.unwrap();
    }

    /// Makes an API key; its id and token.
    pub async fn api_key(&self, enterprise_id: &str) -> (String, String) {
        let request = self.request(pb::CreateApiKeyRequest {
            enterprise_id: enterprise_id.to_owned(),
            label: "test".to_owned(),
        });
        let made = self.credentials().create_api_key(request).await.unwrap();
        let made = made.into_inner();
        (made.key.unwrap().id, made.token)
    }

    /// Registers an identifier.
    ///
    /// # Errors
    /// The node's refusal.
    pub async fn create(
        &self,
        identifier: &str,
        values: Vec<pb::Value>,
        idempotency_key: &str,
    ) -> Result<pb::WriteReceipt, Status> {
        let request = self.request(pb::CreateIdentifierRequest {
            identifier: identifier.to_owned(),
            values,
            template: String::new(),
            idempotency_key: idempotency_key.to_owned(),
        });
        let done = self.identifiers().create_identifier(request).await?;
        Ok(done.into_inner())
    }

    /// Gives an identifier these values and no others.
    ///
    /// # Errors
    /// The node's refusal.
    pub async fn replace(
        &self,
        identifier: &str,
        values: Vec<pb::Value>,
        idempotency_key: &str,
    ) -> Result<pb::WriteReceipt, Status> {
        let request = self.request(pb::UpdateIdentifierRequest {
            identifier: identifier.to_owned(),
            set_values: values,
            replace_all: true,
            idempotency_key: idempotency_key.to_owned(),
            ..pb::UpdateIdentifierRequest::default()
        });
        let done = self.identifiers().update_identifier(request).await?;
        Ok(done.into_inner())
    }

    /// Deletes an identifier.
    ///
    /// # Errors
    /// The node's refusal.
    pub async fn delete(
        &self,
        identifier: &str,
        reason: &str,
        idempotency_key: &str,
    ) -> Result<pb::WriteReceipt, Status> {
        let request = self.request(pb::DeleteIdentifierRequest {
            identifier: identifier.to_owned(),
            reason: reason.to_owned(),
            expected_version: None,
            idempotency_key: idempotency_key.to_owned(),
        });
        let done = self.identifiers().delete_identifier(request).await?;
        Ok(done.into_inner())
    }

    /// An identifier as it is stored.
    ///
    /// # Errors
    /// The node's refusal.
    pub async fn get(&self, identifier: &str) -> Result<pb::IdentifierRecord, Status> {
        let request = self.request(pb::GetIdentifierRequest {
            identifier: identifier.to_owned(),
        });
        let found = self.identifiers().get_identifier(request).await?;
        Ok(found.into_inner())
    }

    /// The change log from a sequence on to its present end.
    ///
    /// # Errors
    /// The node's refusal.
    pub async fn log(&self, from_sequence: u64) -> Result<Vec<pb::Change>, Status> {
        let request = self.request(pb::WatchRequest {
            from_sequence,
            follow: false,
            prefix: String::new(),
        });
        let mut stream = self.changes().watch(request).await?.into_inner();
        let mut log = Vec::new();
        while let Some(message) = stream.message().await? {
            log.extend(message.changes);
        }
        Ok(log)
    }
}

/// A value that everybody may read.
pub fn value(index: u32, value_type: &str, text: &str) -> pb::Value {
    pb::Value {
        index,
        r#type: value_type.to_owned(),
        data: Some(pb::value::Data::Text(text.to_owned())),
        ..pb::Value::default()
    }
}

/// A value that only its owner may read.
pub fn private(index: u32, value_type: &str, text: &str) -> pb::Value {
    pb::Value {
        permissions: Some(0b1100),
        ..value(index, value_type, text)
    }
}

/// A value's text.
pub fn text(value: &pb::Value) -> String {
    match &value.data {
        Some(pb::value::Data::Text(text)) => text.clone(),
        Some(pb::value::Data::Raw(raw)) => format!("{raw:?}"),
        None => String::new(),
    }
}

/// The stable reason of a refusal.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map_or_else(String::new, |info| info.reason)
}

/// The parts of the request that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    let request = status.get_details_bad_request();
    let violations = request.map(|request| request.field_violations);
    let violations = violations.unwrap_or_default().into_iter();
    violations.map(|violation| violation.field).collect()
}

/// The code of a call's outcome.
pub fn code<T>(outcome: &Result<T, Status>) -> Code {
    outcome.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

/// A call with the credential: `call!(api, prefixes.get_prefix(message))` is the message of the
/// answer, or the stream of answers, or the refusal.
#[macro_export]
macro_rules! call {
    ($api:expr, $client:ident.$method:ident($message:expr)) => {{
        let request = $api.request($message);
        let answer = $api.$client().$method(request).await;
        answer.map(tonic::Response::into_inner)
    }};
}
