//! The resolver of the national prefix: a Handle server that knows where the prefixes of nodes are,
//! from what they have announced and what it was told by hand, and refers to them. What was taken
//! over it answers itself.
//!
//! | module | holds |
//! |---|---|
//! | `answer` | a request's bytes to its answer's |
//! | `serve` | the sockets, and what goes wrong on purpose |
//! | [`settings`] | where it listens, for which prefixes |
//! | [`takeovers`] | what it answers itself |
//!
//! Faults of the channel `resolve`: `drop` does not answer, `delay` late, `duplicate` twice,
//! `reorder` behind the next answer (of the same connection, over TCP), `half-answer` by half,
//! `wrong-answer` with another handle's values, `down` takes nothing.

mod answer;
mod serve;
pub mod settings;
pub mod takeovers;

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::page::escaped;
use super::{Failure, Part, Shared, Started};
use answer::Answerer;
use settings::ResolveSettings;
pub use takeovers::{TakenOver, Takeovers};

/// Starts the resolver; `None` where it is off.
///
/// # Errors
/// A setting is wrong, or the address can't be had.
pub async fn start(
    shared: &Shared,
    settings: &ResolveSettings,
    takeovers: Arc<dyn Takeovers>,
) -> Result<Option<Started>, Failure> {
    let Some(address) = settings.listen_resolve else {
        return Ok(None);
    };
    let sockets = serve::Sockets::bind(address).await?;
    let at = sockets.at;
    let answerer = Arc::new(Answerer::new(
        at,
        settings.prefixes()?,
        settings.routes()?,
        shared.directory.clone(),
        takeovers,
    ));
    let tasks = sockets.tasks(&answerer, &shared.faults);
    Ok(Some(Started {
        part: Arc::new(Resolving { answerer }),
        addresses: vec![("resolve", at)],
        tasks,
    }))
}

/// The resolver on the page.
struct Resolving {
    answerer: Arc<Answerer>,
}

impl Part for Resolving {
    fn name(&self) -> &'static str {
        "resolve"
    }

    fn status(&self) -> Result<Value, Failure> {
        let prefixes = self.answerer.prefixes().iter();
        let prefixes: Vec<String> = prefixes.map(ToString::to_string).collect();
        let mut status = Map::new();
        status.insert("prefixes".to_owned(), json!(prefixes));
        status.insert("questions".to_owned(), json!(self.answerer.questions()));
        for (outcome, count) in self.answerer.counts() {
            status.insert(outcome.to_owned(), json!(count));
        }
        Ok(Value::Object(status))
    }

    fn section(&self) -> Result<String, Failure> {
        let mut html = String::from("<table><tr><th>answer</th><th>questions</th></tr>\n");
        for (outcome, count) in self.answerer.counts() {
            // Writing to a String cannot fail.
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td>{count}</td></tr>",
                escaped(outcome)
            );
        }
        html.push_str("</table>\n");
        Ok(html)
    }
}
