//! Makes and locks the directories of the private cluster, and sees to it that no other user can
//! enter them.

use std::{
    fs,
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
    },
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, unistd::geteuid};
use sha2::{Digest as _, Sha256};

use super::{
    error::StartError,
    options::PORT,
    user::{self, ServerUser},
};

/// Longest path of a Unix socket in bytes: 107 on Linux, 103 elsewhere.
const SOCKET_PATH_LIMIT: usize = 103;

/// The rule behind [`super::default_dir`].
pub(super) fn default_dir(root: bool, xdg: Option<PathBuf>, home: Option<PathBuf>) -> PathBuf {
    let system = "/var/lib/pic-portal";
    if root {
        return system.into();
    }
    // A relative $XDG_DATA_HOME is to be ignored, says its specification.
    let data = xdg.filter(|path| path.is_absolute());
    let data = data.or_else(|| home.map(|home| home.join(".local/share")));
    // If there is no home either, the start fails with an error that says what to do.
    data.map_or_else(|| system.into(), |data| data.join("pic-portal"))
}

/// Makes an I/O error of `path` a "cannot use this path", for `map_err`.
pub(super) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Unwritable {
        path: path.to_owned(),
        user: user::own_name(),
        source,
    }
}

/// The portal's directory, locked against other portals as long as this value lives.
#[derive(Debug)]
pub(super) struct DataDir {
    /// The path, absolute and without links.
    pub(super) dir: PathBuf,
    /// Directories made by this start, outermost first; removed again unless the start succeeds.
    made: Made,
    /// The lock ends with the process, however that ends. Dropped last.
    _lock: Lock,
}

/// A file that is locked.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do: a process that another thread starts at this moment has it
        // open too, until it executes another program.
        let _ = self.0.unlock();
    }
}

impl DataDir {
    /// Makes the directory if it is missing, and locks it for this portal.
    pub(super) fn take(dir: &Path) -> Result<Self, StartError> {
        let wanted = std::path::absolute(dir).map_err(unwritable(dir))?;
        let made = Made::directories(&wanted)?;
        let dir = fs::canonicalize(&wanted).map_err(unwritable(&wanted))?;
        let lock = lock(&dir)?;
        Ok(Self {
            dir,
            _lock: lock,
            made,
        })
    }

    /// Keeps the directories, because the start has succeeded.
    pub(super) fn keep(&mut self) {
        self.made.0.clear();
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if !self.made.0.is_empty() {
            // Removed while it is locked: no other process can rely on it yet.
            let _ = fs::remove_file(lock_path(&self.dir));
        }
    }
}

/// Where the lock of a directory lies.
fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

fn lock(dir: &Path) -> Result<Lock, StartError> {
    let path = lock_path(dir);
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unwritable(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The id is only needed to name the other portal.
                let _ = file.read_to_string(&mut text);
                let process = text.trim().parse().ok();
                return Err(StartError::AlreadyRuns {
                    dir: dir.to_owned(),
                    process,
                });
            }
            Err(TryLockError::Error(source)) => return Err(unwritable(&path)(source)),
        }
        // A start that failed may have removed the file between our opening and locking it.
        let here = file.metadata().map_err(unwritable(&path))?.ino();
        if fs::metadata(&path).is_ok_and(|now| now.ino() == here) {
            let id = format!("{}\n", std::process::id());
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(id.as_bytes()))
                .map_err(unwritable(&path))?;
            return Ok(Lock(file));
        }
    }
}

#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Made {
    /// Makes `dir` and what is missing above it. The server's user can enter what root makes; what
    /// other users make is theirs alone.
    fn directories(dir: &Path) -> Result<Self, StartError> {
        let mode = if geteuid().is_root() { 0o755 } else { 0o700 };
        let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
        let mut new = Self(Vec::new());
        for dir in missing.into_iter().rev() {
            match DirBuilder::new().mode(mode).create(dir) {
                Ok(()) => new.0.push(dir.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(unwritable(dir)(error)),
            }
            // Set explicitly, because of the umask.
            fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(unwritable(dir))?;
        }
        Ok(new)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // Fails, as it should, if something is in it.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Where the socket of the cluster in `dir` lies: in it, so that commands find it from anywhere (a
/// service manager may give the portal a `/tmp` of its own). A socket's path is limited: where that
/// of `dir` is too long, in `/tmp`, under a short name of its own.
pub(super) fn socket_dir(dir: &Path, user: &ServerUser) -> PathBuf {
    let near = dir.join("socket");
    if socket_file(&near).as_os_str().len() <= SOCKET_PATH_LIMIT {
        return near;
    }
    let hash = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let hash = data_encoding::HEXLOWER.encode(&hash[..8]);
    Path::new("/tmp").join(format!("pic-portal-{}-{hash}", user.uid))
}

/// The socket in its directory.
pub(super) fn socket_file(sockets: &Path) -> PathBuf {
    sockets.join(format!(".s.PGSQL.{PORT}"))
}

/// The file by which servers agree who may make the socket.
pub(super) fn socket_lock_file(sockets: &Path) -> PathBuf {
    sockets.join(format!(".s.PGSQL.{PORT}.lock"))
}

/// Makes the directory if it is missing, and sees to it that only `user` (and root) can enter it.
/// Another user may have made something of that name in /tmp before: then it is refused.
pub(super) fn make_private(dir: &Path, user: &ServerUser) -> Result<(), StartError> {
    let made = match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(unwritable(dir)(error)),
    };
    let refused = |_| StartError::SocketDirectory {
        dir: dir.to_owned(),
    };
    // The open file is checked and changed, whatever the name may refer to later.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
        .open(dir)
        .map_err(refused)?;
    let found = opened.metadata().map_err(unwritable(dir))?.uid();
    // Still the portal's own: just made, or left by a portal that was killed before it changed the
    // owner.
    let ours = made || found == geteuid().as_raw();
    if let Some((uid, gid)) = user.owner()
        && ours
    {
        fchown(&opened, Some(uid), Some(gid)).map_err(unwritable(dir))?;
    } else if found != user.uid.as_raw() {
        return Err(StartError::SocketDirectory {
            dir: dir.to_owned(),
        });
    }
    opened
        .set_permissions(Permissions::from_mode(0o700))
        .map_err(unwritable(dir))
}

/// The first directory on the way to `dir`, itself included, that does not let `user` in.
pub(super) fn closed_to(dir: &Path, user: &ServerUser) -> PathBuf {
    let mut way: Vec<&Path> = dir.ancestors().collect();
    way.reverse();
    let closed = way.iter().find(|dir| {
        fs::metadata(dir).is_ok_and(|found| {
            let bit = if found.uid() == user.uid.as_raw() {
                0o100
            } else {
                0o001
            };
            found.mode() & bit == 0
        })
    });
    closed.copied().unwrap_or(dir).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_directory_follows_the_contract() {
        let home = || Some(PathBuf::from("/home/a"));
        let dir = |root, xdg: Option<&str>, home| default_dir(root, xdg.map(PathBuf::from), home);
        assert_eq!(
            dir(true, Some("/x"), home()),
            Path::new("/var/lib/pic-portal")
        );
        assert_eq!(dir(false, Some("/x"), home()), Path::new("/x/pic-portal"));
        assert_eq!(
            dir(false, Some("x"), home()),
            Path::new("/home/a/.local/share/pic-portal")
        );
        assert_eq!(
            dir(false, None, home()),
            Path::new("/home/a/.local/share/pic-portal")
        );
        assert_eq!(dir(false, None, None), Path::new("/var/lib/pic-portal"));
    }

    #[test]
    fn a_socket_directory_of_somebody_else_is_refused() {
        let user = ServerUser::choose(Path::new("/nowhere")).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let (own, link) = (scratch.path().join("own"), scratch.path().join("link"));
        make_private(&own, &user).unwrap();
        make_private(&own, &user).unwrap();
        let made = fs::metadata(&own).unwrap();
        assert_eq!(
            (made.uid(), made.mode() & 0o777),
            (user.uid.as_raw(), 0o700)
        );
        std::os::unix::fs::symlink(&own, &link).unwrap();
        let refused = |dir: &Path| {
            matches!(
                make_private(dir, &user),
                Err(StartError::SocketDirectory { .. })
            )
        };
        assert!(refused(&link));
        // At least the system's own directory of that kind does not belong to an ordinary user.
        assert!(user.uid.is_root() || user.other || refused(Path::new("/tmp")));
        if user.other {
            std::os::unix::fs::chown(&own, Some(54_321), None).unwrap();
            assert!(refused(&own));
        }
    }

    #[test]
    fn a_socket_is_in_the_directory_where_it_fits() {
        let user = ServerUser::choose(Path::new("/nowhere")).unwrap();
        let dir = Path::new("/var/lib/pic-portal");
        assert_eq!(socket_dir(dir, &user), dir.join("socket"));
        let deep = PathBuf::from(format!("/{}", "d/".repeat(500)));
        let sockets = socket_dir(&deep, &user);
        assert!(sockets.starts_with("/tmp"));
        assert!(socket_file(&sockets).as_os_str().len() <= SOCKET_PATH_LIMIT);
    }
}
