//! `idctl stats`: the node's own counters.

use idnode_proto::api::GetNodeStatisticsRequest;
use idnode_proto::api::change_service_client::ChangeServiceClient;
use serde_json::json;

use super::error::Failure;
use super::json;
use super::output::Table;
use super::session::Session;

pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let mut client = ChangeServiceClient::new(session.channel().await?);
    let request = session.request(GetNodeStatisticsRequest {});
    let node = client.get_node_statistics(request).await?.into_inner();
    let started_at = json::time(node.started_at.as_ref());
    session.out.show(
        || {
            json!({
                "sequence": node.sequence,
                "identifiers": node.identifiers,
                "deleted": node.deleted,
                "prefixes": node.prefixes,
                "enterprises": node.enterprises,
                "templates": node.templates,
                "started_at": started_at,
                "software_version": node.software_version,
                "store_bytes": node.store_bytes,
            })
        },
        || {
            Table::of_one(&[
                ("sequence", node.sequence.to_string()),
                ("identifiers", node.identifiers.to_string()),
                ("deleted", node.deleted.to_string()),
                ("prefixes", node.prefixes.to_string()),
                ("enterprises", node.enterprises.to_string()),
                ("templates", node.templates.to_string()),
                ("store_bytes", node.store_bytes.to_string()),
                ("started_at", started_at.clone().unwrap_or_default()),
                ("software_version", node.software_version.clone()),
            ])
        },
    )
}
