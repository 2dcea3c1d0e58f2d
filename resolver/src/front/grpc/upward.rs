//! UpwardService: what was told to the national node, for the operator alone.

use super::call::Api;
use super::convert::timestamp;
use idnode_proto::api;
use idnode_proto::api::upward_channel::State;
use idnode_proto::api::upward_service_server::UpwardService;
use idnode_registry::upward::{Channel, ChannelStatus, LinkState};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl UpwardService for Api {
    async fn get_upward_status(
        &self,
        request: Request<api::GetUpwardStatusRequest>,
    ) -> Result<Response<api::UpwardStatus>, Status> {
        self.unary(request, |api, caller, _| async move {
            caller.require_operator("the uplink")?;
            let channels = api.core.uplink.channels();
            Ok(api::UpwardStatus {
                channels: channels.into_iter().map(shown_channel).collect(),
            })
        })
        .await
    }
}

fn shown_channel((channel, status): (Channel, ChannelStatus)) -> api::UpwardChannel {
    let state = match status.state {
        LinkState::Starting => State::Starting,
        LinkState::Up => State::Up,
        LinkState::Down => State::Down,
    };
    let last = status.last_exchange_ms;
    api::UpwardChannel {
        name: channel.name().to_owned(),
        server: status.server,
        state: state.into(),
        since: timestamp(status.since_ms),
        last_exchange: (last > 0).then(|| timestamp(last)).flatten(),
        last_error: status.last_error,
        backlog: status.backlog,
    }
}
