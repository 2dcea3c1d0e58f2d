//! What the national node has decided, written here: as one entry of the log each, by the node.

use super::provision::{Provisioner, PutOff};
use super::records::{Application, Kind, Phase};
use crate::prefix::{PrefixAction, PrefixRecord, PrefixState, Withdrawal};
use crate::upward::Entry;
use crate::write::Command;
use crate::{Error, Result};
use idnode_proto::identifier::Prefix;

impl Provisioner {
    /// Writes here what was decided there, unless it cannot be written now.
    pub(super) async fn settle(&self, mut application: Application) -> Result<PutOff> {
        let prefix = Prefix::from_key(&application.prefix);
        let prefix = prefix.map_err(|error| Error::Storage(error.to_string()))?;
        if let Some(action) = self
            .here(&prefix)
            .and_then(|it| decision(&application, &it))
        {
            let message = match (action, application.message.as_str()) {
                (PrefixAction::Reject, "") => "refused by the national node",
                (_, message) => message,
            };
            if let Some(reason) = self.write(&prefix, action, message).await {
                return Ok(Some(reason));
            }
        }
        if matches!(application.phase(), Phase::Granted | Phase::Refused) {
            application.set_phase(Phase::Settled);
        }
        if !application.turned {
            self.commit(vec![application.entry()]).await?;
            return Ok(None);
        }
        if let Some(action) = self.here(&prefix).and_then(|it| turn(&application, &it))
            && let Some(reason) = self.write(&prefix, action, &application.message).await
        {
            self.commit(vec![application.entry()]).await?;
            return Ok(Some(reason));
        }
        application.turned = false;
        let noted = application.clone();
        let noted = self.blocking(move |this| this.noted(&noted)).await?;
        let entries = noted.into_iter().chain([application.entry()]);
        self.commit(entries.collect()).await?;
        Ok(None)
    }

    fn here(&self, prefix: &Prefix) -> Option<PrefixRecord> {
        let entry = self.registry.prefixes().get(prefix.key());
        entry.map(|entry| PrefixRecord::clone(&entry.record))
    }

    /// Takes a step of the prefix's lifecycle; why it cannot be taken now.
    async fn write(&self, prefix: &Prefix, action: PrefixAction, message: &str) -> PutOff {
        let written = self.registry.write_as_node(Command::TransitionPrefix {
            prefix: prefix.clone(),
            action,
            message: message.to_owned(),
            expected_version: None,
        });
        let name = prefix.canonical();
        match written.await {
            Ok(_) => {
                tracing::info!(prefix = name, ?action, "decided by the national node");
                None
            }
            Err(error) => {
                tracing::warn!(prefix = name, ?action, %error, "a prefix stays as it is");
                Some(format!("{name}: {error}"))
            }
        }
    }

    /// The command that applied for the prefix, with what has become of it since.
    fn noted(&self, application: &Application) -> Result<Option<Entry>> {
        let known = self.records.transaction(&application.client_id)?;
        let known = known.filter(|it| it.kind() == Kind::CreatePrefix);
        Ok(known.map(|mut transaction| {
            let turned = match application.withdrawn {
                true => "withdrawn there",
                false => "granted again there",
            };
            transaction.message = match application.message.as_str() {
                "" => turned.to_owned(),
                message => format!("{turned}: {message}"),
            };
            transaction.entry()
        }))
    }
}

/// The step that a decision is, if the prefix waits for it still.
fn decision(application: &Application, record: &PrefixRecord) -> Option<PrefixAction> {
    let waits =
        record.submitted == application.submitted && record.state() == PrefixState::UnderReview;
    match application.phase() {
        Phase::Granted if waits => Some(PrefixAction::Approve),
        Phase::Refused if waits => Some(PrefixAction::Reject),
        _ => None,
    }
}

/// The step that a withdrawal is, or its end, if it is not taken yet.
fn turn(application: &Application, record: &PrefixRecord) -> Option<PrefixAction> {
    let is_withdrawn = record.withdrawal() != Withdrawal::None;
    match record.has_been_active() && is_withdrawn != application.withdrawn {
        false => None,
        true if is_withdrawn => Some(PrefixAction::Regrant),
        true => Some(PrefixAction::Withdraw),
    }
}
