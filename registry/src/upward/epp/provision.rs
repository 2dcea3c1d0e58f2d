//! The work: what is owed is told, what is answered is journalled, what is decided there is written
//! here. Every step is journalled before it is sent and may be broken off anywhere.

use super::link::LinkError;
use super::plan::{self, Verdict};
use super::records::{
    Application, Enrolment, Kind, Message, Phase, Records, Transaction, TransactionState,
};
use super::session::Session;
use crate::enterprise::{EnterpriseId, EnterpriseState, Profile};
use crate::prefix::{PrefixAction, PrefixRecord, PrefixState};
use crate::read::{MAX_PAGE, PageRequest};
use crate::upward::Entry;
use crate::write::Command;
use crate::{Caller, Error, Registry, Result, now_ms};
use idnode_proto::epp::prefix::Audit;
use idnode_proto::epp::{Data, Operation, Poll, Response, ResultCode};
use idnode_proto::identifier::Prefix;
use std::sync::Arc;

/// Most messages that are taken one after another, before what is owed goes on.
const MAX_MESSAGES: usize = 1_000;

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// What is to be told, or to be written here.
    pub owed: u64,
    /// Applications under review there.
    pub waiting: u64,
    /// Something was put off: it is tried again later.
    pub put_off: bool,
}

/// Provisioning of one registry.
#[derive(Clone)]
pub(super) struct Provisioner {
    pub registry: Arc<Registry>,
    pub records: Records,
    /// The node's user at the national node.
    pub user: String,
}

/// What became of a command.
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at where it is made"
)]
enum Told {
    /// It is there; with what the server answered, unless a question found it.
    Yes(Option<Response>),
    /// It is there already, and this node has not brought it there.
    Exists,
    /// It is refused, for this reason.
    No(String),
    /// It may go later.
    Later,
}

impl Provisioner {
    /// Opens an application for each prefix that has been approved here since, and tells how things
    /// stand. Needs no connection.
    pub async fn reconcile(&self) -> Result<Standing> {
        self.blocking(|this| {
            let node = Caller::node();
            let mut request = PageRequest {
                size: MAX_PAGE as u32,
                token: String::new(),
            };
            loop {
                let state = Some(PrefixState::UnderReview);
                let page = this.registry.list_prefixes(&node, None, state, &request)?;
                for record in page.items.iter().filter(|it| it.submitted > 0) {
                    this.open(record)?;
                }
                if page.next_token.is_empty() {
                    break;
                }
                request.token = page.next_token;
            }
            let applications = this.records.applications()?;
            let count = |wanted: fn(&Application) -> bool| {
                applications.iter().filter(|it| wanted(it)).count() as u64
            };
            Ok(Standing {
                owed: count(Application::is_owed) + this.changed_enterprises()?.len() as u64,
                waiting: count(|it| it.phase() == Phase::Waiting),
                put_off: false,
            })
        })
        .await
    }

    fn open(&self, record: &PrefixRecord) -> Result<()> {
        let before = self.records.application(&record.key)?;
        if before
            .as_ref()
            .is_some_and(|it| it.submitted >= record.submitted)
        {
            return Ok(());
        }
        let application = match before {
            // What was applied for before is under review there still: that decides this one.
            Some(before)
                if before.phase() == Phase::Waiting && before.enterprise == record.enterprise =>
            {
                Application {
                    submitted: record.submitted,
                    ..before
                }
            }
            before => Application {
                prefix: record.key.clone(),
                enterprise: record.enterprise,
                submitted: record.submitted,
                granted_to: before.map(|it| it.granted_to).unwrap_or_default(),
                ..Application::default()
            },
        };
        self.records.commit(&[application.entry()])
    }

    /// Tells all that is owed.
    ///
    /// # Errors
    /// The session is of no more use, or the store fails. What was told stays told.
    pub async fn tell_all(&self, session: &mut Session) -> std::result::Result<bool, LinkError> {
        let mut put_off = false;
        for application in self.blocking(|this| this.records.applications()).await? {
            if application.is_owed() {
                put_off |= !self.drive(application, session).await?;
            }
        }
        for enrolment in self.blocking(Self::changed_enterprises).await? {
            put_off |= !self.update(enrolment, session).await?;
        }
        Ok(put_off)
    }

    /// Brings an application as far as it goes now. False: something was put off.
    async fn drive(
        &self,
        mut application: Application,
        session: &mut Session,
    ) -> std::result::Result<bool, LinkError> {
        loop {
            let before = application.phase();
            let next = match before {
                Phase::Enrol => self.enrol(&application, session).await?,
                Phase::Apply => self.apply(&application, session).await?,
                Phase::Granted | Phase::Refused => return Ok(self.settle(application).await?),
                Phase::Waiting | Phase::Settled => return Ok(true),
            };
            match next {
                Some(next) => application = next,
                None => return Ok(false),
            }
        }
    }

    /// Sees that the enterprise is registered there. `None`: later.
    async fn enrol(
        &self,
        application: &Application,
        session: &mut Session,
    ) -> std::result::Result<Option<Application>, LinkError> {
        let id = EnterpriseId(application.enterprise);
        let mut next = application.clone();
        next.set_phase(Phase::Apply);
        let enrolled = move |this: &Self| this.records.enrolment(id);
        if self.blocking(enrolled).await?.is_some() {
            self.commit(vec![next.entry()]).await?;
            return Ok(Some(next));
        }
        let Some((prefix, own)) = self.names(application) else {
            return Ok(Some(
                self.give_up(next, "is not below the node's prefixes")
                    .await?,
            ));
        };
        let read = move |this: &Self| this.registry.get_enterprise(&Caller::node(), id);
        let profile = self.blocking(read).await?.profile;
        let operation = plan::create_enterprise(&own, &profile);
        let name = id.to_string();
        let transaction = plan::transaction(Kind::CreateEnterprise, name, operation, 0, now_ms());
        // Asked first: a create whose answer was lost is found so, and so is what others brought.
        let question = plan::check_enterprise(&self.user, &profile);
        let told = self.tell(transaction, Some(&question), session).await?;
        let national_id = match told {
            Told::Yes(Some(Response {
                data: Some(Data::CreatedEnterprise(id) | Data::CheckedEnterprise(id)),
                ..
            })) => id,
            // Registered at this moment by another, or without a number: asked again next time.
            Told::Yes(_) | Told::Exists | Told::Later => return Ok(None),
            Told::No(reason) => {
                let reason = format!("enterprise {id}: {reason}");
                tracing::warn!(%prefix, reason, "the national node refuses an enterprise");
                return Ok(Some(self.give_up(next, &reason).await?));
            }
        };
        let enrolment = Enrolment {
            enterprise: application.enterprise,
            national_id,
            told: profile,
        };
        self.commit(vec![enrolment.entry(), next.entry()]).await?;
        Ok(Some(next))
    }

    /// Applies for the prefix. `None`: later.
    async fn apply(
        &self,
        application: &Application,
        session: &mut Session,
    ) -> std::result::Result<Option<Application>, LinkError> {
        let id = EnterpriseId(application.enterprise);
        let enrolment = self
            .blocking(move |this| this.records.enrolment(id))
            .await?;
        let mut next = application.clone();
        let Some(enrolment) = enrolment else {
            next.set_phase(Phase::Enrol);
            self.commit(vec![next.entry()]).await?;
            return Ok(Some(next));
        };
        let Some((prefix, own)) = self.names(application) else {
            return Ok(Some(
                self.give_up(next, "is not below the node's prefixes")
                    .await?,
            ));
        };
        let operation = plan::create_prefix(&own, &enrolment.national_id, &prefix);
        let (kind, occasion) = (Kind::CreatePrefix, application.submitted);
        let transaction = plan::transaction(kind, prefix.clone(), operation, occasion, now_ms());
        // Known before it is sent: its message may come before its answer.
        next.client_id.clone_from(&transaction.client_id);
        self.commit(vec![next.entry()]).await?;
        let question = plan::check_prefix(&own, &prefix);
        next = match self.tell(transaction, Some(&question), session).await? {
            // Whether it is granted is told by a message, whatever the answer (section 3.1.3).
            Told::Yes(_) => {
                next.set_phase(Phase::Waiting);
                self.commit(vec![next.entry()]).await?;
                next
            }
            Told::Exists if application.granted_to == enrolment.national_id => {
                next.set_phase(Phase::Granted);
                self.commit(vec![next.entry()]).await?;
                next
            }
            Told::Exists => self.give_up(next, "is registered there already").await?,
            Told::No(reason) => self.give_up(next, &reason).await?,
            Told::Later => return Ok(None),
        };
        Ok(Some(next))
    }

    /// Tells what has changed of an enterprise. False: later.
    async fn update(
        &self,
        (enrolment, now, version): (Enrolment, Profile, u64),
        session: &mut Session,
    ) -> std::result::Result<bool, LinkError> {
        let own = self.registry.provisioned_first().unwrap_or_default();
        let (national, told) = (&enrolment.national_id, &enrolment.told);
        let operation = plan::update_enterprise(&own, &self.user, national, told, &now);
        if let Some(operation) = operation {
            let name = EnterpriseId(enrolment.enterprise).to_string();
            let kind = Kind::UpdateEnterprise;
            let transaction = plan::transaction(kind, name, operation, version, now_ms());
            // What is replaced by the same is the same: nothing needs to be asked before.
            if let Told::Later = self.tell(transaction, None, session).await? {
                return Ok(false);
            }
        }
        let enrolment = Enrolment {
            told: now,
            ..enrolment
        };
        self.commit(vec![enrolment.entry()]).await?;
        Ok(true)
    }

    /// Sends a command, unless it has been settled. One that may have been sent before, and one that
    /// registers an enterprise, is asked about first.
    async fn tell(
        &self,
        transaction: Transaction,
        question: Option<&Operation>,
        session: &mut Session,
    ) -> std::result::Result<Told, LinkError> {
        let name = transaction.client_id.clone();
        let known = self
            .blocking(move |this| this.records.transaction(&name))
            .await?;
        let mut transaction = known.unwrap_or(transaction);
        match transaction.state() {
            // An enterprise is asked for anew with each application.
            TransactionState::Refused if transaction.kind() != Kind::CreateEnterprise => {
                return Ok(Told::No(transaction.message));
            }
            TransactionState::Done if transaction.kind() != Kind::CreateEnterprise => {
                return Ok(Told::Yes(None));
            }
            _ => {}
        }
        // Journalled before anything about it is said.
        self.commit(vec![transaction.entry()]).await?;
        let of_enterprise = transaction.kind() == Kind::CreateEnterprise;
        let may_be_there = transaction.attempts > 0;
        if let Some(question) = question.filter(|_| may_be_there || of_enterprise) {
            let answer = session.ask(question.clone()).await?;
            match (plan::verdict(answer.code), of_enterprise) {
                (Verdict::Done, true) | (Verdict::Exists, false) => {
                    return self.settled_by(answer, transaction).await;
                }
                (Verdict::Later, _) => {
                    self.put_off(transaction, &answer).await?;
                    return Ok(Told::Later);
                }
                // It is not there: it can be sent, again if need be.
                _ => {}
            }
        }
        transaction.set_state(TransactionState::Sent);
        transaction.attempts = transaction.attempts.saturating_add(1);
        transaction.sent_at_ms = now_ms();
        transaction.settled_at_ms = 0;
        self.commit(vec![transaction.entry()]).await?;
        let answer = session
            .tell(&transaction.client_id, &transaction.request)
            .await?;
        self.answered(answer, transaction).await
    }

    /// What a question found is what was to be brought there.
    async fn settled_by(
        &self,
        answer: Response,
        mut transaction: Transaction,
    ) -> std::result::Result<Told, LinkError> {
        transaction.set_state(TransactionState::Done);
        transaction.settled_at_ms = now_ms();
        transaction.message = "found there".to_owned();
        self.commit(vec![transaction.entry()]).await?;
        count(transaction.kind(), "found");
        Ok(Told::Yes(Some(answer)))
    }

    async fn answered(
        &self,
        answer: Response,
        mut transaction: Transaction,
    ) -> std::result::Result<Told, LinkError> {
        let verdict = plan::verdict(answer.code);
        // It was sent before, and only the answer was lost.
        let is_repeated = verdict == Verdict::Exists && transaction.attempts > 1;
        if verdict == Verdict::Later {
            self.put_off(transaction, &answer).await?;
            return Ok(Told::Later);
        }
        let is_done = verdict == Verdict::Done || is_repeated;
        transaction.set_state(match is_done {
            true => TransactionState::Done,
            false => TransactionState::Refused,
        });
        transaction.code = answer.code.number().into();
        transaction.message = plan::reason(&answer);
        transaction.server_id.clone_from(&answer.server_id);
        transaction.settled_at_ms = now_ms();
        // An enterprise that exists is asked for: that it does is no refusal.
        if verdict == Verdict::Exists && transaction.kind() == Kind::CreateEnterprise {
            transaction.set_state(TransactionState::Sent);
            transaction.settled_at_ms = 0;
        }
        self.commit(vec![transaction.entry()]).await?;
        count(transaction.kind(), if is_done { "done" } else { "refused" });
        Ok(match verdict {
            Verdict::Done => Told::Yes(Some(answer)),
            Verdict::Exists if is_repeated => Told::Yes(None),
            Verdict::Exists => Told::Exists,
            Verdict::Refused | Verdict::Later => Told::No(transaction.message),
        })
    }

    async fn put_off(
        &self,
        mut transaction: Transaction,
        answer: &Response,
    ) -> std::result::Result<(), LinkError> {
        transaction.code = answer.code.number().into();
        transaction.message = plan::reason(answer);
        count(transaction.kind(), "later");
        self.commit(vec![transaction.entry()]).await?;
        Ok(())
    }

    /// An application that comes to nothing.
    async fn give_up(&self, mut application: Application, reason: &str) -> Result<Application> {
        application.set_phase(Phase::Refused);
        application.message = plan::one_line(reason);
        self.commit(vec![application.entry()]).await?;
        Ok(application)
    }

    /// Writes here what was decided there. False: it cannot be written now.
    async fn settle(&self, mut application: Application) -> Result<bool> {
        let prefix = Prefix::from_key(&application.prefix);
        let prefix = prefix.map_err(|error| Error::Storage(error.to_string()))?;
        let record = self.registry.prefixes().get(prefix.key());
        let waits = record.is_some_and(|entry| {
            let record = &entry.record;
            record.submitted == application.submitted && record.state() == PrefixState::UnderReview
        });
        if waits {
            let (action, message) = match application.phase() {
                Phase::Granted => (PrefixAction::Approve, application.message.clone()),
                _ if application.message.is_empty() => (
                    PrefixAction::Reject,
                    "refused by the national node".to_owned(),
                ),
                _ => (PrefixAction::Reject, application.message.clone()),
            };
            let written = self.registry.write_as_node(Command::TransitionPrefix {
                prefix: prefix.clone(),
                action,
                message,
                expected_version: None,
            });
            if let Err(error) = written.await {
                tracing::warn!(prefix = %prefix.canonical(), %error, "a prefix stays under review");
                return Ok(false);
            }
            tracing::info!(prefix = %prefix.canonical(), ?action, "reviewed by the national node");
        }
        application.set_phase(Phase::Settled);
        self.commit(vec![application.entry()]).await?;
        Ok(true)
    }

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

    /// Journals a message; with the application that it decides.
    async fn take(&self, id: &str, data: Option<Data>) -> Result<Option<Application>> {
        let Some(Data::Audit(audit)) = data else {
            tracing::warn!(id, "a message of the national node is about no prefix");
            return Ok(None);
        };
        let id = id.to_owned();
        self.blocking(move |this| this.record(id, audit)).await
    }

    fn record(&self, id: String, audit: Audit) -> Result<Option<Application>> {
        let prefix = Prefix::parse(&audit.prefix).ok();
        let known = match &prefix {
            Some(prefix) => self.records.application(prefix.key())?,
            None => None,
        };
        let waiting = known.filter(|it| {
            it.client_id == audit.client_id && matches!(it.phase(), Phase::Apply | Phase::Waiting)
        });
        // Taken before: it is decided already, and only the acknowledgement was lost.
        let seen = self.records.message(&id)?;
        let is_repeated = seen.is_some_and(|it| it.client_id == audit.client_id);
        if is_repeated && waiting.is_none() {
            return Ok(None);
        }
        if waiting.is_none() {
            tracing::warn!(
                id,
                prefix = audit.prefix,
                "a message is about nothing that waits"
            );
        }
        let message = Message {
            id,
            client_id: audit.client_id.clone(),
            prefix: audit.prefix.clone(),
            passed: audit.is_passed(),
            message: plan::one_line(&audit.message),
            received_at_ms: now_ms(),
            matched: waiting.is_some(),
        };
        let mut entries: Vec<Entry> = vec![message.entry()];
        let decided = waiting.map(|mut application| {
            application.message.clone_from(&message.message);
            if message.passed {
                application.set_phase(Phase::Granted);
                application.granted_to = audit.enterprise_id;
            } else {
                application.set_phase(Phase::Refused);
            }
            application
        });
        entries.extend(decided.as_ref().map(Application::entry));
        // The answer to the command may have been lost; this tells as much.
        let told = self.records.transaction(&audit.client_id)?;
        let told = told.filter(|it| it.state() != TransactionState::Done);
        if let Some(mut told) = told.filter(|_| decided.is_some()) {
            told.set_state(TransactionState::Done);
            told.server_id = audit.server_id;
            told.settled_at_ms = now_ms();
            entries.push(told.entry());
        }
        self.records.commit(&entries)?;
        Ok(decided)
    }

    /// Enterprises that are registered there with something else than what is true here: with what
    /// was told, what is true, and its version. One whose change is under review here is not told.
    fn changed_enterprises(&self) -> Result<Vec<(Enrolment, Profile, u64)>> {
        let mut changed = Vec::new();
        for enrolment in self.records.enrolments()? {
            let id = EnterpriseId(enrolment.enterprise);
            let now = self.registry.get_enterprise(&Caller::node(), id)?;
            let is_verified = now.state() == EnterpriseState::Verified;
            if is_verified && now.profile != enrolment.told {
                changed.push((enrolment, now.profile, now.version));
            }
        }
        Ok(changed)
    }

    /// The prefix and the node's own above it, as texts.
    fn names(&self, application: &Application) -> Option<(String, String)> {
        let prefix = Prefix::from_key(&application.prefix).ok()?;
        let own = self.registry.provisioned_under(&prefix)?;
        Some((prefix.canonical(), own.canonical()))
    }

    async fn commit(&self, entries: Vec<Entry>) -> Result<()> {
        self.blocking(move |this| this.records.commit(&entries))
            .await
    }

    /// Reads and writes of the store, on a thread where waiting for the disk hurts nobody.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this))
            .await
            .map_err(|_| Error::Storage("work on the journal ended without a result".into()))?
    }
}

fn count(kind: Kind, outcome: &'static str) {
    metrics::counter!("idnode_epp_transactions_total", "kind" => kind.mark(), "outcome" => outcome)
        .increment(1);
}
