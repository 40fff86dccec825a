//! Finds the PostgreSQL binaries on this machine, and names the command that installs them.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{child, error::StartError, options::MINIMUM_MAJOR, user::ServerUser};

/// Where packages put the server: a directory, what its entries begin with, and the path from
/// there. Most of these are not on the `PATH`.
const PLACES: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"), // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),          // the PostgreSQL project's RPMs
    ("/usr/lib", "postgresql", "bin"),  // SUSE
    ("/usr/libexec", "postgresql", ""), // Alpine
    ("/usr/local", "pgsql", "bin"),     // built from source
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A directory with the programs `postgres` and `initdb`, and their major version.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    /// The newest binaries; those of the major version `data.1` if the directory `data.0` already
    /// holds a cluster of it. `only` limits the search to one directory.
    pub(super) fn find(
        only: Option<&Path>,
        data: Option<(&Path, u32)>,
        user: &ServerUser,
    ) -> Result<Self, StartError> {
        if let Some((data_dir, data)) = data
            && data < MINIMUM_MAJOR
        {
            return Err(StartError::DataTooOld {
                data_dir: data_dir.to_owned(),
                data,
            });
        }
        let candidates = match only {
            Some(dir) => BTreeSet::from([dir.to_owned()]),
            None => candidates("initdb", "postgres"),
        };
        let installed = candidates.into_iter().filter_map(|dir| {
            let major = major_of(&dir, user)?;
            Some(Self { dir, major })
        });
        let installed: Vec<Self> = installed.collect();
        choose(installed, data, &os_release())
    }

    /// The path of one of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn choose(
    mut installed: Vec<Binaries>,
    data: Option<(&Path, u32)>,
    os_release: &str,
) -> Result<Binaries, StartError> {
    installed.sort_by_key(|binaries| binaries.major);
    let wanted = data.map(|(_, major)| major);
    let install = install_command(os_release, wanted);
    let Some(newest) = installed.pop() else {
        return Err(StartError::NoBinaries { install });
    };
    let found = newest.major;
    installed.push(newest);
    let fits = |binaries: &Binaries| match wanted {
        Some(major) => binaries.major == major,
        None => binaries.major >= MINIMUM_MAJOR,
    };
    match (installed.into_iter().rfind(fits), data) {
        (Some(binaries), _) => Ok(binaries),
        (None, Some((dir, data))) => Err(StartError::OtherMajor {
            data_dir: dir.to_owned(),
            data,
            found,
            install,
        }),
        (None, None) => Err(StartError::BinariesTooOld { found, install }),
    }
}

/// Directories that hold both programs, links resolved.
pub(super) fn candidates(first: &str, second: &str) -> BTreeSet<PathBuf> {
    let search = env::var_os("PATH").unwrap_or_default();
    let packaged = PLACES.iter().flat_map(|(data_dir, prefix, rest)| {
        let entries = fs::read_dir(data_dir).into_iter().flatten().flatten();
        entries
            .filter(|entry| {
                entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(prefix.as_bytes())
            })
            .map(move |entry| entry.path().join(rest))
    });
    // A link such as /usr/local/bin/initdb may be all that the `PATH` has of it.
    let found: BTreeSet<PathBuf> = env::split_paths(&search)
        .chain(packaged)
        .filter_map(|dir| {
            fs::canonicalize(dir.join(first))
                .ok()?
                .parent()
                .map(Path::to_owned)
        })
        .filter(|dir| dir.join(second).is_file())
        .collect();
    if found.is_empty() {
        pg_config()
            .into_iter()
            .filter(|dir| dir.join(first).is_file() && dir.join(second).is_file())
            .collect()
    } else {
        found
    }
}

/// The directory that `pg_config` names.
fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().into())
}

/// The major version of the binaries in `dir`, if there are any and `user` can run them.
fn major_of(dir: &Path, user: &ServerUser) -> Option<u32> {
    if !dir.join("initdb").is_file() {
        return None;
    }
    let output = child::command(&dir.join("postgres"), Path::new("/"), user)
        .arg("--version")
        .output()
        .ok()?;
    major_in(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `... 18beta1`.
pub(super) fn major_in(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}

pub(super) fn os_release() -> String {
    fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default()
}

/// The command that installs the server, of a certain major version if `major` names one, on the
/// platform that os-release(5) describes.
pub(super) fn install_command(os_release: &str, major: Option<u32>) -> String {
    let value = |key: &str| {
        let line = os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default()
            .trim_matches(['"', '\''])
            .to_owned()
    };
    let family = format!("{} {}", value("ID"), value("ID_LIKE"));
    let version = |before: &str| major.map_or_else(String::new, |major| format!("{before}{major}"));
    if cfg!(target_os = "macos") {
        return format!("`brew install postgresql@{}`", major.unwrap_or(17));
    }
    family
        .split_whitespace()
        .find_map(|name| match name {
            "debian" | "ubuntu" => Some(format!("`apt-get install -y postgresql{}`", version("-"))),
            "fedora" | "rhel" | "centos" | "amzn" => {
                Some(format!("`dnf install -y postgresql{}-server`", version("")))
            }
            "alpine" => Some(format!("`apk add postgresql{}`", version(""))),
            "arch" => Some("`pacman -S --noconfirm postgresql`".to_owned()),
            "suse" | "opensuse" | "sles" => Some(format!(
                "`zypper install -y postgresql{}-server`",
                version("")
            )),
            _ => None,
        })
        .unwrap_or_else(|| {
            let which =
                major.map_or_else(|| format!("{MINIMUM_MAJOR}+"), |major| major.to_string());
            format!("the system's package manager (PostgreSQL {which}, server)")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(majors: &[u32]) -> Vec<Binaries> {
        majors
            .iter()
            .map(|&major| Binaries {
                dir: format!("/pg{major}").into(),
                major,
            })
            .collect()
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(
            major_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(major_in("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major_in("something else"), None);
    }

    #[test]
    fn the_newest_is_chosen_unless_the_data_want_another() {
        let data = Path::new("/data");
        let all = || installed(&[16, 14, 17]);
        assert_eq!(choose(all(), None, "").unwrap().major, 17);
        assert_eq!(choose(all(), Some((data, 16)), "").unwrap().major, 16);
    }

    #[test]
    fn what_is_missing_is_said_in_one_line() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n";
        let text = |majors: &[u32], data: Option<u32>| {
            let data = data.map(|major| (Path::new("/data"), major));
            choose(installed(majors), data, debian)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text(&[], None),
            "no PostgreSQL server was found on this machine: install one with \
             `apt-get install -y postgresql`, or set DATABASE_URL to a server elsewhere"
        );
        assert_eq!(
            text(&[13, 14], None),
            "the newest PostgreSQL found on this machine is version 14, the portal needs 15 or \
             newer: install one with `apt-get install -y postgresql`, or set DATABASE_URL to a \
             server elsewhere"
        );
        assert_eq!(
            text(&[15, 17], Some(16)),
            "/data was made by PostgreSQL 16, but the newest installed here is 17: install version \
             16 with `apt-get install -y postgresql-16`, and then move the data to 17 with \
             `pic-portal upgrade`"
        );
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn every_platform_has_its_command() {
        for (os_release, command) in [
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"",
                "`apt-get install -y postgresql`",
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"",
                "`dnf install -y postgresql-server`",
            ),
            ("ID=fedora", "`dnf install -y postgresql-server`"),
            ("ID=alpine", "`apk add postgresql`"),
            (
                "ID=manjaro\nID_LIKE=arch",
                "`pacman -S --noconfirm postgresql`",
            ),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"",
                "`zypper install -y postgresql-server`",
            ),
            ("", "the system's package manager (PostgreSQL 15+, server)"),
        ] {
            assert_eq!(install_command(os_release, None), command);
        }
        assert_eq!(
            install_command("ID=alpine", Some(16)),
            "`apk add postgresql16`"
        );
    }
}
