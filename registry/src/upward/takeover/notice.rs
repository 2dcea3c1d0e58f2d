//! Which notice counts: each tells the whole, and the one with the greatest revision is how things
//! stand, in whatever order and how often they come.

use super::records::State;
use idnode_proto::api::{TakeoverNotice, TakeoverPhase};
use idnode_proto::identifier::Prefix;

/// Most prefixes that one takeover has.
pub const MAX_PREFIXES: usize = 10_000;
/// Longest cause that is kept, bytes.
const MAX_CAUSE_BYTES: usize = 512;

/// What a notice is to the node.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It has come before, or a later one has.
    Known,
    /// How things stand from now on.
    Next(Box<State>),
}

/// What a notice changes, at a time in milliseconds since the Unix epoch.
///
/// # Errors
/// It is not for this node, or says what can't be: in words for the operator.
pub fn take(
    state: &State,
    node: &str,
    notice: &TakeoverNotice,
    now_ms: u64,
) -> Result<Step, String> {
    if notice.node != node {
        return Err(format!("a notice for {:?}, not this node", notice.node));
    }
    let known = state.notice();
    if notice.revision < known.revision {
        return Ok(Step::Known);
    }
    if notice.revision == known.revision {
        let is_same = notice.epoch == known.epoch && notice.phase == known.phase;
        return match is_same {
            true => Ok(Step::Known),
            false => Err(format!(
                "revision {} says another thing than before",
                notice.revision
            )),
        };
    }
    check(notice)?;
    if notice.epoch < known.epoch {
        return Err(format!(
            "takeover {} behind takeover {}",
            notice.epoch, known.epoch
        ));
    }
    let is_another = notice.epoch != known.epoch;
    let is_over = notice.phase() == TakeoverPhase::HandedBack;
    if is_over && !is_another && state.merged < notice.registrations {
        return Err(format!(
            "handed back with {} of {} registrations merged",
            state.merged, notice.registrations
        ));
    }
    let mut next = match is_another {
        true => State::default(),
        false => state.clone(),
    };
    let mut notice = notice.clone();
    notice
        .cause
        .truncate(notice.cause.floor_char_boundary(MAX_CAUSE_BYTES));
    next.notice = Some(notice);
    next.told_ms = now_ms;
    Ok(Step::Next(Box::new(next)))
}

/// Err unless a notice can be so.
fn check(notice: &TakeoverNotice) -> Result<(), String> {
    if TakeoverPhase::try_from(notice.phase).is_err()
        || notice.phase() == TakeoverPhase::Unspecified
    {
        return Err(format!("a notice of phase {}", notice.phase));
    }
    if notice.epoch == 0 {
        return Err("a takeover without a number".to_owned());
    }
    let count = notice.prefixes.len();
    if count == 0 || count > MAX_PREFIXES {
        return Err(format!("a takeover of {count} prefixes"));
    }
    for text in &notice.prefixes {
        Prefix::parse(text).map_err(|error| format!("taken over prefix {text:?}: {error}"))?;
    }
    Ok(())
}
