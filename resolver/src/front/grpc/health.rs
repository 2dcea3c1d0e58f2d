//! `grpc.health.v1`: what load balancers ask. A node that drains serves nothing more; one whose
//! log has failed still resolves and takes no writes.

use super::call::Api;
use idnode_proto::api;
use std::pin::Pin;
use std::time::Duration;
use tokio_stream::Stream;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// How often a watched status is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The services that only read.
const READING: [&str; 3] = [
    "",
    <api::resolution_service_server::ResolutionServiceServer<Api> as NamedService>::NAME,
    <api::change_service_server::ChangeServiceServer<Api> as NamedService>::NAME,
];

/// The services that also write.
const WRITING: [&str; 5] = [
    <api::enterprise_service_server::EnterpriseServiceServer<Api> as NamedService>::NAME,
    <api::prefix_service_server::PrefixServiceServer<Api> as NamedService>::NAME,
    <api::template_service_server::TemplateServiceServer<Api> as NamedService>::NAME,
    <api::identifier_service_server::IdentifierServiceServer<Api> as NamedService>::NAME,
    <api::credential_service_server::CredentialServiceServer<Api> as NamedService>::NAME,
];

/// The health of a node's services.
pub(super) struct NodeHealth(Api);

/// The service.
pub(super) fn server(api: &Api) -> HealthServer<NodeHealth> {
    HealthServer::new(NodeHealth(api.clone()))
}

impl NodeHealth {
    /// `None`: there is no such service.
    fn status(&self, service: &str) -> Option<ServingStatus> {
        status(&self.0, service)
    }
}

fn status(api: &Api, service: &str) -> Option<ServingStatus> {
    let writes = WRITING.contains(&service);
    if !writes && !READING.contains(&service) {
        return None;
    }
    let down = api.shutdown.is_cancelled() || writes && !api.registry().takes_writes();
    Some(if down {
        ServingStatus::NotServing
    } else {
        ServingStatus::Serving
    })
}

#[tonic::async_trait]
impl Health for NodeHealth {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let status = self
            .status(&service)
            .ok_or_else(|| Status::not_found("there is no such service"))?;
        Ok(Response::new(HealthCheckResponse {
            status: status as i32,
        }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = HealthWatch {
            api: self.0.clone(),
            service: request.into_inner().service,
            told: None,
        };
        let changes = futures_util::stream::unfold(watch, |mut watch| async move {
            let status = watch.next().await?;
            Some((
                Ok(HealthCheckResponse {
                    status: status as i32,
                }),
                watch,
            ))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

struct HealthWatch {
    api: Api,
    service: String,
    told: Option<ServingStatus>,
}

impl HealthWatch {
    /// The next other status; the stream ends when the node drains and has said so.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let draining = self.api.shutdown.is_cancelled();
            let now = status(&self.api, &self.service).unwrap_or(ServingStatus::ServiceUnknown);
            if self.told != Some(now) {
                self.told = Some(now);
                return self.told;
            }
            if draining {
                return None;
            }
            let _ = tokio::time::timeout(LOOK_INTERVAL, self.api.shutdown.cancelled()).await;
        }
    }
}
