//! Chooses the user that the server runs as.

use std::{
    fs, os::unix::fs::MetadataExt, os::unix::process::CommandExt, path::Path, process::Command,
};

use nix::unistd::{Gid, Uid, User, geteuid};

use super::error::StartError;

/// The user of the server's processes: the portal's own, or another one where that is root, which
/// PostgreSQL refuses.
#[derive(Clone, Debug)]
pub(super) struct ServerUser {
    pub(super) name: String,
    pub(super) uid: Uid,
    gid: Gid,
    /// Whether it is another user than the portal's.
    pub(super) other: bool,
}

impl ServerUser {
    /// The owner of the data if there are any, else `postgres`, else `nobody`, where the portal is
    /// root; else the portal's own user.
    pub(super) fn choose(data: &Path) -> Result<Self, StartError> {
        if !geteuid().is_root() {
            return Ok(Self {
                name: own_name(),
                uid: geteuid(),
                gid: nix::unistd::getegid(),
                other: false,
            });
        }
        let owner = fs::metadata(data)
            .ok()
            .map(|metadata| Uid::from_raw(metadata.uid()))
            .filter(|uid| !uid.is_root())
            .and_then(|uid| User::from_uid(uid).ok().flatten());
        let named = |name| User::from_name(name).ok().flatten();
        let user = owner
            .or_else(|| named("postgres"))
            .or_else(|| named("nobody"));
        let User { name, uid, gid, .. } = user.ok_or(StartError::NoUser)?;
        Ok(Self {
            name,
            uid,
            gid,
            other: true,
        })
    }

    /// Makes `command` run as this user, without supplementary groups.
    pub(super) fn run(&self, command: &mut Command) {
        if self.other {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
    }

    /// Uid and gid that own the server's files; `None` where that is the portal's own user.
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        self.other.then_some((self.uid.as_raw(), self.gid.as_raw()))
    }
}

/// Name of the user the portal runs as, or its number.
pub(super) fn own_name() -> String {
    let uid = geteuid();
    User::from_uid(uid)
        .ok()
        .flatten()
        .map_or_else(|| uid.to_string(), |user| user.name)
}
