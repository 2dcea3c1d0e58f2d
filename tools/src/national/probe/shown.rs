//! How probed nodes are shown.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Watched;
use super::settings::Mode;
use super::window::Share;
use crate::national::page::escaped;
use crate::national::{Failure, Part};

/// The part of the page.
pub(super) struct Prober {
    pub(super) watched: Vec<Arc<Watched>>,
    pub(super) mode: Mode,
}

fn share(share: Share) -> Value {
    json!({"down": share.down, "of": share.of, "percent": share.percent()})
}

impl Part for Prober {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn status(&self) -> Result<Value, Failure> {
        let mut nodes = Map::new();
        for watched in &self.watched {
            let state = watched.lock();
            let points: Vec<Value> = state
                .points
                .iter()
                .map(|point| {
                    let found = point.found.iter().map(|(way, (works, detail))| {
                        ((*way).to_owned(), json!({"works": works, "detail": detail}))
                    });
                    json!({"at_ms": point.at_ms, "found": found.collect::<Map<_, _>>()})
                })
                .collect();
            let shown = json!({
                "down": state.window.is_down(),
                "full": state.window.is_full(),
                "resolution": share(state.window.resolution()),
                "registration": share(state.window.registration()),
                "points": points,
                "of_itself": state.told_of_itself,
            });
            nodes.insert(watched.node.clone(), shown);
        }
        Ok(json!({"takeover": self.mode, "nodes": nodes}))
    }

    fn section(&self) -> Result<String, Failure> {
        let mut html = String::from(
            "<table><tr><th>node<th>is<th>registration down<th>resolution down<th>says of itself</tr>\n",
        );
        for watched in &self.watched {
            let state = watched.lock();
            let is = match (state.window.is_down(), state.window.is_full()) {
                (true, _) => "down",
                (false, true) => "up",
                (false, false) => "not known yet",
            };
            let shown =
                |share: Share| format!("{} of {} ({} %)", share.down, share.of, share.percent());
            // Writing to a String cannot fail.
            let _ = writeln!(
                html,
                "<tr><td>{}<td>{is}<td>{}<td>{}<td><code>{}</code></tr>",
                escaped(&watched.node),
                shown(state.window.registration()),
                shown(state.window.resolution()),
                escaped(&state.told_of_itself.to_string()),
            );
        }
        html.push_str("</table>");
        Ok(html)
    }
}
