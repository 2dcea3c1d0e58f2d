//! Requests and answers of the Handle protocol (RFC 3652).

use std::io;

use idnode_proto::handle::{
    Envelope, FrameStatus, Header, OpCode, RequestHead, ResponseCode, tcp_frame,
};

use super::handles::Handles;
use crate::bench::error::Failure;
use crate::bench::protocol::Protocol;
use crate::bench::tally::{Seen, Tally};
use crate::bench::window::Window;

/// Where an envelope has the request's ID, and how long it is.
const REQUEST_ID_AT: usize = 8;
const ENVELOPE_BYTES: usize = 20;
const HEADER_BYTES: usize = 24;

/// Resolutions of all public values, encoded once.
#[derive(Debug)]
pub(super) struct Native {
    handles: Handles,
    /// Requests one after the other, with ID 0.
    wire: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Native {
    /// # Errors
    /// A handle does not fit a message.
    pub(super) fn new(handles: Handles) -> Result<Self, Failure> {
        let (mut wire, mut ends) = (Vec::new(), Vec::new());
        for question in 0..handles.count() {
            let request = RequestHead::new(0).resolve(handles.get(question), &[], &[]);
            let request = request.map_err(|error| Failure::Usage(error.to_string()))?;
            wire.extend_from_slice(&request);
            ends.push(wire.len());
        }
        Ok(Self {
            handles,
            wire,
            ends,
        })
    }

    fn push(&self, into: &mut Vec<u8>, id: u16, question: u32) {
        let question = question as usize;
        let begin = match question.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let end = self.ends.get(question).copied().unwrap_or(begin);
        let at = into.len() + REQUEST_ID_AT;
        into.extend_from_slice(self.wire.get(begin..end).unwrap_or_default());
        if let Some(place) = into.get_mut(at..at + 4) {
            place.copy_from_slice(&u32::from(id).to_be_bytes());
        }
    }

    /// Whether an answer is what its question should get: values of the handle that was asked
    /// for, or that there is none. Of an answer in several datagrams this is the first.
    fn is_right(&self, question: u32, header: &Header, body: &[u8]) -> bool {
        if !self.handles.is_registered(question) {
            return header.response_code == ResponseCode::HANDLE_NOT_FOUND;
        }
        let handle = self.handles.get(question).as_bytes();
        let echo = body.get(4..4 + handle.len());
        header.op_code == OpCode::RESOLVE
            && header.response_code == ResponseCode::SUCCESS
            && echo == Some(handle)
    }
}

impl Protocol for Native {
    fn questions(&self) -> u32 {
        self.handles.count()
    }

    fn push_datagram(&self, into: &mut Vec<u8>, id: u16, question: u32) {
        self.push(into, id, question);
    }

    fn push_on_stream(&self, into: &mut Vec<u8>, id: u16, question: u32) {
        self.push(into, id, question);
    }

    fn split<'b>(&self, received: &'b [u8]) -> io::Result<Option<(&'b [u8], &'b [u8])>> {
        match tcp_frame(received) {
            FrameStatus::Complete { len } => Ok(received.split_at_checked(len)),
            FrameStatus::NeedMore(_) => Ok(None),
            FrameStatus::Invalid(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    fn count(&self, answer: &[u8], window: &mut Window, tally: &mut Tally, now_ns: u64) {
        let Ok(envelope) = Envelope::decode(answer) else {
            tally.unexpected += 1;
            return;
        };
        if envelope.sequence > 0 {
            // Further pieces of an answer that has been counted.
            tally.answer_bytes += answer.len() as u64;
            return;
        }
        let contents = answer.get(ENVELOPE_BYTES..).unwrap_or_default();
        let waiting = u16::try_from(envelope.request_id).ok();
        let waiting = waiting.and_then(|id| window.take(id));
        let (Some(waiting), Ok(header)) = (waiting, Header::decode(contents)) else {
            tally.unexpected += 1;
            return;
        };
        let body = contents.get(HEADER_BYTES..).unwrap_or_default();
        if !self.is_right(waiting.question, &header, body) {
            tally.mismatched += 1;
        }
        let code = u16::try_from(header.response_code.0).unwrap_or(u16::MAX);
        tally.answer(Seen::code(code), answer.len(), &waiting, now_ns);
    }
}

/// What a response code is called.
pub(super) fn code_name(code: usize) -> String {
    ResponseCode(code as u32).to_string()
}
