//! ChangeService: the change log and the node's own state.

use super::auth;
use super::call::Api;
use super::convert::{optional_prefix, timestamp};
use super::watch::{self, Scope};
use idnode_proto::api;
use idnode_proto::api::change_service_server::ChangeService;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ChangeService for Api {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<api::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<api::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let scope = auth::known(&self.core, &metadata).and_then(|caller| {
            let prefix = optional_prefix(&request.prefix, "prefix")?;
            // The operator may follow what is gone by now; an enterprise must own it.
            if let (Some(prefix), false) = (&prefix, caller.is_operator()) {
                self.registry().get_prefix(&caller, prefix)?;
            }
            Ok(Scope { caller, prefix })
        });
        let scope = scope.map_err(|refused| self.refuse(refused))?;
        Ok(Response::new(Box::pin(watch::answers(
            self.clone(),
            scope,
            request.from_sequence,
            request.follow,
        ))))
    }

    async fn get_node_statistics(
        &self,
        request: Request<api::GetNodeStatisticsRequest>,
    ) -> Result<Response<api::NodeStatistics>, Status> {
        self.unary(request, |api, _, _| async move {
            let (counters, store_bytes) = api
                .read(|registry| Ok((registry.node_counters()?, registry.store_bytes())))
                .await?;
            Ok(api::NodeStatistics {
                sequence: api.registry().applied(),
                identifiers: counters.identifiers,
                deleted: counters.deleted,
                prefixes: counters.prefixes,
                enterprises: counters.enterprises,
                templates: counters.templates,
                started_at: timestamp(api.core.started_at_ms),
                software_version: env!("CARGO_PKG_VERSION").to_owned(),
                store_bytes,
            })
        })
        .await
    }
}
