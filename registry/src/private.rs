//! Files and directories that nobody but their owner may read: a registry holds administrators'
//! secret keys, and beside it lie the node's own.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The mode of directories.
pub const DIRECTORY_MODE: u32 = 0o700;
/// The mode of files.
pub const FILE_MODE: u32 = 0o600;
/// Behind the name of a file that is being written.
const UNFINISHED: &str = ".tmp";

/// Makes a directory and those above it that are missing. One that is there stays as it is: whoever
/// made it has decided who may look into it.
///
/// # Errors
/// It cannot be made.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY_MODE).create(dir)
}

/// Takes a directory that others have made for this program away from everybody else.
pub(crate) fn restrict_dir(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(DIRECTORY_MODE))
}

/// Writes a file whole: after a crash it is the old one or the new one. Never readable by others, not
/// even for the moment between making and restricting it. Durable on return.
///
/// # Errors
/// It cannot be written; what was there before is there still.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    // Left by a process that ended meanwhile.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    let dir = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_its_owners_and_what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        fs::create_dir(&there).unwrap();
        fs::set_permissions(&there, Permissions::from_mode(0o755)).unwrap();
        let made = there.join("above").join("below");
        make_dir(&made).unwrap();
        assert_eq!(mode(&there), 0o755);
        assert_eq!(mode(&there.join("above")), DIRECTORY_MODE);
        assert_eq!(mode(&made), DIRECTORY_MODE);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(dir.path().join("key.tmp"), "half").unwrap();
        for text in ["one", "another"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(mode(&path), FILE_MODE);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
