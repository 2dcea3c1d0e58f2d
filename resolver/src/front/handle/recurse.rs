//! Answers that others give, for clients that want recursion (RECU).

use super::answer::{Answerer, Question, Scratch, now_s};
use super::metrics::Outcome;
use crate::recursion::{Recursion, RecursionError, Start};
use crate::resolve::Answer;
use crate::trust::Others;
use idnode_proto::handle::{OpFlags, ResponseCode};

/// An answer that others may have a better one than.
#[derive(Debug)]
pub(super) struct Beyond<'a> {
    recursion: &'a Recursion,
    start: Start<'a>,
}

impl Answerer {
    /// Whether others are to be asked after this answer of the core's.
    pub(super) fn beyond<'a>(
        &'a self,
        question: &Question<'_>,
        answer: &'a Answer,
    ) -> Option<Beyond<'a>> {
        if !question.to.flags.contains(OpFlags::RECURSE) {
            return None;
        }
        let recursion = self.core.recursion.as_ref()?;
        let start = recursion.start(&question.identifier, answer)?;
        Some(Beyond { recursion, start })
    }

    /// Asks others, and writes what they answer; where there is nobody to ask, what the core said.
    pub(super) async fn recurse(
        &self,
        question: &mut Question<'_>,
        beyond: Beyond<'_>,
        said: &Answer,
        scratch: &mut Scratch,
    ) -> Outcome {
        let (identifier, hops) = (&question.identifier, question.to.recursion_count);
        let Beyond { recursion, start } = beyond;
        let asked = recursion.resolve(identifier, &start, hops).await;
        let error = match asked {
            Ok(answer) => {
                question.trusted = self.judge_others(question, recursion, &answer).await;
                return self.write(question, Ok(answer), scratch);
            }
            Err(RecursionError::NoWay) => return self.write(question, Ok(said.clone()), scratch),
            Err(error) => error,
        };
        let code = error.code();
        let outcome = match code {
            ResponseCode::BUSY => Outcome::Busy,
            ResponseCode::NOT_RESPONSIBLE => Outcome::NotResponsible,
            _ => Outcome::Failed,
        };
        self.error(&question.to, code, &error.to_string(), scratch);
        outcome
    }

    /// Whether what others have answered is trusted, where that was asked; what cannot be told in the
    /// time of a request is not.
    async fn judge_others(
        &self,
        question: &Question<'_>,
        recursion: &Recursion,
        answer: &Answer,
    ) -> bool {
        let (Some(verdicts), Answer::Found(resolved)) = (self.verdicts_for(question), answer)
        else {
            return false;
        };
        let others = Others {
            recursion,
            hops: question.to.recursion_count,
        };
        let (resolver, query) = (&self.core.resolver, question.query());
        let judging = verdicts.is_trusted_of_others(resolver, others, &query, resolved, now_s());
        tokio::time::timeout(self.core.request_deadline, judging)
            .await
            .unwrap_or(false)
    }

    /// Writes an answer that is kept of what others have said.
    pub(super) fn write_kept(
        &self,
        question: &Question<'_>,
        beyond: &Beyond<'_>,
        scratch: &mut Scratch,
    ) -> Option<Outcome> {
        let kept = beyond.recursion.kept(&question.identifier, &beyond.start)?;
        Some(self.write(question, Ok(kept), scratch))
    }
}
