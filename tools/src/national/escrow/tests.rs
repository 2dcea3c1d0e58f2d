//! What a node may do with its files.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use idnode_proto::trust::PrivateKey;
use idnode_proto::trust::key::{Algorithm, generate_pem};
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use russh_sftp::server::{Handler as _, StatusReply};
use tokio::sync::mpsc;

use super::files::Files;
use super::intake::{Intake, Place};
use crate::national::book::Book;
use crate::national::faults::Faults;

const NEW: u32 = OpenFlags::WRITE.bits() | OpenFlags::CREATE.bits();

/// A session of a node, and what has arrived through it.
struct Session {
    files: Files,
    arrived: mpsc::Receiver<Place>,
    runtime: tokio::runtime::Runtime,
}

impl Session {
    fn new(dir: &Path) -> Self {
        let key = PrivateKey::from_pem(&generate_pem(Algorithm::Sm2256).unwrap()).unwrap();
        let book = Book::open(&dir.join("book.redb")).unwrap();
        let (intake, arrived) = Intake::new(dir.to_owned(), key, BTreeMap::new(), book);
        fs::create_dir_all(dir.join("node/88.118.8/d1")).unwrap();
        Self {
            files: Files::new(Arc::new(intake), Arc::new(Faults::default()), "node".into()),
            arrived,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn open(&mut self, path: &str, flags: u32) -> Result<String, StatusReply> {
        let flags = OpenFlags::from_bits_truncate(flags);
        let attributes = FileAttributes::default();
        let opened = self.files.open(1, path.into(), flags, attributes);
        self.runtime.block_on(opened).map(|it| it.handle)
    }

    fn write(&mut self, handle: &str, text: &str) -> Result<(), StatusReply> {
        let written = self.files.write(1, handle.into(), 0, text.into());
        self.runtime.block_on(written).map(drop)
    }

    fn close(&mut self, handle: &str) {
        let closed = self.files.close(1, handle.into());
        self.runtime.block_on(closed).map(drop).unwrap();
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StatusReply> {
        let renamed = self.files.rename(1, from.into(), to.into());
        self.runtime.block_on(renamed).map(drop)
    }

    fn mkdir(&mut self, path: &str) -> Result<(), StatusReply> {
        let made = self.files.mkdir(1, path.into(), FileAttributes::default());
        self.runtime.block_on(made).map(drop)
    }
}

#[track_caller]
fn denied<T>(done: Result<T, StatusReply>) {
    let Err(reply) = done else {
        panic!("it was done")
    };
    assert_eq!(reply.status_code, StatusCode::PermissionDenied);
}

#[test]
fn what_has_its_manifest_is_not_written_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Session::new(dir.path());
    let part = node.open("88.118.8/d1/part-00001", NEW).unwrap();
    node.write(&part, "part").unwrap();
    let partial = node.open("88.118.8/d1/manifest.partial", NEW).unwrap();
    node.write(&partial, "manifest").unwrap();
    node.rename("88.118.8/d1/manifest.partial", "88.118.8/d1/manifest")
        .unwrap();
    assert_eq!(node.arrived.try_recv().unwrap().id, "d1");
    // Not by what was opened before, nor anew, however.
    denied(node.write(&part, "PART"));
    denied(node.write(&partial, "MANIFEST"));
    for flags in [
        OpenFlags::WRITE,
        OpenFlags::APPEND,
        OpenFlags::WRITE | OpenFlags::TRUNCATE,
    ] {
        denied(node.open("88.118.8/d1/part-00001", flags.bits()));
        denied(node.open("88.118.8/d1/manifest", flags.bits()));
    }
    denied(node.mkdir("88.118.8/d1/more"));
    let at = |name: &str| fs::read_to_string(dir.path().join("node/88.118.8/d1").join(name));
    assert_eq!(at("part-00001").unwrap(), "part");
    assert_eq!(at("manifest").unwrap(), "manifest");
    assert!(
        node.open("88.118.8/d1/part-00001", OpenFlags::READ.bits())
            .is_ok()
    );
}

#[test]
fn a_manifest_may_be_written_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Session::new(dir.path());
    let manifest = node.open("88.118.8/d1/manifest", NEW).unwrap();
    node.write(&manifest, "manifest").unwrap();
    assert!(node.arrived.try_recv().is_err());
    node.close(&manifest);
    assert_eq!(node.arrived.try_recv().unwrap().id, "d1");
    denied(node.open("88.118.8/d1/manifest", NEW));
}

#[test]
fn directories_are_not_renamed_and_a_manifest_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Session::new(dir.path());
    denied(node.rename("88.118.8", "88.118.9"));
    denied(node.rename("88.118.8/d1", "88.118.8/d2"));
    assert!(dir.path().join("node/88.118.8/d1").is_dir());
    denied(node.mkdir("88.118.8/d1/manifest"));
    for name in ["receipt", "receipt.writing"] {
        denied(node.mkdir(&format!("88.118.8/d1/{name}")));
        denied(node.open(&format!("88.118.8/d1/{name}"), NEW));
    }
}
