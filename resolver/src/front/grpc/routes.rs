//! The siblings of this node, and what it has told of itself, as the operator sees them.

use super::convert::timestamp;
use idnode_proto::api;
use idnode_proto::api::own_announcement::State;
use idnode_registry::upward::routes::{
    LeftOut, OwnRecord, OwnState, Records, Refused, Siblings, registered_here,
};
use idnode_registry::{Registry, Result};

/// All of it. Reads the disk.
///
/// # Errors
/// The store fails.
pub(super) fn listed(
    registry: &Registry,
    siblings: &Siblings,
) -> Result<api::ListSiblingsResponse> {
    let journal = registry.journal();
    let records = Records(&journal);
    let held = records.held()?;
    let table = siblings.table();
    let mut refused: Vec<_> = table.refused.iter().map(shown_refused).collect();
    // What is registered here changes; it is looked at with each question.
    let ours = table.routes().filter_map(|route| {
        Some(api::RefusedRoute {
            node: route.node.clone(),
            prefix: route.prefix.canonical(),
            reason: registered_here(&route.prefix, registry.prefixes())?,
        })
    });
    let ours: Vec<_> = ours.collect();
    let routes = table.len() - ours.len();
    refused.extend(ours);
    refused.sort_by(|a, b| (&a.node, &a.prefix).cmp(&(&b.node, &b.prefix)));
    Ok(api::ListSiblingsResponse {
        set_id: held.set_id,
        version: held.version,
        siblings: held.siblings.into_values().collect(),
        refused,
        routes: routes as u64,
        own: records.own()?.map(shown_own),
    })
}

fn shown_refused(refused: &Refused) -> api::RefusedRoute {
    api::RefusedRoute {
        node: refused.node.clone(),
        prefix: refused.prefix.clone(),
        reason: refused.reason.clone(),
    }
}

fn shown_left_out(left_out: LeftOut) -> api::UnannouncedPrefix {
    api::UnannouncedPrefix {
        prefix: left_out.prefix,
        reason: left_out.reason,
    }
}

fn shown_own(own: OwnRecord) -> api::OwnAnnouncement {
    let state = match own.state() {
        OwnState::Owed => State::Owed,
        OwnState::Told => State::Told,
        OwnState::Refused => State::Refused,
    };
    let settled_ms = own.settled_ms;
    api::OwnAnnouncement {
        announcement: own.announcement,
        state: state.into(),
        reason: own.reason,
        settled_at: (settled_ms > 0).then(|| timestamp(settled_ms)).flatten(),
        unannounced: own.left_out.into_iter().map(shown_left_out).collect(),
        unannounced_count: own.left_out_count,
    }
}
