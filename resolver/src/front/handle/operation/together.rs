//! Changes that a client has sent one behind the other, without waiting for answers: the writer gets
//! them together, so that one sync makes all of them durable. They are carried out and answered in the
//! order in which they came, as they would be one by one.

use super::super::answer::{Answerer, Scratch, now_s};
use super::write;
use idnode_proto::handle::body::Operation;
use idnode_proto::handle::{FrameStatus, OpFlags, ReplyTo, Transport, decode_request, tcp_frame};
use idnode_registry::write::Command;
use idnode_registry::{Caller, Result, Submission};
use std::time::Instant;

/// Most changes that one client has with the writer at once.
const MOST: usize = 256;

/// A change that the writer has.
struct Begun {
    to: ReplyTo,
    minted: Option<String>,
    submission: Result<Submission>,
}

/// A change that may be handed in before others are done.
struct Plain {
    to: ReplyTo,
    command: Command,
    minted: Option<String>,
}

impl Answerer {
    /// Carries out the changes that `received` begins with, if their client has logged in and they are
    /// of a kind that needs nothing else; how many bytes of it are answered. What is left is
    /// answered one by one.
    pub(in super::super) async fn change_together(
        &self,
        received: &[u8],
        caller: &Caller,
        scratch: &mut Scratch,
    ) -> usize {
        let registry = &self.core.registry;
        if *caller == Caller::Stranger || registry.require_valid(caller).is_err() {
            return 0;
        }
        let (began, mut taken, mut begun) = (Instant::now(), 0, Vec::new());
        while begun.len() < MOST {
            let rest = received.get(taken..).unwrap_or_default();
            let FrameStatus::Complete { len } = tcp_frame(rest) else {
                break;
            };
            let Some(change) = self.plain_change(rest.get(..len).unwrap_or_default()) else {
                break;
            };
            taken += len;
            begun.push(Begun {
                to: change.to,
                minted: change.minted,
                submission: registry.submit(caller, change.command).await,
            });
        }
        for change in begun {
            let written = match change.submission {
                Ok(submission) => registry.receipt(submission).await,
                Err(error) => Err(error),
            };
            let outcome = self.changed(&change.to, written, change.minted, scratch);
            let _never_silent = self.finish(outcome, began);
        }
        taken
    }

    /// The change that a message asks for, if its answer is neither signed nor encrypted, nothing is
    /// done instead of it, and it concerns no prefix.
    fn plain_change(&self, message: &[u8]) -> Option<Plain> {
        let request = decode_request(message, Transport::Tcp).ok()?;
        let flags = request.message.header.flags;
        let special = [OpFlags::CERTIFY, OpFlags::ENCRYPT].map(|flag| flags.contains(flag));
        if !request.message.credential.is_empty() || special.contains(&true) {
            return None;
        }
        let operation = request.operation().ok()?;
        if matches!(
            operation,
            Operation::HomePrefix(_) | Operation::UnhomePrefix(_)
        ) {
            return None;
        }
        let registry = &self.core.registry;
        let change = write::change(&operation, flags, registry, now_s() as u32).ok()??;
        let of_identifier = matches!(
            change.command,
            Command::CreateIdentifier(_)
                | Command::UpdateIdentifier(_)
                | Command::DeleteIdentifier { .. }
        );
        if !of_identifier || change.or_else.is_some() || registry.signs(&change.command) {
            return None;
        }
        Some(Plain {
            to: request.reply_to,
            command: change.command,
            minted: change.minted,
        })
    }
}
