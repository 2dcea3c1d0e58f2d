//! A deposit from its objects to its parts, and back.

use super::EscrowError;
use super::compress::{Compression, Compressor, Decompressor, buffered};
use super::deposit::{Head, Summary};
use super::manifest::Manifest;
use super::part::{DEFAULT_PART_BYTES, PartReader, PartSink, PartSource, PartWriter, check_parts};
use super::read::DocumentReader;
use super::seal::{Opener, Sealer, key_name};
use super::write::DocumentWriter;
use crate::trust::{PrivateKey, TrustKey};
use data_encoding::HEXLOWER;
use std::io::{BufReader, BufWriter};

/// How deposits are made.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// How documents are compressed.
    pub compression: Compression,
    /// Longest part, bytes.
    pub part_bytes: u64,
    /// Who alone can read them.
    pub receiver: TrustKey,
}

impl PackOptions {
    /// zstd in parts of [`DEFAULT_PART_BYTES`] for a receiver.
    pub fn new(receiver: TrustKey) -> Self {
        Self {
            compression: Compression::Zstd,
            part_bytes: DEFAULT_PART_BYTES,
            receiver,
        }
    }
}

type Out<S> = BufWriter<Compressor<Sealer<PartWriter<S>>>>;

/// The document inside a deposit that is being read.
pub type Document<S> =
    DocumentReader<BufReader<Decompressor<BufReader<Opener<BufReader<PartReader<S>>>>>>>;

/// A deposit in the making.
#[derive(Debug)]
pub struct Packer<S: PartSink> {
    document: DocumentWriter<Out<S>>,
    head: Head,
    compression: Compression,
    receiver: String,
}

impl<S: PartSink> Packer<S> {
    /// Begins a deposit.
    ///
    /// # Errors
    /// [`EscrowError`]
    pub fn new(sink: S, head: Head, options: &PackOptions) -> Result<Self, EscrowError> {
        let parts = PartWriter::new(sink, options.part_bytes);
        let sealer = Sealer::new(parts, options.compression, &options.receiver)?;
        let compressor = Compressor::new(options.compression, sealer)?;
        let out = BufWriter::with_capacity(64 << 10, compressor);
        Ok(Self {
            document: DocumentWriter::new(out, head.clone())?,
            head,
            compression: options.compression,
            receiver: HEXLOWER.encode(&key_name(&options.receiver)?),
        })
    }

    /// What is to be written.
    pub fn document(&mut self) -> &mut DocumentWriter<impl std::io::Write + use<S>> {
        &mut self.document
    }

    /// Ends the deposit; its manifest, not yet signed.
    ///
    /// # Errors
    /// [`EscrowError`]
    pub fn finish(self, summary: Summary) -> Result<(S, Manifest), EscrowError> {
        let (out, _) = self.document.finish(summary)?;
        let compressor = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        let sealer = compressor.finish()?;
        let (sink, parts) = sealer.finish()?.finish()?;
        let manifest = Manifest::new(self.head, self.compression, self.receiver, parts);
        Ok((sink, manifest))
    }
}

/// Opens a deposit whose manifest is verified: first every part is compared with it, then the
/// document is begun, whose head must be the manifest's.
///
/// # Errors
/// [`EscrowError`]
pub fn open<S: PartSource>(
    manifest: &Manifest,
    source: S,
    receiver: &PrivateKey,
) -> Result<Document<S>, EscrowError> {
    check_parts(&source, &manifest.parts)?;
    let parts = buffered(PartReader::new(source, manifest.parts.len() as u32));
    let opener = Opener::new(parts, receiver)?;
    let compression = opener.compression();
    if compression != manifest.compression {
        let reason = "says another compression than the container";
        return Err(EscrowError::Manifest(reason.to_owned()));
    }
    let document = Decompressor::new(compression, buffered(opener))?;
    let document = DocumentReader::new(buffered(document))?;
    if *document.head() != manifest.deposit {
        let reason = "says another deposit than the document";
        return Err(EscrowError::Manifest(reason.to_owned()));
    }
    Ok(document)
}
