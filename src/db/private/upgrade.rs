//! Puts a cluster of a newer major version of PostgreSQL in the place of the old one.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
};

use super::{
    Options,
    binaries::Binaries,
    cluster::major_of,
    data_dir::{DataDir, unwritable},
    error::StartError,
    user::ServerUser,
};

/// Where the new cluster is until it is complete, below the private PostgreSQL's directory.
const NEW: &str = "upgrade";

/// A move from one major version to a newer one.
#[derive(Debug)]
pub struct Upgrade {
    dir: PathBuf,
    /// The major version of the data.
    pub from: u32,
    /// The newest one that is installed.
    pub to: u32,
    binaries: PathBuf,
}

impl Upgrade {
    /// Whether the data in `dir` can be moved to a newer version; `None`: there are none, or the newest
    /// one that is installed has made them.
    ///
    /// # Errors
    ///
    /// [`StartError`]: no server is installed, or `dir` cannot be read.
    pub fn of(dir: &Path) -> Result<Option<Self>, StartError> {
        let data = dir.join("pgdata");
        let Some(from) = major_of(&data)? else {
            return Ok(None);
        };
        let newest = Binaries::find(None, None, &ServerUser::choose(&data)?)?;
        Ok((newest.major > from).then(|| Self {
            dir: dir.to_owned(),
            from,
            to: newest.major,
            binaries: newest.dir,
        }))
    }

    /// The options for the new cluster: empty, beside the old one, of the same owner. What an upgrade
    /// that was interrupted has left is removed.
    ///
    /// # Errors
    ///
    /// [`StartError::Unwritable`].
    pub fn prepare(&self) -> Result<Options, StartError> {
        let old = fs::metadata(self.dir.join("pgdata")).map_err(unwritable(&self.dir))?;
        let new = self.dir.join(NEW);
        super::unless_missing(fs::remove_dir_all(&new)).map_err(unwritable(&new))?;
        let data = new.join("pgdata");
        for (dir, mode) in [(&new, 0o755), (&data, 0o700)] {
            DirBuilder::new()
                .mode(mode)
                .create(dir)
                .map_err(unwritable(dir))?;
        }
        if nix::unistd::geteuid().is_root() {
            chown(&data, Some(old.uid()), Some(old.gid())).map_err(unwritable(&data))?;
        }
        Ok(Options {
            bindir: Some(self.binaries.clone()),
            ..Options::durable(new)
        })
    }

    /// Puts the new cluster in the place of the old one, when both have been stopped, and tells where the
    /// old one is kept.
    ///
    /// # Errors
    ///
    /// [`StartError::AlreadyRuns`], [`StartError::Unwritable`]; then the old one is in its place.
    pub fn finish(self) -> Result<PathBuf, StartError> {
        let _lock = DataDir::take(&self.dir)?;
        let place = self.dir.join("pgdata");
        let old = self.dir.join(format!("pgdata.{}", self.from));
        let new = self.dir.join(NEW);
        fs::rename(&place, &old).map_err(unwritable(&old))?;
        fs::rename(new.join("pgdata"), &place)
            .inspect_err(|_| {
                // If that fails too, the error says which directory it is about.
                let _ = fs::rename(&old, &place);
            })
            .map_err(unwritable(&place))?;
        fs::File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(unwritable(&self.dir))?;
        super::unless_missing(fs::remove_dir_all(&new)).map_err(unwritable(&new))?;
        Ok(old)
    }
}
