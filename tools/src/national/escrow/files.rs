//! The files of one node over SFTP (draft-ietf-secsh-filexfer-02): regular files and directories
//! below its own directory, whatever path it names.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use idnode_proto::escrow::manifest::{MANIFEST_NAME, RECEIPT_NAME};
use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Packet, Status,
    StatusCode, Version,
};
use russh_sftp::server::{Handler, StatusReply};

use super::intake::{Intake, RECEIPT_IN_WRITING};
use crate::national::faults::{Channel, Faults, Kind};

/// Most files and directories open at once.
const MAX_HANDLES: usize = 64;
/// Most bytes read at once.
const MAX_READ: u32 = 256 << 10;
/// Entries of a directory given at once.
const PAGE: usize = 100;
/// How long a session that a fault has cut off says nothing to a request.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(600);

enum Open {
    File {
        file: Arc<File>,
        /// Below the node's directory.
        path: PathBuf,
        written: bool,
    },
    Directory(std::vec::IntoIter<Entry>),
}

/// A session.
pub(super) struct Files {
    intake: Arc<Intake>,
    faults: Arc<Faults>,
    client: String,
    root: PathBuf,
    open: HashMap<String, Open>,
    next: u64,
    /// A fault has cut the session off: nothing is answered any more.
    cut: bool,
}

impl Files {
    pub fn new(intake: Arc<Intake>, faults: Arc<Faults>, client: String) -> Self {
        let root = intake.directory(&client);
        Self {
            intake,
            faults,
            client,
            root,
            open: HashMap::new(),
            next: 0,
            cut: false,
        }
    }

    /// Where a path leads, from the node's directory on; that of a path that leads out of it is
    /// where it would lead if nothing were above.
    fn inner(path: &str) -> Result<PathBuf, StatusReply> {
        let mut inner = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) => inner.push(name),
                Component::ParentDir => _ = inner.pop(),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        match inner.as_os_str().len() > 4_096 || path.contains('\0') {
            true => Err(StatusCode::BadMessage.into()),
            false => Ok(inner),
        }
    }

    /// The same on the disk. Nothing there is a link: none can be made.
    fn outer(&self, inner: &Path) -> PathBuf {
        self.root.join(inner)
    }

    /// What a node may not write: the verdicts on it.
    fn require_own(inner: &Path) -> Result<(), StatusReply> {
        let own = |name: &OsStr| name != RECEIPT_NAME && name != RECEIPT_IN_WRITING;
        match !inner.file_name().is_none_or(own) {
            true => Err(StatusReply::new(StatusCode::PermissionDenied)
                .with_message("receipts are the receiver's")),
            false => Ok(()),
        }
    }

    /// What is held is not changed any more: a deposit that has its manifest.
    fn require_open(&self, inner: &Path) -> Result<(), StatusReply> {
        Self::require_own(inner)?;
        let held = inner
            .parent()
            .is_some_and(|dir| self.outer(dir).join(MANIFEST_NAME).exists());
        match held && inner.components().count() > 2 {
            true => Err(StatusReply::new(StatusCode::PermissionDenied)
                .with_message("the deposit has its manifest: it is not changed any more")),
            false => Ok(()),
        }
    }

    /// A file that is written: what was opened before the manifest came is as closed as the rest
    /// behind it. The manifest itself is there as soon as it is opened.
    fn written(&self, handle: &str) -> Result<Arc<File>, StatusReply> {
        if let Some(Open::File { path, .. }) = self.open.get(handle)
            && path.file_name().is_none_or(|name| name != MANIFEST_NAME)
        {
            self.require_open(path)?;
        }
        self.file(handle)
    }

    fn keep(&mut self, open: Open) -> Result<String, StatusReply> {
        if self.open.len() >= MAX_HANDLES {
            return Err(StatusReply::new(StatusCode::Failure).with_message("too many open files"));
        }
        self.next += 1;
        let name = self.next.to_string();
        self.open.insert(name.clone(), open);
        Ok(name)
    }

    fn file(&self, handle: &str) -> Result<Arc<File>, StatusReply> {
        match self.open.get(handle) {
            Some(Open::File { file, .. }) => Ok(file.clone()),
            _ => Err(StatusReply::new(StatusCode::Failure).with_message("no such handle")),
        }
    }

    /// What a script says of this request.
    async fn suffer(&mut self) -> Result<(), StatusReply> {
        let fault = self.faults.next(Channel::Sftp);
        match fault.map(|fault| (fault.kind, fault.delay_ms)) {
            None => {}
            Some((Kind::Delay, delay_ms)) => {
                tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
            }
            Some((Kind::WrongAnswer, _)) => {
                return Err(StatusReply::new(StatusCode::Failure).with_message("scripted"));
            }
            // The rest come to the same where answers are awaited one by one.
            Some(_) => self.cut = true,
        }
        if self.cut {
            // The client waits in vain, and gives up before that.
            tokio::time::sleep(SILENCE).await;
        }
        Ok(())
    }
}

fn ok(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".to_owned(),
        language_tag: "en".to_owned(),
    }
}

fn failed(error: io::Error) -> StatusReply {
    let code = match error.kind() {
        ErrorKind::NotFound => StatusCode::NoSuchFile,
        ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    };
    StatusReply::new(code).with_message(error.kind().to_string())
}

/// What is shown of a file: nobody's name, no more than that it can be read and written.
fn attributes(metadata: &fs::Metadata) -> FileAttributes {
    let mut attributes = FileAttributes::from(metadata);
    (
        attributes.uid,
        attributes.gid,
        attributes.user,
        attributes.group,
    ) = (None, None, None, None);
    attributes
}

impl Handler for Files {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported.into()
    }

    async fn init(
        &mut self,
        _version: u32,
        _extensions: HashMap<String, String>,
    ) -> Result<Version, Self::Error> {
        let mut version = Version::new();
        version
            .extensions
            .insert("fsync@openssh.com".to_owned(), "1".to_owned());
        Ok(version)
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        pflags: OpenFlags,
        _attrs: FileAttributes,
    ) -> Result<Handle, Self::Error> {
        self.suffer().await?;
        let path = Self::inner(&filename)?;
        let written = pflags.intersects(
            OpenFlags::WRITE | OpenFlags::APPEND | OpenFlags::CREATE | OpenFlags::TRUNCATE,
        );
        if written {
            self.require_open(&path)?;
        }
        let outer = self.outer(&path);
        if fs::metadata(&outer).is_ok_and(|it| !it.is_file()) {
            return Err(StatusReply::new(StatusCode::Failure).with_message("is no file"));
        }
        let options = fs::OpenOptions::from(pflags);
        let file = options.open(outer).map_err(failed)?;
        let handle = self.keep(Open::File {
            file: Arc::new(file),
            path,
            written,
        })?;
        Ok(Handle { id, handle })
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, Self::Error> {
        self.suffer().await?;
        match self.open.remove(&handle) {
            // A client that does not rename: the manifest is there when it is closed.
            Some(Open::File {
                path,
                written: true,
                ..
            }) => {
                self.intake.arrived(&self.client, &path).await;
                Ok(ok(id))
            }
            Some(_) => Ok(ok(id)),
            None => Err(StatusReply::new(StatusCode::Failure).with_message("no such handle")),
        }
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        len: u32,
    ) -> Result<Data, Self::Error> {
        let file = self.file(&handle)?;
        let mut data = vec![0; len.min(MAX_READ) as usize];
        let length = file.read_at(&mut data, offset).map_err(failed)?;
        if length == 0 && len > 0 {
            return Err(StatusCode::Eof.into());
        }
        data.truncate(length);
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, Self::Error> {
        self.suffer().await?;
        let file = self.written(&handle)?;
        file.write_all_at(&data, offset).map_err(failed)?;
        Ok(ok(id))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        let outer = self.outer(&Self::inner(&path)?);
        let metadata = fs::symlink_metadata(outer).map_err(failed)?;
        Ok(Attrs {
            id,
            attrs: attributes(&metadata),
        })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        self.stat(id, path).await
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, Self::Error> {
        let metadata = self.file(&handle)?.metadata().map_err(failed)?;
        Ok(Attrs {
            id,
            attrs: attributes(&metadata),
        })
    }

    /// Owners, modes and times are the receiver's: what a client would set is passed over.
    async fn setstat(
        &mut self,
        id: u32,
        _path: String,
        _attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        Ok(ok(id))
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        _handle: String,
        _attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        Ok(ok(id))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, Self::Error> {
        let outer = self.outer(&Self::inner(&path)?);
        let mut entries = Vec::new();
        for entry in fs::read_dir(outer).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry::new(name, attributes(&metadata)));
        }
        entries.sort_by(|a, b| a.filename.cmp(&b.filename));
        let handle = self.keep(Open::Directory(entries.into_iter()))?;
        Ok(Handle { id, handle })
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, Self::Error> {
        let Some(Open::Directory(entries)) = self.open.get_mut(&handle) else {
            return Err(StatusReply::new(StatusCode::Failure).with_message("no such handle"));
        };
        let files: Vec<Entry> = entries.take(PAGE).collect();
        match files.is_empty() {
            true => Err(StatusCode::Eof.into()),
            false => Ok(Name { id, files }),
        }
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, Self::Error> {
        self.suffer().await?;
        let path = Self::inner(&filename)?;
        self.require_open(&path)?;
        fs::remove_file(self.outer(&path)).map_err(failed)?;
        Ok(ok(id))
    }

    async fn mkdir(
        &mut self,
        id: u32,
        path: String,
        _attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        self.suffer().await?;
        let path = Self::inner(&path)?;
        self.require_open(&path)?;
        if path.file_name().is_some_and(|name| name == MANIFEST_NAME) {
            return Err(
                StatusReply::new(StatusCode::PermissionDenied).with_message("a manifest is a file")
            );
        }
        fs::create_dir(self.outer(&path)).map_err(failed)?;
        Ok(ok(id))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, Self::Error> {
        let path = Self::inner(&path)?;
        if path.as_os_str().is_empty() {
            return Err(StatusCode::PermissionDenied.into());
        }
        self.require_open(&path)?;
        fs::remove_dir(self.outer(&path)).map_err(failed)?;
        Ok(ok(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, Self::Error> {
        let inner = Self::inner(&path)?;
        let shown = Path::new("/").join(inner);
        Ok(Name {
            id,
            files: vec![Entry::dummy(shown.to_string_lossy())],
        })
    }

    async fn rename(
        &mut self,
        id: u32,
        oldpath: String,
        newpath: String,
    ) -> Result<Status, Self::Error> {
        self.suffer().await?;
        let (from, to) = (Self::inner(&oldpath)?, Self::inner(&newpath)?);
        self.require_open(&from)?;
        self.require_open(&to)?;
        // With a directory everything in it would have another place, deposits that are held too.
        let is_file = fs::symlink_metadata(self.outer(&from))
            .map_err(failed)?
            .is_file();
        if !is_file {
            return Err(StatusReply::new(StatusCode::PermissionDenied)
                .with_message("directories are not renamed"));
        }
        let outer = self.outer(&to);
        // Version 3 of the protocol does not rename over what is there.
        if outer.exists() {
            return Err(StatusReply::new(StatusCode::Failure).with_message("is there already"));
        }
        fs::rename(self.outer(&from), outer).map_err(failed)?;
        self.intake.arrived(&self.client, &to).await;
        Ok(ok(id))
    }

    async fn extended(
        &mut self,
        id: u32,
        request: String,
        data: Vec<u8>,
    ) -> Result<Packet, Self::Error> {
        if request != "fsync@openssh.com" {
            return Err(StatusCode::OpUnsupported.into());
        }
        // A string: its length, then the handle.
        let handle = data
            .get(4..)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let handle = handle.ok_or_else(|| StatusReply::from(StatusCode::BadMessage))?;
        let file = self.file(handle)?;
        file.sync_all().map_err(failed)?;
        Ok(Packet::Status(ok(id)))
    }
}
