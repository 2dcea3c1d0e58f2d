//! Handles of prefixes: each is looked at there, and made what it is to be. What is there decides, not what
//! was sent: so an answer that was lost, or a crash anywhere, costs a question and nothing else.

use super::identifier::{self, Wish};
use super::link::LinkError;
use super::plan::{self, Verdict};
use super::provision::{Provisioner, PutOff};
use super::records::{Handle, Kind, Transaction, TransactionState};
use super::session::Session;
use super::tell::{Told, count};
use crate::upward::Entry;
use crate::{Error, Result, now_ms};
use bytes::Bytes;
use idnode_proto::epp::identifier::IdentifierCreate;
use idnode_proto::epp::{Data, Operation, ResultCode};
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::Prefix;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a handle is looked at in one go: what was begun before is settled first.
const MAX_LOOKS: usize = 3;
/// Handles that are told one after another, before messages are asked for and applications go on.
const MAX_AT_ONCE: usize = 64;

/// What is told of prefixes' handles, and whether.
#[derive(Debug, Clone, Default)]
pub(super) struct Identifiers {
    /// Whether the national node takes them; `None`: not known yet.
    offered: Arc<Mutex<Option<bool>>>,
    /// The last one that was told, where further ones wait behind it.
    reached: Arc<Mutex<Option<Bytes>>>,
    /// The node's own site.
    site: Option<Arc<Site>>,
    /// Its digest.
    digest: String,
}

impl Identifiers {
    pub fn new(site: Option<Site>) -> Self {
        Self {
            offered: Arc::default(),
            reached: Arc::default(),
            digest: identifier::digest_of_site(site.as_ref()),
            site: site.map(Arc::new),
        }
    }

    /// Whether they are told from now on.
    pub fn offer(&self, offered: bool) {
        *self.offered.lock() = Some(offered);
    }

    /// Of all that are owed, those that are told next; with whether further ones wait.
    fn next(&self, mut owed: Vec<Bytes>) -> (Vec<Bytes>, bool) {
        owed.sort_unstable();
        let mut reached = self.reached.lock();
        if let Some(after) = reached.take() {
            owed.retain(|it| *it > after);
        }
        let are_more = owed.len() > MAX_AT_ONCE;
        owed.truncate(MAX_AT_ONCE);
        if are_more {
            *reached = owed.last().cloned();
        }
        (owed, are_more)
    }
}

/// What there is of a handle.
enum Found {
    /// Nothing.
    Nothing,
    /// What this node has registered.
    Ours(Box<IdentifierCreate>),
    /// It is not this node's to speak of, or not to be asked for.
    No(ResultCode, String),
    /// It could not be told now, for this reason.
    Later(String),
}

/// What comes of a look.
enum Look {
    Over(PutOff),
    /// What was begun before is settled; look again.
    Again,
}

/// What is to be told.
struct Step {
    kind: Kind,
    operation: Operation,
    /// Digest of what it leads to; empty: to nothing.
    leads_to: String,
}

impl Provisioner {
    /// Prefixes whose handles are not there as they are to be, by their keys.
    pub(super) fn handles_owed(&self) -> Result<Vec<Bytes>> {
        let offered = *self.identifiers.offered.lock();
        if offered == Some(false) {
            return Ok(Vec::new());
        }
        let mut known = BTreeMap::new();
        self.records.each_handle(|handle| {
            known.insert(handle.prefix.clone(), handle);
            Ok(())
        })?;
        // As it was before, until a server has greeted.
        if offered.is_none() && known.is_empty() {
            return Ok(Vec::new());
        }
        let (mut owed, mut looked_at) = (Vec::new(), Vec::new());
        for entry in self.registry.prefixes().all() {
            let key = &entry.record.key;
            let handle = known.remove(key);
            let stamp = handle.as_ref().map(|it| (it.version, it.site.as_str()));
            let under_way = handle.as_ref().is_some_and(|it| !it.client_id.is_empty());
            let is_known = stamp == Some((entry.record.version, self.identifiers.digest.as_str()));
            if is_known && !under_way || !self.is_provisioned(key) {
                continue;
            }
            let wish = identifier::wish(Some(&entry.record), self.identifiers.site.as_deref());
            match (is_owed(handle.as_ref(), &wish), handle) {
                (true, _) => owed.push(key.clone()),
                // So that it is not computed again.
                (false, Some(handle)) => {
                    let handle = self.stamped(handle, entry.record.version);
                    looked_at.push(handle.entry());
                }
                (false, None) => {}
            }
        }
        let removed = known
            .into_values()
            .filter(|it| is_owed(Some(it), &Wish::Nothing) && self.is_provisioned(&it.prefix));
        owed.extend(removed.map(|it| it.prefix));
        if !looked_at.is_empty() {
            self.records.commit(&looked_at)?;
        }
        Ok(owed)
    }

    /// Those that are told next, with whether further ones wait.
    pub(super) fn next_handles(&self) -> Result<(Vec<Bytes>, bool)> {
        Ok(self.identifiers.next(self.handles_owed()?))
    }

    fn is_provisioned(&self, key: &[u8]) -> bool {
        let prefix = Prefix::from_key(key).ok();
        prefix.is_some_and(|it| self.registry.provisioned_under(&it).is_some())
    }

    fn stamped(&self, handle: Handle, version: u64) -> Handle {
        Handle {
            version,
            site: self.identifiers.digest.clone(),
            ..handle
        }
    }

    /// Sees that a prefix's handle is there as it is to be.
    pub(super) async fn identify(
        &self,
        key: Bytes,
        session: &mut Session,
    ) -> std::result::Result<PutOff, LinkError> {
        let prefix = Prefix::from_key(&key).map_err(|it| Error::Storage(it.to_string()))?;
        for _ in 0..MAX_LOOKS {
            match self.look(&prefix, session).await? {
                Look::Over(put_off) => return Ok(put_off),
                Look::Again => {}
            }
        }
        Ok(Some(format!("identifier {prefix} changes there meanwhile")))
    }

    async fn look(
        &self,
        prefix: &Prefix,
        session: &mut Session,
    ) -> std::result::Result<Look, LinkError> {
        let name = prefix.canonical();
        let key = Bytes::copy_from_slice(prefix.key());
        let read = move |this: &Self| this.handle_and_wish(&key);
        let (mut handle, wish, begun) = self.blocking(read).await?;
        let found = match self.find(&name, session).await? {
            Found::Later(reason) => {
                return Ok(Look::Over(Some(format!("identifier {name}: {reason}"))));
            }
            Found::No(code, reason) => {
                self.not_ours(handle, &wish, begun, (code, reason)).await?;
                return Ok(Look::Over(None));
            }
            Found::Nothing => None,
            Found::Ours(object) => Some(object),
        };
        let step = step(&name, &wish, found.as_deref());
        let transaction = step.as_ref().map(|it| {
            let (kind, operation) = (it.kind, it.operation.clone());
            plan::transaction(kind, name.clone(), operation, handle.turns, now_ms())
        });
        let goes_on = transaction.as_ref().map(|it| it.client_id.as_str());
        if !handle.client_id.is_empty() && goes_on != Some(handle.client_id.as_str()) {
            let found = found.as_deref().map(identifier::digest);
            let settled = begun.and_then(|begun| settled(begun, &handle, found.as_deref()));
            over(&mut handle);
            let entries = settled.iter().map(Transaction::entry);
            self.commit(entries.chain([handle.entry()]).collect())
                .await?;
            return Ok(Look::Again);
        }
        let (Some(step), Some(transaction)) = (step, transaction) else {
            match &wish {
                Wish::Object(wanted) => told(&mut handle, identifier::digest(wanted)),
                Wish::Nothing => told(&mut handle, String::new()),
                Wish::AsItIs => {}
            }
            self.commit(vec![handle.entry()]).await?;
            return Ok(Look::Over(None));
        };
        if step.kind == Kind::CreateIdentifier
            && let Some(reason) = self.not_granted(prefix, session).await?
        {
            return Ok(match reason {
                Verdict::Later => Look::Over(Some(format!("identifier {name}: not known yet"))),
                _ => {
                    tracing::warn!(prefix = name, "is active here, and not registered there");
                    handle.refused = step.leads_to;
                    self.commit(vec![handle.entry()]).await?;
                    Look::Over(None)
                }
            });
        }
        // Known before it is sent.
        handle.client_id.clone_from(&transaction.client_id);
        handle.leads_to.clone_from(&step.leads_to);
        handle.is_there = true;
        self.commit(vec![handle.entry()]).await?;
        match self.tell(transaction, None, session).await? {
            Told::Yes(_) => {
                over(&mut handle);
                told(&mut handle, step.leads_to);
            }
            Told::No(reason) => {
                tracing::warn!(
                    prefix = name,
                    reason,
                    "the national node refuses an identifier"
                );
                over(&mut handle);
                refused(&mut handle, step.leads_to);
            }
            Told::Exists => return Ok(Look::Again),
            Told::Later(reason) => return Ok(Look::Over(Some(format!("identifier {reason}")))),
        }
        self.commit(vec![handle.entry()]).await?;
        Ok(Look::Over(None))
    }

    /// What is known of a handle, stamped as looked at; what is to be there; the transaction under way.
    fn handle_and_wish(&self, key: &Bytes) -> Result<(Handle, Wish, Option<Transaction>)> {
        let handle = self.records.handle(key)?.unwrap_or_else(|| Handle {
            prefix: key.clone(),
            // So that no registry before this one has told the same under the same name.
            turns: now_ms(),
            ..Handle::default()
        });
        let entry = self.registry.prefixes().get(key);
        let record = entry.as_ref().map(|it| &*it.record);
        let wish = identifier::wish(record, self.identifiers.site.as_deref());
        let begun = match handle.client_id.as_str() {
            "" => None,
            client_id => self.records.transaction(client_id)?,
        };
        let version = record.map_or(0, |it| it.version);
        Ok((self.stamped(handle, version), wish, begun))
    }

    /// Asks what there is of a handle.
    async fn find(
        &self,
        name: &str,
        session: &mut Session,
    ) -> std::result::Result<Found, LinkError> {
        let check = Operation::CheckIdentifiers(vec![name.to_owned()]);
        let answer = session.ask(check).await?;
        if !answer.code.is_success() {
            return Ok(not_found(answer.code, plan::reason(&answer)));
        }
        let Some(Data::CheckedIdentifiers(checked)) = answer.data else {
            return Ok(Found::Later("a check is answered without a word".into()));
        };
        match checked.iter().find(|it| it.name == name) {
            None => return Ok(Found::Later("a check is answered about another".into())),
            Some(checked) if checked.available => return Ok(Found::Nothing),
            Some(_) => {}
        }
        let answer = session
            .ask(Operation::InfoIdentifier(name.to_owned()))
            .await?;
        Ok(match (answer.code, answer.data) {
            (code, Some(Data::Identifier(info))) if code.is_success() => {
                Found::Ours(Box::new(info.object))
            }
            (code, data) if code.is_success() => {
                let reason = match data {
                    Some(Data::Unknown(reason)) => reason,
                    _ => "it is there, and nothing is told of it".to_owned(),
                };
                Found::Later(plan::one_line(&reason))
            }
            (ResultCode::NOT_FOUND, _) => Found::Later("it goes at this moment".into()),
            // It is another's, who alone is told.
            (ResultCode::UNAUTHORISED, _) => {
                let reason = "is registered there by another";
                Found::No(ResultCode::UNAUTHORISED, reason.to_owned())
            }
            (code, _) => not_found(code, format!("{code}")),
        })
    }

    /// Why a handle is not to be registered: a prefix that is active here without an application of this
    /// node's, as in a registry that was restored, may not be registered there. `None`: it is.
    async fn not_granted(
        &self,
        prefix: &Prefix,
        session: &mut Session,
    ) -> std::result::Result<Option<Verdict>, LinkError> {
        let key = prefix.key().to_vec();
        let applied = move |this: &Self| this.records.application(&key);
        if self.blocking(applied).await?.is_some() {
            return Ok(None);
        }
        let Some(own) = self.registry.provisioned_under(prefix) else {
            return Ok(Some(Verdict::Refused));
        };
        let question = plan::check_prefix(&own.canonical(), &prefix.canonical());
        let answer = session.ask(question).await?;
        Ok(match plan::verdict(Kind::CreatePrefix, answer.code) {
            Verdict::Exists => None,
            Verdict::Later => Some(Verdict::Later),
            Verdict::Done | Verdict::Refused => Some(Verdict::Refused),
        })
    }

    /// Journals that a handle is not this node's to speak of.
    async fn not_ours(
        &self,
        mut handle: Handle,
        wish: &Wish,
        begun: Option<Transaction>,
        (code, reason): (ResultCode, String),
    ) -> Result<()> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut transaction = begun;
        if let Wish::Object(wanted) = wish {
            let name = wanted.name.clone();
            tracing::warn!(
                prefix = name,
                reason,
                "an identifier is not this node's at the national node"
            );
            let operation = Operation::CreateIdentifier(wanted.clone());
            let kind = Kind::CreateIdentifier;
            let create = || plan::transaction(kind, name, operation, handle.turns, now_ms());
            transaction = Some(transaction.unwrap_or_else(create));
            refused(&mut handle, identifier::digest(wanted));
        } else {
            told(&mut handle, String::new());
        }
        if let Some(mut transaction) = transaction.filter(|it| !is_settled(it)) {
            transaction.set_state(TransactionState::Refused);
            transaction.code = code.number().into();
            transaction.message = plan::one_line(&reason);
            transaction.settled_at_ms = now_ms();
            count(transaction.kind(), "refused");
            entries.push(transaction.entry());
        }
        over(&mut handle);
        entries.push(handle.entry());
        self.commit(entries).await
    }
}

fn not_found(code: ResultCode, reason: String) -> Found {
    match plan::verdict(Kind::CreateIdentifier, code) {
        Verdict::Later => Found::Later(reason),
        _ => Found::No(code, reason),
    }
}

fn is_owed(handle: Option<&Handle>, wish: &Wish) -> bool {
    let under_way = handle.is_some_and(|it| !it.client_id.is_empty());
    under_way
        || match wish {
            Wish::AsItIs => false,
            Wish::Nothing => handle.is_some_and(|it| it.is_there && it.refused != Handle::DELETION),
            Wish::Object(wanted) => handle.is_none_or(|it| {
                let digest = identifier::digest(wanted);
                it.told != digest && it.refused != digest
            }),
        }
}

/// What makes of what is there what is to be there; `None`: it is.
fn step(name: &str, wish: &Wish, found: Option<&IdentifierCreate>) -> Option<Step> {
    match (wish, found) {
        (Wish::Object(wanted), None) => Some(Step {
            kind: Kind::CreateIdentifier,
            operation: Operation::CreateIdentifier(wanted.clone()),
            leads_to: identifier::digest(wanted),
        }),
        (Wish::Object(wanted), Some(found)) => {
            let update = identifier::difference(found, wanted)?;
            Some(Step {
                kind: Kind::UpdateIdentifier,
                operation: Operation::UpdateIdentifier(Box::new(update)),
                leads_to: identifier::digest(wanted),
            })
        }
        (Wish::Nothing, Some(_)) => Some(Step {
            kind: Kind::DeleteIdentifier,
            operation: Operation::DeleteIdentifier(name.to_owned()),
            leads_to: String::new(),
        }),
        (Wish::Nothing, None) | (Wish::AsItIs, _) => None,
    }
}

fn is_settled(transaction: &Transaction) -> bool {
    matches!(
        transaction.state(),
        TransactionState::Done | TransactionState::Refused
    )
}

/// A transaction whose answer was lost, by the digest of what is there; one that something newer has
/// overtaken is given up. `None`: it was settled.
fn settled(
    mut transaction: Transaction,
    handle: &Handle,
    found: Option<&str>,
) -> Option<Transaction> {
    if is_settled(&transaction) {
        return None;
    }
    let is_done = match transaction.kind() {
        Kind::CreateIdentifier => found.is_some(),
        Kind::DeleteIdentifier => found.is_none(),
        _ => found == Some(handle.leads_to.as_str()),
    };
    let (state, message, outcome) = match is_done {
        true => (TransactionState::Done, "found there", "found"),
        false => (
            TransactionState::Refused,
            "overtaken by a change",
            "refused",
        ),
    };
    transaction.set_state(state);
    message.clone_into(&mut transaction.message);
    transaction.settled_at_ms = now_ms();
    count(transaction.kind(), outcome);
    Some(transaction)
}

/// The transaction under way is over: the next one has another name.
fn over(handle: &mut Handle) {
    handle.client_id.clear();
    handle.turns = handle.turns.saturating_add(1);
}

/// What is there now; empty: nothing.
fn told(handle: &mut Handle, digest: String) {
    handle.is_there = !digest.is_empty();
    handle.told = digest;
    handle.refused.clear();
}

/// What is not told again; empty: the deletion.
fn refused(handle: &mut Handle, digest: String) {
    handle.refused = match digest.is_empty() {
        true => Handle::DELETION.to_owned(),
        false => digest,
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn however_many_are_owed_they_are_told_in_turns_and_none_is_passed_over() {
        let all: Vec<Bytes> = (0..150_u8).map(|it| vec![it].into()).collect();
        let identifiers = Identifiers::default();
        let mut left = all.clone();
        let (first, are_more) = identifiers.next(left.clone());
        assert_eq!((first.len(), are_more), (MAX_AT_ONCE, true));
        // Those that were put off are owed still, and come again behind the others.
        left.retain(|it| it == &first[0] || !first.contains(it));
        let (second, are_more) = identifiers.next(left.clone());
        assert_eq!((&second[..], are_more), (&all[64..128], true));
        left.retain(|it| !second.contains(it));
        let (third, are_more) = identifiers.next(left.clone());
        assert_eq!((&third[..], are_more), (&all[128..], false));
        left.retain(|it| !third.contains(it));
        let (fourth, are_more) = identifiers.next(left);
        assert_eq!((&fourth[..], are_more), (&all[..1], false));
    }
}
