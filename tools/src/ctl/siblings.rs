//! `idctl upward siblings`: the other secondary nodes, and what was told of this one.

use idnode_proto::api::upward_service_client::UpwardServiceClient;
use idnode_proto::api::{
    ListSiblingsRequest, ListSiblingsResponse, OwnAnnouncement, ResolutionConfiguration,
};
use idnode_proto::routes::endpoint::Service;
use serde_json::{Value, json};

use super::error::Failure;
use super::json;
use super::output::Table;
use super::session::{MAX_ANSWER_BYTES, Session};

pub(super) async fn list(session: &Session) -> Result<(), Failure> {
    let mut client = UpwardServiceClient::new(session.channel().await?)
        .max_decoding_message_size(MAX_ANSWER_BYTES);
    let request = session.request(ListSiblingsRequest {});
    let listed = client.list_siblings(request).await?.into_inner();
    session.out.show(|| as_json(&listed), || table(&listed))
}

fn endpoints(configuration: &ResolutionConfiguration) -> Vec<String> {
    let all = configuration.endpoints.iter();
    let shown = all.map(|it| {
        let service = Service::of(it).map_or("?", Service::name);
        match it.ip.contains(':') {
            true => format!("{service} [{}]:{}", it.ip, it.port),
            false => format!("{service} {}:{}", it.ip, it.port),
        }
    });
    shown.collect()
}

fn configurations(all: &[ResolutionConfiguration]) -> Vec<Value> {
    let shown = all.iter().map(|it| {
        json!({
            "code_type": json::name(it.code_type().as_str_name(), "CODE_TYPE_"),
            "prefix": it.prefix,
            "endpoints": endpoints(it),
        })
    });
    shown.collect()
}

fn as_json(listed: &ListSiblingsResponse) -> Value {
    let siblings = listed.siblings.iter().map(|it| {
        json!({
            "node": it.node,
            "operator": it.operator,
            "announced_at": json::time(it.announced_at.as_ref()),
            "configurations": configurations(&it.configurations),
        })
    });
    let refused = listed.refused.iter();
    let refused =
        refused.map(|it| json!({"node": it.node, "prefix": it.prefix, "reason": it.reason}));
    json!({
        "set_id": listed.set_id,
        "version": listed.version,
        "routes": listed.routes,
        "siblings": siblings.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "own": listed.own.as_ref().map(own_json),
    })
}

fn own_json(own: &OwnAnnouncement) -> Value {
    let told = own.announcement.clone().unwrap_or_default();
    let profile = told.operator.unwrap_or_default();
    json!({
        "state": own_state(own),
        "reason": own.reason,
        "settled_at": json::time(own.settled_at.as_ref()),
        "node": told.node,
        "digest": told.digest,
        "made_at": json::time(told.made_at.as_ref()),
        "operator": {
            "name": profile.name,
            "certificate_type":
                json::name(profile.certificate_type().as_str_name(), "OPERATOR_CERTIFICATE_TYPE_"),
            "certificate_code": profile.certificate_code,
            "contact_name": profile.contact_name,
            "contact_email": profile.contact_email,
            "contact_phone": profile.contact_phone,
            "prefixes": profile.prefixes,
            "software": profile.software,
        },
        "configurations": configurations(&told.configurations),
        "unannounced": own.unannounced.iter()
            .map(|it| json!({"prefix": it.prefix, "reason": it.reason})).collect::<Vec<_>>(),
        "unannounced_count": own.unannounced_count,
    })
}

fn own_state(own: &OwnAnnouncement) -> String {
    json::name(own.state().as_str_name(), "STATE_")
}

fn table(listed: &ListSiblingsResponse) -> Table {
    let mut table = Table::new(&["NODE", "PREFIX", "WHERE"]);
    for sibling in &listed.siblings {
        for configuration in &sibling.configurations {
            let refused = listed
                .refused
                .iter()
                .find(|it| it.node == sibling.node && it.prefix == configuration.prefix);
            let place = match refused {
                Some(refused) => format!("refused: {}", refused.reason),
                None => endpoints(configuration).join(", "),
            };
            table.row([sibling.node.clone(), configuration.prefix.clone(), place]);
        }
    }
    let own = match &listed.own {
        Some(own) if own.reason.is_empty() => {
            format!("what this node tells of itself is {}", own_state(own))
        }
        Some(own) => {
            let (state, reason) = (own_state(own), &own.reason);
            format!("what this node tells of itself is {state}: {reason}")
        }
        None => {
            "this node tells nothing of itself: see upward.sync in the configuration".to_owned()
        }
    };
    let set = match listed.set_id.as_str() {
        "" => "no set of siblings is held".to_owned(),
        id => format!("set {id}, version {}", listed.version),
    };
    let unannounced = match listed.own.as_ref().map_or(0, |it| it.unannounced_count) {
        0 => String::new(),
        count => format!("; {count} registered prefixes are not announced, see --json"),
    };
    table.below(format!("{set}; {own}{unannounced}"))
}
