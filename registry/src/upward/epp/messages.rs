//! The messages of the national node's queue.

use super::link::LinkError;
use super::plan;
use super::provision::Provisioner;
use super::records::{Application, Message, Phase, Transaction, TransactionState};
use super::session::Session;
use crate::prefix::Withdrawal;
use crate::upward::Entry;
use crate::{Result, now_ms};
use idnode_proto::epp::prefix::Audit;
use idnode_proto::epp::{Data, Operation, Poll, ResultCode};
use idnode_proto::identifier::Prefix;

/// Most messages that are taken one after another, before what is owed goes on.
const MAX_MESSAGES: usize = 1_000;

impl Provisioner {
    /// Takes the messages that wait there: each is journalled with what it means, written here, and
    /// acknowledged then.
    pub async fn poll(&self, session: &mut Session) -> std::result::Result<(), LinkError> {
        for _ in 0..MAX_MESSAGES {
            let answer = session.ask(Operation::Poll(Poll::Request)).await?;
            if answer.code != ResultCode::MESSAGE {
                return match answer.code.is_success() {
                    true => Ok(()),
                    false => Err(LinkError::Answer(plan::reason(&answer))),
                };
            }
            let Some(queue) = answer.queue else {
                return Err(LinkError::Answer("a message has no id".into()));
            };
            if let Some(application) = self.take(&queue.id, answer.data).await? {
                self.settle(application).await?;
            }
            let acknowledged = session
                .ask(Operation::Poll(Poll::Acknowledge(queue.id)))
                .await?;
            // One that is not there any more was acknowledged before, and the answer was lost.
            let is_gone = acknowledged.code == ResultCode::NOT_FOUND;
            if !acknowledged.code.is_success() && !is_gone {
                return Err(LinkError::Answer(plan::reason(&acknowledged)));
            }
        }
        Ok(())
    }

    /// Journals a message; with the application that it decides or turns.
    async fn take(&self, id: &str, data: Option<Data>) -> Result<Option<Application>> {
        let reason = match data {
            Some(Data::Audit(audit)) => {
                let id = id.to_owned();
                return self.blocking(move |this| this.record(id, audit)).await;
            }
            Some(Data::Unknown(reason)) => reason,
            _ => "it is about no prefix".to_owned(),
        };
        // Those behind it are not to wait for what is never understood.
        let message = Message {
            id: id.to_owned(),
            message: plan::one_line(&reason),
            received_at_ms: now_ms(),
            ..Message::default()
        };
        tracing::error!(
            id,
            reason = message.message,
            "a message of the national node is passed over"
        );
        self.commit(vec![message.entry()]).await?;
        Ok(None)
    }

    fn record(&self, id: String, audit: Audit) -> Result<Option<Application>> {
        let prefix = Prefix::parse(&audit.prefix).ok();
        let known = match &prefix {
            Some(prefix) => self.records.application(prefix.key())?,
            None => None,
        };
        let waits = known.as_ref().is_some_and(|it| {
            it.client_id == audit.client_id && matches!(it.phase(), Phase::Apply | Phase::Waiting)
        });
        // Taken before: it is decided already, and only the acknowledgement was lost.
        let seen = self.records.message(&id)?;
        let is_it =
            |it: &Message| it.client_id == audit.client_id && it.passed == audit.is_passed();
        if !waits && seen.as_ref().is_some_and(is_it) {
            return Ok(None);
        }
        let text = plan::one_line(&audit.message);
        let decided = match (waits, prefix) {
            (true, _) => known.map(|it| decided(it, &audit, &text)),
            (false, Some(prefix)) => self.turned(&prefix, known, &audit, &text),
            (false, None) => None,
        };
        if decided.is_none() {
            tracing::warn!(
                id,
                prefix = audit.prefix,
                "a message is about nothing that waits or was granted"
            );
        }
        let message = Message {
            id,
            client_id: audit.client_id.clone(),
            prefix: audit.prefix.clone(),
            passed: audit.is_passed(),
            message: text,
            received_at_ms: now_ms(),
            matched: decided.is_some(),
        };
        let mut entries: Vec<Entry> = vec![message.entry()];
        entries.extend(decided.as_ref().map(Application::entry));
        let told = self.records.transaction(&audit.client_id)?;
        let learnt = told.and_then(|told| learnt(told, audit.server_id, waits));
        entries.extend(learnt.map(|it| it.entry()));
        self.records.commit(&entries)?;
        Ok(decided)
    }

    /// What was granted before, and is withdrawn by a message or granted again. `None`: it is nothing that
    /// was granted, or nothing new.
    fn turned(
        &self,
        prefix: &Prefix,
        known: Option<Application>,
        audit: &Audit,
        text: &str,
    ) -> Option<Application> {
        self.registry.provisioned_under(prefix)?;
        let entry = self.registry.prefixes().get(prefix.key());
        let here = entry.map(|entry| entry.record.clone());
        let here = here.filter(|it| it.has_been_active());
        let mut application = match (known, &here) {
            (Some(known), _) => known,
            // Granted before the journal was begun, as in a registry that was restored.
            (None, Some(record)) => {
                let mut application = Application {
                    prefix: record.key.clone(),
                    enterprise: record.enterprise,
                    client_id: audit.client_id.clone(),
                    granted_to: audit.enterprise_id.clone(),
                    ..Application::default()
                };
                application.set_phase(Phase::Settled);
                application
            }
            (None, None) => return None,
        };
        let (to, named) = (&application.granted_to, &audit.enterprise_id);
        let is_anothers = !to.is_empty() && !named.is_empty() && to != named;
        let was_granted = here.is_some() || !to.is_empty();
        let is_marked = here.is_some_and(|it| it.withdrawal() != Withdrawal::None);
        let is_withdrawn = application.withdrawn || is_marked && !application.turned;
        if is_anothers || !was_granted || is_withdrawn != audit.is_passed() {
            return None;
        }
        application.withdrawn = !audit.is_passed();
        application.turned = true;
        text.clone_into(&mut application.message);
        Some(application)
    }
}

/// An application that a message decides.
fn decided(mut application: Application, audit: &Audit, text: &str) -> Application {
    text.clone_into(&mut application.message);
    if audit.is_passed() {
        application.set_phase(Phase::Granted);
        application.granted_to.clone_from(&audit.enterprise_id);
        application.withdrawn = false;
    } else {
        application.set_phase(Phase::Refused);
    }
    application
}

/// A transaction with what a message tells of it, whose answer may have been lost: the server's name for it,
/// and that it was carried out. `None`: nothing new.
fn learnt(mut told: Transaction, server_id: String, is_decided: bool) -> Option<Transaction> {
    let before = told.clone();
    if !server_id.is_empty() {
        told.server_id = server_id;
    }
    if is_decided && told.state() != TransactionState::Done {
        told.set_state(TransactionState::Done);
        told.settled_at_ms = now_ms();
    }
    (told != before).then_some(told)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::identify::Identifiers;
    use super::super::records::Records;
    use super::super::troubles::Troubles;
    use super::*;
    use crate::prefix::PrefixState;
    use crate::tests::support::{Node, parsed};

    #[test]
    fn a_message_tells_the_servers_name_whatever_was_known() {
        let told = |state: TransactionState, server_id: &str| Transaction {
            client_id: "pc-1".into(),
            state: state.into(),
            server_id: server_id.into(),
            settled_at_ms: 1,
            ..Transaction::default()
        };
        let (done, sent) = (TransactionState::Done, TransactionState::Sent);
        // Found by a question, or answered as a repetition.
        for known in ["", "SV-of-a-refusal"] {
            let found = learnt(told(done, known), "SV-1".into(), true);
            assert_eq!(found, Some(told(done, "SV-1")));
        }
        let found = learnt(told(sent, ""), "SV-1".into(), true);
        assert!(found.is_some_and(|it| it.state() == done && it.server_id == "SV-1"));
        assert_eq!(learnt(told(done, "SV-1"), String::new(), true), None);
        assert_eq!(learnt(told(done, "SV-1"), "SV-1".into(), true), None);
        assert_eq!(learnt(told(sent, ""), String::new(), false), None);
    }

    #[test]
    fn a_granted_prefix_is_withdrawn_and_granted_again_whatever_the_journal_knows() {
        let node = Node::with_prefixes(&["88.118.8", "88.119.8"]);
        node.registry().provision_below(vec![parsed("88.118")]);
        let work = Provisioner {
            registry: node.registry().clone(),
            records: Records(node.registry().journal()),
            user: "shr".into(),
            troubles: Troubles::default(),
            identifiers: Identifiers::default(),
        };
        let take = |id: &str, prefix: &str, enterprise: &str, state: &str| {
            let audit = Audit {
                client_id: "pc-1".into(),
                server_id: "SV-1".into(),
                enterprise_id: enterprise.into(),
                prefix: prefix.into(),
                state: state.into(),
                result: Audit::GOOD.into(),
                message: "违规".into(),
            };
            let turned = work.record(id.into(), audit).unwrap();
            let is_turned = turned.is_some();
            if let Some(turned) = turned {
                let settled = node.runtime.block_on(work.settle(turned)).unwrap();
                assert_eq!(settled, None);
            }
            let record = node.prefix(prefix).unwrap();
            (is_turned, record.state(), record.withdrawal())
        };
        let (active, suspended) = (
            (PrefixState::Active, Withdrawal::None),
            (PrefixState::Suspended, Withdrawal::Suspended),
        );
        let is = |turned: bool, (state, withdrawal)| (turned, state, withdrawal);
        // What is active stays so, and what is not below the node's prefixes.
        assert_eq!(take("1", "88.118.8", "E9", "1"), is(false, active));
        assert_eq!(take("2", "88.119.8", "E9", "2"), is(false, active));
        assert_eq!(take("3", "88.118.8", "E9", "2"), is(true, suspended));
        // The same once more, and what is about another enterprise's.
        assert_eq!(take("3", "88.118.8", "E9", "2"), is(false, suspended));
        assert_eq!(take("4", "88.118.8", "E9", "2"), is(false, suspended));
        assert_eq!(take("5", "88.118.8", "E8", "1"), is(false, suspended));
        assert_eq!(take("6", "88.118.8", "E9", "1"), is(true, active));
        assert_eq!(take("7", "88.118.8", "", "0"), is(true, suspended));
    }
}
