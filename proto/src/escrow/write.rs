//! Writes a document.

use super::deposit::{Head, Summary};
use super::object::{Deletion, Object};
use super::{EscrowError, NS, RDE};
use std::io::Write;

/// Writes a document object by object. What is not [finished](DocumentWriter::finish) is no
/// document.
#[derive(Debug)]
pub struct DocumentWriter<W> {
    out: W,
    text: String,
    head: Head,
    place: Place,
    objects: u64,
    deletes: u64,
}

/// How far a document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Deletes,
    Contents,
}

impl<W: Write> DocumentWriter<W> {
    /// Begins a document.
    ///
    /// # Errors
    /// The head does not agree with itself; nothing can be written.
    pub fn new(mut out: W, head: Head) -> Result<Self, EscrowError> {
        head.check()
            .map_err(|reason| EscrowError::Chain(format!("the deposit {reason}")))?;
        let prev = head.prev_id.as_ref();
        let prev = prev.map_or_else(String::new, |id| format!(" prevId=\"{id}\""));
        write!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <rde:deposit xmlns:rde=\"{RDE}\" xmlns:ide=\"{NS}\" type=\"{}\" id=\"{}\"{prev}>\n\
             <rde:watermark>{}</rde:watermark>\n\
             <rde:rdeMenu><rde:version>1.0</rde:version><rde:objURI>{NS}</rde:objURI></rde:rdeMenu>\n",
            head.kind,
            head.id,
            head.watermark(),
        )?;
        Ok(Self {
            out,
            text: String::new(),
            head,
            place: Place::Before,
            objects: 0,
            deletes: 0,
        })
    }

    /// Adds a deletion: all of them before the first object.
    ///
    /// # Errors
    /// It cannot be written; an object was.
    pub fn delete(&mut self, deletion: &Deletion) -> Result<(), EscrowError> {
        match self.place {
            Place::Before => self.out.write_all(b"<rde:deletes>\n")?,
            Place::Deletes => {}
            Place::Contents => {
                let reason = "a deletion came after an object".to_owned();
                return Err(EscrowError::Chain(reason));
            }
        }
        self.place = Place::Deletes;
        self.deletes += 1;
        self.text.clear();
        deletion.write(&mut self.text);
        self.line()
    }

    /// Adds an object.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&mut self, object: &Object) -> Result<(), EscrowError> {
        self.begin_contents()?;
        self.objects += 1;
        self.text.clear();
        object.write(&mut self.text);
        self.line()
    }

    /// Adds an object whose element is made already.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_element(&mut self, element: &str) -> Result<(), EscrowError> {
        self.begin_contents()?;
        self.objects += 1;
        self.out.write_all(element.as_bytes())?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Ends the document. How many objects and deletions it has is counted here.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, summary: Summary) -> Result<(W, Summary), EscrowError> {
        self.begin_contents()?;
        let summary = Summary {
            objects: self.objects,
            deletes: self.deletes,
            ..summary
        };
        self.text.clear();
        summary.write(&mut self.text);
        self.line()?;
        self.out.write_all(b"</rde:contents>\n</rde:deposit>\n")?;
        Ok((self.out, summary))
    }

    fn begin_contents(&mut self) -> Result<(), EscrowError> {
        match self.place {
            Place::Contents => return Ok(()),
            Place::Deletes => self.out.write_all(b"</rde:deletes>\n")?,
            Place::Before => {}
        }
        self.place = Place::Contents;
        self.out.write_all(b"<rde:contents>\n")?;
        self.text.clear();
        self.head.write_scope(&mut self.text);
        self.line()
    }

    fn line(&mut self) -> Result<(), EscrowError> {
        self.text.push('\n');
        Ok(self.out.write_all(self.text.as_bytes())?)
    }
}
