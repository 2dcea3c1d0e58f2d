//! What the senders must know of the protocol they speak; all else they share.

use std::io;

use super::tally::Tally;
use super::window::Window;

/// A protocol, and the questions that are asked in it.
pub(super) trait Protocol: Send + Sync {
    /// How many questions there are.
    fn questions(&self) -> u32;

    /// Appends a query as a datagram.
    fn push_datagram(&self, into: &mut Vec<u8>, id: u16, question: u32);

    /// Appends a query as it is sent on a connection.
    fn push_on_stream(&self, into: &mut Vec<u8>, id: u16, question: u32);

    /// Splits the first answer from what came on a connection; `None`: not all of it is there.
    ///
    /// # Errors
    /// What came cannot be cut into answers.
    fn split<'b>(&self, received: &'b [u8]) -> io::Result<Option<(&'b [u8], &'b [u8])>>;

    /// Counts an answer as that of the query in flight it belongs to, and as unexpected if there
    /// is none.
    fn count(&self, answer: &[u8], window: &mut Window, tally: &mut Tally, now_ns: u64);
}
