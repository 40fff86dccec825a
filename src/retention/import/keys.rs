//! Writes the management keys of imported services to a file, for handing over.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::error::Error;

/// A new file that its owner alone may read. It is removed again unless it is kept.
pub(super) struct KeysFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl KeysFile {
    /// Makes the file; one that is there is never written to.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let mut new = OpenOptions::new();
        let file = new.write(true).create_new(true).mode(0o600).open(path);
        let mut keys = Self {
            path: path.to_owned(),
            file: BufWriter::new(file.map_err(fault(path))?),
        };
        keys.add("programme", "number", "reference", "management key")?;
        Ok(keys)
    }

    /// Adds a service. None of these has a character that CSV needs quotes for.
    pub(super) fn add(
        &mut self,
        programme: &str,
        number: &str,
        reference: &str,
        key: &str,
    ) -> Result<(), Error> {
        writeln!(self.file, "{programme},{number},{reference},{key}").map_err(fault(&self.path))
    }

    /// Sees to it that what was written is on the disk, and the file's name in its directory, before
    /// anything relies on it: nothing else has the keys.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        let directory = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let synced = self.file.flush();
        let synced = synced.and_then(|()| self.file.get_ref().sync_all());
        synced
            .and_then(|()| File::open(directory)?.sync_all())
            .map_err(fault(&self.path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it to the operator.
    pub(super) fn keep(self) -> PathBuf {
        self.path
    }

    /// Takes it away: its keys open nothing.
    pub(super) fn remove(self) {
        // It cannot be in anybody's way more than it is.
        let _ = fs::remove_file(&self.path);
    }
}

fn fault(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let file = path.to_owned();
    move |fault| Error::Keys { file, fault }
}
