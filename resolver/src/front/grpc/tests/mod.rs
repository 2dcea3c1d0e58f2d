//! The front over real sockets, asked with the generated clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod administration;
mod changes;
mod identifiers;
mod import;
mod prefixes;
mod resolution;
mod service;

use super::{GrpcFront, GrpcOptions};
use crate::cache::HotCache;
use crate::front::Core;
use crate::front::dns::{Dnssec, DnssecOptions};
use crate::resolve::Resolver;
use idnode_proto::api;
use idnode_proto::api::change_service_client::ChangeServiceClient;
use idnode_proto::api::credential_service_client::CredentialServiceClient;
use idnode_proto::api::enterprise_service_client::EnterpriseServiceClient;
use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::api::prefix_service_client::PrefixServiceClient;
use idnode_proto::api::resolution_service_client::ResolutionServiceClient;
use idnode_proto::api::template_service_client::TemplateServiceClient;
use idnode_proto::api::value::Data;
use idnode_proto::dnsname::Zones;
use idnode_registry::{Options, Registry};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// Three social credit codes with right check characters.
const CODES: [&str; 3] = [
    "91110000600037341L",
    "914403001922038216",
    "91440300708461136T",
];

/// A node with the gRPC front only.
struct Node {
    core: Arc<Core>,
    operator: String,
    addr: SocketAddr,
    channel: Channel,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Node {
    async fn start() -> Self {
        Self::start_with(GrpcOptions::default()).await
    }

    async fn start_with(options: GrpcOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let operator = Registry::create(dir.path()).unwrap();
        Self::open(dir, operator, options, Duration::from_secs(5)).await
    }

    async fn open(
        dir: tempfile::TempDir,
        operator: String,
        options: GrpcOptions,
        request_deadline: Duration,
    ) -> Self {
        let cache = Arc::new(HotCache::new(8 << 20));
        let registry =
            Arc::new(Registry::open(dir.path(), &Options::default(), cache.clone()).unwrap());
        let zones = Zones::parse("id.example.", None, None).unwrap();
        let dnssec =
            Dnssec::open(dir.path().join("dnssec"), &zones, DnssecOptions::default()).unwrap();
        let core = Arc::new(Core {
            resolver: Resolver::new(registry.clone(), cache, Vec::new()),
            proofs: crate::front::proofs::Proofs::new(registry.clone()),
            uplink: Arc::new(idnode_registry::upward::Uplink::new(registry.journal())),
            registry,
            zones,
            dnssec: Arc::new(dnssec),
            recursion: None,
            started_at_ms: 1_769_817_600_000,
            request_deadline,
        });
        let front = GrpcFront::bind("127.0.0.1:0".parse().unwrap(), core.clone(), options)
            .await
            .unwrap();
        let addr = front.local_addr();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(front.serve(shutdown.clone()));
        let channel = connect(addr).await;
        Self {
            core,
            operator,
            addr,
            channel,
            shutdown,
            serving,
            dir,
        }
    }

    /// The same node started anew: what it knows is on the disk and not in memory.
    async fn restart(self) -> Self {
        let Self {
            core,
            operator,
            channel,
            shutdown,
            serving,
            dir,
            ..
        } = self;
        shutdown.cancel();
        drop(channel);
        tokio::time::timeout(Duration::from_secs(5), serving)
            .await
            .expect("the front drains")
            .unwrap();
        // Connections hold the core until their tasks have ended.
        for _ in 0..100 {
            if Arc::strong_count(&core) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(Arc::strong_count(&core), 1, "the front lets go of the node");
        drop(core);
        Self::open(
            dir,
            operator,
            GrpcOptions::default(),
            Duration::from_secs(5),
        )
        .await
    }

    fn resolution(&self) -> ResolutionServiceClient<Channel> {
        ResolutionServiceClient::new(self.channel.clone())
    }

    fn enterprises(&self) -> EnterpriseServiceClient<Channel> {
        EnterpriseServiceClient::new(self.channel.clone())
    }

    fn prefixes(&self) -> PrefixServiceClient<Channel> {
        PrefixServiceClient::new(self.channel.clone())
    }

    fn templates(&self) -> TemplateServiceClient<Channel> {
        TemplateServiceClient::new(self.channel.clone())
    }

    fn identifiers(&self) -> IdentifierServiceClient<Channel> {
        IdentifierServiceClient::new(self.channel.clone())
    }

    fn credentials(&self) -> CredentialServiceClient<Channel> {
        CredentialServiceClient::new(self.channel.clone())
    }

    fn changes(&self) -> ChangeServiceClient<Channel> {
        ChangeServiceClient::new(self.channel.clone())
    }

    /// The operator's request.
    fn op<T>(&self, message: T) -> Request<T> {
        with(&self.operator, message)
    }

    /// A verified enterprise, its id and an API key of it.
    async fn enterprise(&self, number: usize) -> (String, String) {
        let request = api::CreateEnterpriseRequest {
            profile: Some(profile(CODES[number])),
            idempotency_key: String::new(),
        };
        let created = self
            .enterprises()
            .create_enterprise(self.op(request))
            .await
            .unwrap()
            .into_inner();
        let id = created.enterprise.unwrap().id;
        let review = api::ReviewEnterpriseRequest {
            id: id.clone(),
            action: api::review_enterprise_request::Action::Verify.into(),
            ..Default::default()
        };
        self.enterprises()
            .review_enterprise(self.op(review))
            .await
            .unwrap();
        let request = api::CreateApiKeyRequest {
            enterprise_id: id.clone(),
            label: "plant".into(),
        };
        let key = self
            .credentials()
            .create_api_key(self.op(request))
            .await
            .unwrap()
            .into_inner();
        (id, key.token)
    }

    /// An active prefix of an enterprise.
    async fn prefix(&self, prefix: &str, enterprise_id: &str) -> api::Prefix {
        let request = api::ApplyPrefixRequest {
            prefix: prefix.into(),
            enterprise_id: enterprise_id.into(),
            idempotency_key: String::new(),
        };
        self.prefixes()
            .apply_prefix(self.op(request))
            .await
            .unwrap();
        self.transition(prefix, api::PrefixAction::StartReview)
            .await
            .unwrap();
        self.transition(prefix, api::PrefixAction::Approve)
            .await
            .unwrap()
    }

    async fn transition(
        &self,
        prefix: &str,
        action: api::PrefixAction,
    ) -> Result<api::Prefix, Status> {
        let request = api::TransitionPrefixRequest {
            prefix: prefix.into(),
            action: action.into(),
            ..Default::default()
        };
        Ok(self
            .prefixes()
            .transition_prefix(self.op(request))
            .await?
            .into_inner()
            .prefix
            .unwrap())
    }

    async fn create(
        &self,
        token: &str,
        identifier: &str,
        values: Vec<api::Value>,
    ) -> Result<api::WriteReceipt, Status> {
        let request = api::CreateIdentifierRequest {
            identifier: identifier.into(),
            values,
            ..Default::default()
        };
        Ok(self
            .identifiers()
            .create_identifier(with(token, request))
            .await?
            .into_inner())
    }

    async fn resolve(
        &self,
        token: Option<&str>,
        identifier: &str,
    ) -> Result<api::ResolveResponse, Status> {
        let message = api::ResolveRequest {
            identifier: identifier.into(),
            ..Default::default()
        };
        let request = token.map_or_else(
            || Request::new(message.clone()),
            |token| with(token, message.clone()),
        );
        Ok(self.resolution().resolve(request).await?.into_inner())
    }

    /// Drains: everything under way ends, and the front returns.
    async fn stop(self) {
        self.shutdown.cancel();
        drop(self.channel);
        tokio::time::timeout(Duration::from_secs(5), self.serving)
            .await
            .expect("the front drains")
            .unwrap();
    }
}

async fn connect(addr: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn profile(code: &str) -> api::EnterpriseProfile {
    api::EnterpriseProfile {
        certificate_type: api::CertificateType::SocialCreditCode.into(),
        certificate_code: code.into(),
        name: "太原某某制造有限公司".into(),
        country_code: "CN".into(),
        contact: Some(api::Contact {
            name: "Wang".into(),
            email: "wang@example.com".into(),
            phone: String::new(),
        }),
        ..Default::default()
    }
}

fn text(index: u32, kind: &str, text: &str) -> api::Value {
    api::Value {
        index,
        r#type: kind.into(),
        data: Some(Data::Text(text.into())),
        ..Default::default()
    }
}

/// A value that only its owner reads.
fn private(index: u32, kind: &str, data: &str) -> api::Value {
    api::Value {
        permissions: Some(0b1100),
        ..text(index, kind, data)
    }
}

/// What a refusal says: code, reason and the offending field.
fn refusal(status: &Status) -> (Code, String, String) {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .expect("every refusal has an ErrorInfo");
    assert_eq!(info.domain, "idnode");
    let field = details
        .bad_request()
        .and_then(|request| request.field_violations.first());
    (
        status.code(),
        info.reason.clone(),
        field
            .map(|violation| violation.field.clone())
            .unwrap_or_default(),
    )
}

fn metadata(status: &Status, key: &str) -> String {
    status
        .get_error_details()
        .error_info()
        .unwrap()
        .metadata
        .get(key)
        .cloned()
        .unwrap_or_default()
}

fn values(response: &api::ResolveResponse) -> Vec<(u32, String)> {
    let Some(api::resolve_response::Outcome::Record(record)) = &response.outcome else {
        panic!("no record: {response:?}");
    };
    record
        .values
        .iter()
        .map(|value| (value.index, value.r#type.clone()))
        .collect()
}
