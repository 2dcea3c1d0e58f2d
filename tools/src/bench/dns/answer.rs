//! What a load generator needs to know of an answer.

use super::questions::{HEADER_BYTES, Questions};
use crate::bench::tally::{Seen, Tally};
use crate::bench::window::Window;

/// Counts a message that came: as the answer to the query in flight with its ID, if it has one
/// and repeats its question. Names are compared without case (RFC 4343).
pub(super) fn count(
    message: &[u8],
    window: &mut Window,
    questions: &Questions,
    tally: &mut Tally,
    now_ns: u64,
) {
    let Some((header, body)) = message.split_first_chunk::<HEADER_BYTES>() else {
        tally.unexpected += 1;
        return;
    };
    let [id_high, id_low, ..] = header;
    let is_response = header.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let id = u16::from_be_bytes([*id_high, *id_low]);
    let Some(waiting) = is_response.then(|| window.take(id)).flatten() else {
        tally.unexpected += 1;
        return;
    };
    let question = questions.get(waiting.question);
    let repeats = |echo: &[u8]| echo == question || echo.eq_ignore_ascii_case(question);
    if !body.get(..question.len()).is_some_and(repeats) {
        tally.mismatched += 1;
    }
    tally.answer(Seen::of(header), message.len(), &waiting, now_ns);
}
