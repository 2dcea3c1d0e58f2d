//! GET /api/handles over HTTP/1.1 (RFC 9112), on connections that are kept.

use std::io;
use std::net::SocketAddr;

use super::handles::Handles;
use crate::bench::protocol::Protocol;
use crate::bench::tally::{Seen, Tally};
use crate::bench::window::Window;

/// The longest head of an answer that is looked for, bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Requests for all values of handles.
#[derive(Debug)]
pub(super) struct Http {
    handles: Handles,
    /// What follows the target of every request.
    tail: String,
}

impl Http {
    pub(super) fn new(handles: Handles, server: SocketAddr) -> Self {
        let tail = format!(" HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\r\n");
        Self { handles, tail }
    }

    fn push(&self, into: &mut Vec<u8>, question: u32) {
        into.extend_from_slice(b"GET /api/handles/");
        push_path(into, self.handles.get(question));
        into.extend_from_slice(self.tail.as_bytes());
    }
}

impl Protocol for Http {
    fn questions(&self) -> u32 {
        self.handles.count()
    }

    /// There is no HTTP in datagrams here.
    fn push_datagram(&self, into: &mut Vec<u8>, _: u16, question: u32) {
        self.push(into, question);
    }

    fn push_on_stream(&self, into: &mut Vec<u8>, _: u16, question: u32) {
        self.push(into, question);
    }

    fn split<'b>(&self, received: &'b [u8]) -> io::Result<Option<(&'b [u8], &'b [u8])>> {
        let lengths = answer_lengths(received)?;
        Ok(lengths.and_then(|(head, body)| received.split_at_checked(head + body)))
    }

    fn count(&self, answer: &[u8], window: &mut Window, tally: &mut Tally, now_ns: u64) {
        let (Some(status), Some(waiting)) = (status_of(answer), window.take_oldest()) else {
            tally.unexpected += 1;
            return;
        };
        let is_right = match self.handles.is_registered(waiting.question) {
            true => {
                let handle = self.handles.get(waiting.question).as_bytes();
                status == 200 && memchr::memmem::find(answer, handle).is_some()
            }
            false => status == 404,
        };
        if !is_right {
            tally.mismatched += 1;
        }
        tally.answer(Seen::code(status), answer.len(), &waiting, now_ns);
    }
}

/// Appends a handle as a part of a request's target (RFC 3986 §2.1).
pub(super) fn push_path(into: &mut Vec<u8>, handle: &str) {
    for byte in handle.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                into.push(byte);
            }
            other => into.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
}

/// The lengths of the first answer's head, with the empty line behind it, and of its body, bytes;
/// `None`: not all of the head is there.
///
/// # Errors
/// What came is no answer with a length.
pub(super) fn answer_lengths(received: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let searched = received.get(..MAX_HEAD_BYTES).unwrap_or(received);
    let Some(end) = memchr::memmem::find(searched, HEAD_END) else {
        return match received.len() < MAX_HEAD_BYTES {
            true => Ok(None),
            false => Err(broken("an HTTP answer without an end of its head")),
        };
    };
    let head = received.get(..end).unwrap_or_default();
    let length =
        content_length(head).ok_or_else(|| broken("an HTTP answer without a Content-Length"))?;
    Ok(Some((end + HEAD_END.len(), length)))
}

/// An answer's status.
pub(super) fn status_of(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let fields = head.split("\r\n").skip(1);
    let mut lengths = fields.filter_map(|field| {
        let (name, value) = field.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok()).flatten()
    });
    lengths.next()
}

/// What a status is called.
pub(super) fn code_name(code: usize) -> String {
    format!("HTTP {code}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn http() -> Http {
        let args = super::super::handles::Args::of_pattern("1.2/{}", 10);
        Http::new(
            Handles::new(&args).unwrap(),
            "127.0.0.1:80".parse().unwrap(),
        )
    }

    #[test]
    fn answers_are_cut_by_their_length() {
        let first = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        let second = b"HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length:0\r\n\r\n";
        let both = [&first[..], second].concat();
        let http = http();
        for cut in 0..first.len() {
            assert_eq!(http.split(both.get(..cut).unwrap()).unwrap(), None);
        }
        let (answer, rest) = http.split(&both).unwrap().unwrap();
        assert_eq!((answer, rest), (&first[..], &second[..]));
        assert_eq!(http.split(rest).unwrap(), Some((&second[..], &b""[..])));
        assert!(http.split(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
