//! Backups while the node runs: the store at one moment, in a directory of its own that a node opens
//! like any other registry.

use crate::private;
use crate::registry::Registry;
use crate::{Error, Result, Sequence};
use std::fs::{self, File};
use std::path::Path;

/// What a backup directory is called until it is whole.
const UNFINISHED: &str = "unfinished";

impl Registry {
    /// Writes the registry as it is now into a new directory `name` below `dir`, which is on the same
    /// disk; what takes place is shared with it. Returns a number whose entries, and those before, are
    /// certainly in it. Durable on return. Blocks. One at a time: the caller sees to that.
    ///
    /// # Errors
    /// The directory cannot be written, or there is one of that name.
    pub fn back_up(&self, dir: &Path, name: &str) -> Result<Sequence> {
        let failed = |error: std::io::Error| Error::Storage(format!("{}: {error}", dir.display()));
        private::make_dir(dir).map_err(failed)?;
        let (unfinished, path) = (dir.join(UNFINISHED), dir.join(name));
        if path.exists() {
            let path = path.display();
            return Err(Error::Storage(format!("{path} is there already")));
        }
        // Left by a process that ended meanwhile.
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        let sequence = self.applied();
        self.store().checkpoint(&unfinished)?;
        for file in fs::read_dir(&unfinished).map_err(failed)? {
            let file = File::open(file.map_err(failed)?.path()).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        for made in [unfinished.as_path(), dir] {
            File::open(made)
                .and_then(|it| it.sync_all())
                .map_err(failed)?;
        }
        fs::rename(&unfinished, &path).map_err(failed)?;
        // The directory of backups may be new, too.
        let above = dir.parent().filter(|it| !it.as_os_str().is_empty());
        for renamed_in in std::iter::once(dir).chain(above) {
            File::open(renamed_in)
                .and_then(|it| it.sync_all())
                .map_err(failed)?;
        }
        Ok(sequence)
    }
}
