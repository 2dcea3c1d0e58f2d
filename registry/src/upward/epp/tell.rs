//! One command: journalled, asked about where it may be there, sent, its answer journalled.

use super::link::LinkError;
use super::plan::{self, Verdict};
use super::provision::Provisioner;
use super::records::{Kind, Transaction, TransactionState};
use super::session::Session;
use crate::now_ms;
use idnode_proto::epp::{Data, Operation, Response};

/// What became of a command.
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at where it is made"
)]
pub(super) enum Told {
    /// It is there; with what the server answered, unless a question found it.
    Yes(Option<Response>),
    /// It is there already, and this node has not brought it there.
    Exists,
    /// It is refused, for this reason.
    No(String),
    /// It may go later; now it does not, for this reason.
    Later(String),
}

impl Provisioner {
    /// Sends a command, unless it has been settled. One that may have been sent before, and one that
    /// registers an enterprise, is asked about first.
    pub(super) async fn tell(
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
            let is_there = match plan::verdict(transaction.kind(), answer.code) {
                Verdict::Later => return self.put_off(transaction, &answer).await,
                // "Found nothing" is a success to some servers.
                Verdict::Done => of_enterprise && is_numbered(&answer),
                Verdict::Exists => !of_enterprise,
                Verdict::Refused => false,
            };
            if is_there {
                return self.settled_by(answer, transaction).await;
            }
            // It is not there: it can be sent, again if need be.
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
        let verdict = plan::verdict(transaction.kind(), answer.code);
        let exists = verdict == Verdict::Exists;
        // It is asked for what is there: that there is something is no refusal.
        let is_asked_for = matches!(
            transaction.kind(),
            Kind::CreateEnterprise | Kind::CreateIdentifier
        );
        // It was sent before, and only the answer was lost.
        let is_identifier = transaction.kind() == Kind::CreateIdentifier;
        let is_repeated = exists && transaction.attempts > 1 && !is_identifier;
        if verdict == Verdict::Later {
            return self.put_off(transaction, &answer).await;
        }
        let is_done = verdict == Verdict::Done || is_repeated;
        transaction.set_state(match is_done {
            true => TransactionState::Done,
            false => TransactionState::Refused,
        });
        transaction.code = answer.code.number().into();
        transaction.message = plan::reason(&answer);
        // A repetition that is refused has another name than what was carried out.
        if !is_repeated {
            transaction.server_id.clone_from(&answer.server_id);
        }
        transaction.settled_at_ms = now_ms();
        if exists && is_asked_for {
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
    ) -> std::result::Result<Told, LinkError> {
        let before = std::mem::replace(&mut transaction.message, plan::reason(answer));
        let (subject, reason) = (&transaction.subject, &transaction.message);
        if before != *reason {
            tracing::warn!(
                subject,
                reason,
                "the national node puts off what it is asked"
            );
        }
        let later = Told::Later(format!("{subject}: {reason}"));
        transaction.code = answer.code.number().into();
        count(transaction.kind(), "later");
        self.commit(vec![transaction.entry()]).await?;
        Ok(later)
    }
}

pub(super) fn count(kind: Kind, outcome: &'static str) {
    metrics::counter!("idnode_epp_transactions_total", "kind" => kind.mark(), "outcome" => outcome)
        .increment(1);
}

/// Whether a check of an enterprise has found one.
fn is_numbered(answer: &Response) -> bool {
    matches!(answer.data, Some(Data::CheckedEnterprise(_)))
}
