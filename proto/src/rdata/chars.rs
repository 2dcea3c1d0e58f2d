//! Words, character strings and names of zone files (RFC 1035 §5.1, RFC 9460 appendix A).

use super::RdataError;
use std::ops::Range;

/// Longest label and longest name in wire form, bytes (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;
const MAX_NAME_BYTES: usize = 255;

/// The words of a line: what is between spaces that stand in no quotes.
#[derive(Debug)]
pub(super) struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Where the word that begins here ends.
    fn end(&self) -> Result<usize, RdataError> {
        let mut quoted = false;
        let mut at = self.at;
        while let Some(byte) = self.text.get(at) {
            match byte {
                b'\\' => at += 1,
                b'"' => quoted = !quoted,
                b' ' | b'\t' if !quoted => break,
                _ => {}
            }
            at += 1;
        }
        if quoted {
            return Err(RdataError::Quote);
        }
        Ok(at.min(self.text.len()))
    }
}

impl Iterator for Words<'_> {
    type Item = Result<Range<usize>, RdataError>;

    /// The next word, as a range of the text.
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..)?;
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
        self.at += space.count();
        if self.at == self.text.len() {
            return None;
        }
        let end = match self.end() {
            Ok(end) => end,
            Err(error) => {
                self.at = self.text.len();
                return Some(Err(error));
            }
        };
        let word = self.at..end;
        self.at = end;
        Some(Ok(word))
    }
}

/// The bytes that a character string stands for, with or without quotes.
pub(super) fn char_string(text: &[u8], word: &Range<usize>) -> Result<Vec<u8>, RdataError> {
    let word_bytes = text.get(word.clone()).unwrap_or_default();
    let (inside, quoted) = match word_bytes.strip_prefix(b"\"") {
        None => (word.clone(), false),
        Some([.., b'"']) => (word.start + 1..word.end - 1, true),
        Some(_) => return Err(RdataError::Quote),
    };
    let mut chars = Chars {
        text: text.get(..inside.end).unwrap_or_default(),
        at: inside.start,
        quoted,
    };
    let mut out = Vec::with_capacity(inside.len());
    while let Some(char) = chars.next().transpose()? {
        out.push(char.byte);
    }
    Ok(out)
}

/// An absolute domain name in wire form.
pub(super) fn domain_name(text: &[u8], word: &Range<usize>) -> Result<Vec<u8>, RdataError> {
    let written = || {
        let bytes = text.get(word.clone()).unwrap_or_default();
        String::from_utf8_lossy(bytes).chars().take(80).collect()
    };
    let bad = |reason| RdataError::Name(written(), reason);
    if text.get(word.clone()) == Some(b".") {
        return Ok(vec![0]);
    }
    let mut chars = Chars {
        text: text.get(..word.end).unwrap_or_default(),
        at: word.start,
        quoted: false,
    };
    let (mut wire, mut label) = (Vec::with_capacity(word.len() + 2), Vec::new());
    let end_label = |label: &mut Vec<u8>, wire: &mut Vec<u8>| {
        if label.is_empty() || label.len() > MAX_LABEL_BYTES {
            return Err(bad("a label has 1 to 63 bytes"));
        }
        wire.push(label.len() as u8);
        wire.append(label);
        Ok(())
    };
    let mut ended = false;
    while let Some(char) = chars.next().transpose()? {
        ended = char.byte == b'.' && !char.escaped;
        if ended {
            end_label(&mut label, &mut wire)?;
        } else {
            label.push(char.byte);
        }
    }
    if !ended {
        end_label(&mut label, &mut wire)?;
    }
    wire.push(0);
    if wire.len() > MAX_NAME_BYTES {
        return Err(bad("it has more than 255 bytes"));
    }
    Ok(wire)
}

/// A byte that a text stands for.
struct Char {
    byte: u8,
    escaped: bool,
}

/// The bytes a text stands for.
struct Chars<'a> {
    /// Ends where the string does.
    text: &'a [u8],
    at: usize,
    quoted: bool,
}

impl Chars<'_> {
    /// What follows a `\` at `at`.
    fn escape(&mut self, at: usize) -> Result<Char, RdataError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (byte, length) = match rest {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                let number = [a, b, c]
                    .into_iter()
                    .fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
                let byte = u8::try_from(number).map_err(|_| RdataError::Escape { at })?;
                (byte, 3)
            }
            [byte, ..] if byte.is_ascii_graphic() && !byte.is_ascii_digit() => (*byte, 1),
            _ => return Err(RdataError::Escape { at }),
        };
        self.at += length;
        Ok(Char {
            byte,
            escaped: true,
        })
    }

    fn is_plain(&self, byte: u8) -> bool {
        match byte {
            b'"' => false,
            b' ' | b'\t' | b';' | b'(' | b')' => self.quoted,
            byte => byte.is_ascii_graphic(),
        }
    }
}

impl Iterator for Chars<'_> {
    type Item = Result<Char, RdataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let byte = *self.text.get(at)?;
        self.at += 1;
        if byte == b'\\' {
            return Some(self.escape(at));
        }
        Some(match self.is_plain(byte) {
            true => Ok(Char {
                byte,
                escaped: false,
            }),
            false => Err(RdataError::Character { at }),
        })
    }
}
