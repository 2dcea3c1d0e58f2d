//! How commands reach the writer: whoever gives them, signed where that is to be, and one behind the
//! other where a client does not wait.

use super::Registry;
use crate::administrator::{Committed, HandleValues, Handles as _, rights_of};
use crate::enterprise::EnterpriseId;
use crate::prefix::PrefixAction;
use crate::prefix_table::Traffic;
use crate::record::Record;
use crate::write::{
    Command, Endorser, Held, Idempotency, Origin, Receipt, Submitted, WriterHandle,
};
use crate::{Caller, Error, Object, Result};
use idnode_proto::identifier::Identifier;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How often an update is signed anew because the record changed meanwhile.
const ENDORSING_ATTEMPTS: usize = 32;

/// A command that has been handed in.
#[derive(Debug)]
#[must_use = "what became of it is known by Registry::receipt alone"]
pub struct Submission {
    submitted: Submitted,
    counted: Counted,
}

/// Among what a command's latency counts.
#[derive(Debug)]
struct Counted {
    traffic: Option<Arc<Traffic>>,
    began: Instant,
}

impl Counted {
    fn from_now(traffic: Option<Arc<Traffic>>) -> Self {
        Self {
            traffic,
            began: Instant::now(),
        }
    }
}

impl Registry {
    /// Carries out a command: checked, numbered, durable and visible on this node when it
    /// returns. Cancelling the wait does not take the command back.
    pub async fn write(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
    ) -> Result<Receipt> {
        let command = self.left_to_national(command);
        self.carry_out(caller, idempotency, command, Origin::Here)
            .await
    }

    /// Carries out a command of the node itself, in the name of those above it: what it approves is
    /// approved.
    pub async fn write_as_node(&self, command: Command) -> Result<Receipt> {
        self.carry_out(&Caller::node(), None, command, Origin::Above)
            .await
    }

    /// Carries out a command of the node itself, in the name of those above it, by the rules that hold
    /// for an enterprise: its quota, its prefixes, what it may change.
    pub async fn write_for(&self, enterprise: EnterpriseId, command: Command) -> Result<Receipt> {
        let caller = Caller::Enterprise {
            id: enterprise,
            credential: Caller::node().credential().to_owned(),
        };
        self.carry_out(&caller, None, command, Origin::Above).await
    }

    /// From now on nothing of this is registered here but by those above; `None`: everything is again.
    /// What was begun before is done when this returns. It must be durable elsewhere.
    ///
    /// # Errors
    /// The node is shutting down, or its log has failed: then nothing is registered at all.
    pub async fn hold(&self, held: Option<Held>) -> Result<()> {
        let hold = Command::Hold(held);
        self.carry_out(&Caller::node(), None, hold, Origin::Above)
            .await
            .map(drop)
    }

    /// What the national node has taken over.
    pub fn held(&self) -> Option<Arc<Held>> {
        self.held.load_full()
    }

    /// Hands a command in, behind all that were handed in before, so that a client's changes that
    /// come together become durable together. Not for a command that [`Self::signs`].
    ///
    /// # Errors
    /// Whose it is is not known, or the node is shutting down.
    pub async fn submit(&self, caller: &Caller, command: Command) -> Result<Submission> {
        let command = self.left_to_national(command);
        self.hand_in(caller, None, command, Origin::Here).await
    }

    /// Whether what a command registers is signed before the writer has it.
    pub fn signs(&self, command: &Command) -> bool {
        let endorser = self.endorser.get();
        endorser.is_some_and(|endorser| endorser.concerns(command))
    }

    async fn carry_out(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
        origin: Origin,
    ) -> Result<Receipt> {
        let endorser = self.endorser.get();
        let Some(endorser) = endorser.filter(|endorser| endorser.concerns(&command)) else {
            let submission = self.hand_in(caller, idempotency, command, origin).await?;
            return self.receipt(submission).await;
        };
        let writer = self.open_to(caller)?;
        let counted = Counted::from_now(self.registered_under(&command));
        let written = self
            .write_endorsed(endorser, &writer, caller, idempotency, command, origin)
            .await;
        self.count(counted, &written);
        written
    }

    async fn hand_in(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
        origin: Origin,
    ) -> Result<Submission> {
        let writer = self.open_to(caller)?;
        let counted = Counted::from_now(self.registered_under(&command));
        let submitted = writer.submit(caller.clone(), idempotency, command, origin);
        Ok(Submission {
            submitted: submitted.await?,
            counted,
        })
    }

    /// What became of a command that was handed in, when it is durable or refused.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn receipt(&self, submission: Submission) -> Result<Receipt> {
        let written = submission.submitted.receipt().await;
        self.count(submission.counted, &written);
        written
    }

    /// The writer, if it still takes commands of this caller's.
    fn open_to(&self, caller: &Caller) -> Result<WriterHandle> {
        caller.require_known()?;
        let unavailable = || Error::Unavailable("the node is shutting down".into());
        if self.draining.load(Ordering::Acquire) {
            return Err(unavailable());
        }
        self.writer.lock().clone().ok_or_else(unavailable)
    }

    fn count(&self, counted: Counted, written: &Result<Receipt>) {
        if let (Some(traffic), Ok(_)) = (counted.traffic, written) {
            let took = counted.began.elapsed();
            traffic.registering.record(took);
            self.registering.record(took);
        }
    }

    /// Whose registrations a command counts among; `None`: it registers no single identifier.
    fn registered_under(&self, command: &Command) -> Option<Arc<Traffic>> {
        let Command::CreateIdentifier(draft) = command else {
            return None;
        };
        let owner = self.prefixes.owner_of(draft.identifier())?;
        Some(owner.traffic.clone())
    }

    /// A command with approval and resumption as what they are where the national node has the last
    /// word.
    fn left_to_national(&self, mut command: Command) -> Command {
        if let Command::TransitionPrefix { prefix, action, .. } = &mut command
            && self.provisioned_under(prefix).is_some()
        {
            *action = match *action {
                PrefixAction::Approve => PrefixAction::Submit,
                PrefixAction::Resume => PrefixAction::ResumeGranted,
                other => other,
            };
        }
        command
    }

    /// Signs what a command registers and hands it in.
    async fn write_endorsed(
        &self,
        endorser: &Arc<Endorser>,
        writer: &WriterHandle,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
        origin: Origin,
    ) -> Result<Receipt> {
        for _ in 0..ENDORSING_ATTEMPTS {
            let (endorser, unsigned, whose) = (endorser.clone(), command.clone(), caller.clone());
            let (store, prefixes) = (self.store.clone(), self.prefixes.clone());
            let signing = tokio::task::spawn_blocking(move || {
                let committed = Committed {
                    store: &store,
                    prefixes: &prefixes,
                };
                endorsed(&endorser, &committed, &whose, unsigned)
            });
            let signed = signing
                .await
                .map_err(|_| Error::Storage("signing ended without a result".into()))??;
            let written = writer.write(caller.clone(), idempotency.clone(), signed, origin);
            let written = written.await;
            match (&written, &command) {
                // The record has changed since it was signed, not since the caller read it.
                (
                    Err(Error::VersionMismatch { expected, .. }),
                    Command::UpdateIdentifier(update),
                ) if update.expected_version() != Some(*expected) => {}
                // It is allowed by now, and was not signed since it was not.
                (
                    Err(Error::VersionMismatch {
                        object: Object::Prefix,
                        ..
                    }),
                    Command::CreateIdentifier(_),
                ) => {}
                _ => return written,
            }
        }
        Err(Error::Unavailable(
            "the identifier changes faster than its values are signed; try again".into(),
        ))
    }
}

/// The command with what it registers signed, where the caller may register it as far as can be
/// told beside the writer: a signature is dear, and the writer refuses the rest.
fn endorsed(
    endorser: &Endorser,
    committed: &Committed<'_>,
    caller: &Caller,
    command: Command,
) -> Result<Command> {
    let grants = endorser.grants(committed)?;
    Ok(match command {
        Command::CreateIdentifier(draft) => {
            // Read first: what is asked next may be of a later version only.
            let prefix = committed.prefixes.owner_of(draft.identifier());
            let prefix_version = prefix.map_or(0, |prefix| prefix.record.version);
            let concerned = concerns(committed, caller, draft.identifier(), None)?;
            Command::CreateIdentifier(match concerned {
                true => endorser.draft(draft, &grants)?,
                false => draft.withheld_at(prefix_version),
            })
        }
        Command::UpdateIdentifier(update) => {
            let identifier = update.identifier();
            let existing = committed.identifier_record(identifier)?;
            let existing = existing.filter(Record::is_live);
            let concerned = concerns(committed, caller, identifier, existing.as_ref())?;
            let existing = existing.filter(|_| concerned);
            Command::UpdateIdentifier(endorser.update(update, existing.as_ref(), &grants)?)
        }
        Command::ImportChunk {
            import_id,
            number,
            mode,
            items,
        } if endorser.imports => Command::ImportChunk {
            import_id,
            number,
            mode,
            items: endorser.chunk(items, &grants, |identifier| {
                let owner = committed.prefixes.owner_of(identifier);
                owner.is_some_and(|owner| caller.owns(owner.record.owner()))
            }),
        },
        other => other,
    })
}

/// Whether an identifier is the caller's to register or to change: its prefix is its own, or the
/// record's HS_ADMIN values, or without a record the prefix's, name the administrator.
fn concerns(
    committed: &Committed<'_>,
    caller: &Caller,
    identifier: &Identifier,
    existing: Option<&Record>,
) -> Result<bool> {
    let Some(owner) = committed.prefixes.owner_of(identifier) else {
        return Ok(false);
    };
    let Caller::Administrator(administrator) = caller else {
        return Ok(caller.owns(owner.record.owner()));
    };
    let values = existing.map_or_else(
        || HandleValues::of_prefix(&owner.record),
        HandleValues::of_record,
    );
    Ok(rights_of(committed, administrator, &values)?.is_some())
}
