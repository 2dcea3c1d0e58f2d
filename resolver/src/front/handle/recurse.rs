//! Answers that others give, for clients that want recursion (RECU).

use super::answer::{Answerer, Question, Scratch};
use super::metrics::Outcome;
use crate::recursion::{Recursion, RecursionError, Start};
use crate::resolve::{Answer, Missing};
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
        let start = match answer {
            Answer::Referral(entry) => Start::Sites(&entry.record.delegation.as_ref()?.sites),
            Answer::Missing(Missing::Prefix) => Start::Upstream,
            // 0.NA/88.119, a prefix that is not registered here.
            Answer::Missing(Missing::Identifier) => {
                let prefix = question.identifier.prefix_handle()?;
                let registered = self.core.registry.prefixes().get(prefix.key()).is_some();
                if registered {
                    return None;
                }
                Start::Upstream
            }
            _ => return None,
        };
        Some(Beyond { recursion, start })
    }

    /// Asks others, and writes what they answer; where there is nobody to ask, what the core said.
    pub(super) async fn recurse(
        &self,
        question: &Question<'_>,
        beyond: Beyond<'_>,
        said: &Answer,
        scratch: &mut Scratch,
    ) -> Outcome {
        let (identifier, hops) = (&question.identifier, question.to.recursion_count);
        let Beyond { recursion, start } = beyond;
        let asked = recursion.resolve(identifier, start, hops).await;
        let (code, outcome, error) = match asked {
            Ok(answer) => return self.write(question, Ok(answer), scratch),
            Err(RecursionError::NoWay) => return self.write(question, Ok(said.clone()), scratch),
            Err(error @ (RecursionError::TooDeep | RecursionError::Circle)) => {
                (ResponseCode::RECURSION_LIMIT, Outcome::Failed, error)
            }
            Err(error @ RecursionError::Busy) => (ResponseCode::BUSY, Outcome::Busy, error),
            Err(error @ RecursionError::Refused { code, .. })
                if code == ResponseCode::NOT_RESPONSIBLE.0 =>
            {
                (
                    ResponseCode::NOT_RESPONSIBLE,
                    Outcome::NotResponsible,
                    error,
                )
            }
            Err(error) => (ResponseCode::ERROR, Outcome::Failed, error),
        };
        self.error(&question.to, code, &error.to_string(), scratch);
        outcome
    }

    /// Writes an answer that is kept of what others have said.
    pub(super) fn write_kept(
        &self,
        question: &Question<'_>,
        beyond: &Beyond<'_>,
        scratch: &mut Scratch,
    ) -> Option<Outcome> {
        let kept = beyond.recursion.kept(&question.identifier, beyond.start)?;
        Some(self.write(question, Ok(kept), scratch))
    }
}
