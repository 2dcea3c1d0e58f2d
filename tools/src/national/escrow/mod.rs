//! Escrow intake: an SFTP server for the nodes' deposits, each verified when its manifest has
//! arrived. What was found is in the book, on the page, and for the node in a file beside the
//! manifest.
//!
//! | module | holds |
//! |---|---|
//! | [`client`] | whose deposits are taken: their keys |
//! | [`intake`] | verifies a deposit, keeps the verdict |
//! | [`order`] | the order in which deposits were made |
//! | [`files`] | the files of one node, and nothing else |
//! | [`ssh`] | the server |
//! | [`restore`] | `idnational escrow restore`: what the deposits lead to |

mod client;
mod files;
mod intake;
mod order;
pub(super) mod restore;
mod ssh;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::page::escaped;
use super::settings::{Settings, any_port};
use super::{Failure, Part, Shared, Started};
use intake::Intake;

/// The directory of deposits in the data directory.
const DIRECTORY: &str = "escrow";
/// Verdicts shown to a person.
const SHOWN: usize = 200;

/// Starts escrow intake, if the settings have a key for it.
pub(super) async fn start(
    settings: &Settings,
    data_dir: &Path,
    shared: &Shared,
) -> Result<Option<Started>, Failure> {
    let Some(key) = &settings.escrow_key else {
        return Ok(None);
    };
    let receiver = client::receiver(key)?;
    let clients = client::all(&settings.escrow_client)?;
    let root = data_dir.join(DIRECTORY);
    let (intake, arrived) = Intake::new(root, receiver, clients, shared.book.clone());
    let intake = Arc::new(intake);
    intake.make_directories()?;
    let host_key = ssh::host_key(&data_dir.join("escrow_host_key"))?;
    let listen = settings.listen_sftp.unwrap_or_else(any_port);
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let public = ssh::public(&host_key)?;
    let server = ssh::serve(listener, host_key, intake.clone(), shared.faults.clone());
    let pending = intake.clone();
    Ok(Some(Started {
        part: Arc::new(Shown { intake, public }),
        addresses: vec![("sftp", address)],
        tasks: vec![Box::pin(server), Box::pin(pending.verify_all(arrived))],
    }))
}

/// What is shown of it.
struct Shown {
    intake: Arc<Intake>,
    public: String,
}

impl Part for Shown {
    fn name(&self) -> &'static str {
        "escrow"
    }

    fn status(&self) -> Result<Value, Failure> {
        Ok(json!({
            "host_key": self.public,
            "deposits": self.intake.verdicts()?,
        }))
    }

    fn section(&self) -> Result<String, Failure> {
        let mut html = format!("<p>host key <code>{}</code></p>\n", escaped(&self.public));
        html.push_str(
            "<table><tr><th>node</th><th>prefix</th><th>deposit</th><th>type</th><th>watermark</th>\
             <th>bytes</th><th>verdict</th></tr>\n",
        );
        let mut verdicts = self.intake.verdicts()?;
        verdicts.sort_by_key(|verdict| std::cmp::Reverse(verdict.at_ms));
        for verdict in verdicts.iter().take(SHOWN) {
            let found = match verdict.accepted {
                true => "accepted",
                false => &verdict.reason,
            };
            let cells = [
                &verdict.client,
                &verdict.prefix,
                &verdict.id,
                &verdict.kind,
                &verdict.watermark,
                &verdict.bytes.to_string(),
                found,
            ];
            html.push_str("<tr>");
            for cell in cells {
                // Writing to a String cannot fail.
                let _ = write!(html, "<td>{}</td>", escaped(cell));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</table>\n");
        Ok(html)
    }
}
