//! Finds PostgreSQL's own programs, `pg_dump`, `pg_restore` and `psql`, and starts them on a database.

use std::{path::PathBuf, process::Command};

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use super::{
    binaries::{candidates, install_command, major_in, os_release},
    error::StartError,
    options::MINIMUM_MAJOR,
};

/// A directory with such programs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The directory.
    pub dir: PathBuf,
    /// The major version of its programs.
    pub major: u32,
}

impl Tools {
    /// The programs beside `program`, for a server of the major version `server`: of that version, else
    /// of the next newer one, because `pg_dump` refuses a server that is newer.
    ///
    /// # Errors
    ///
    /// [`StartError::NoTools`], with the command that installs them.
    pub fn find(program: &'static str, server: u32) -> Result<Self, StartError> {
        let found = candidates(program, program).into_iter().filter_map(|dir| {
            let output = Command::new(dir.join(program)).arg("--version").output();
            let major = major_in(&String::from_utf8_lossy(&output.ok()?.stdout))?;
            Some(Self { dir, major })
        });
        found
            .filter(|tools| tools.major >= server)
            .min_by_key(|tools| tools.major)
            .ok_or_else(|| StartError::NoTools {
                program,
                server: server.max(MINIMUM_MAJOR),
                install: install_command(&os_release(), (server > 0).then_some(server)),
            })
    }

    /// One of the programs, on the database of `options`. How to connect is in its environment: command
    /// lines can be read by every user of the machine.
    #[must_use]
    pub fn command(&self, program: &str, options: &PgConnectOptions) -> Command {
        let mut command = Command::new(self.dir.join(program));
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        let url = options.to_url_lossy();
        let host = options.get_socket().map_or_else(
            || options.get_host().trim_matches(['[', ']']).into(),
            |socket| socket.clone().into_os_string(),
        );
        command
            .env("PGAPPNAME", "pic-portal")
            .env("PGHOST", host)
            .env("PGPORT", options.get_port().to_string())
            .env("PGUSER", options.get_username())
            .env("PGDATABASE", options.get_database().unwrap_or_default());
        if let Some(password) = url.password() {
            command.env("PGPASSWORD", decoded(password));
        }
        for (name, value) in url.query_pairs() {
            let variable = match &*name {
                "sslmode" => "PGSSLMODE",
                "sslrootcert" => "PGSSLROOTCERT",
                "sslcert" => "PGSSLCERT",
                "sslkey" => "PGSSLKEY",
                _ => continue,
            };
            command.env(variable, &*value);
        }
        command
    }
}

/// Text without its percent-encoding. What is no valid encoding stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%');
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_the_password_as_it_is() {
        let tools = Tools {
            dir: "/usr/bin".into(),
            major: 15,
        };
        let password = "p@ss%20+wörd/?%";
        let options = PgConnectOptions::new_without_pgpass()
            .host("[::1]")
            .port(5433)
            .username("pic")
            .password(password)
            .database("portal");
        let command = tools.command("pg_dump", &options);
        let given = |name: &str| {
            let found = command.get_envs().find(|(key, _)| *key == name);
            found.and_then(|(_, value)| Some(value?.to_str()?.to_owned()))
        };
        assert_eq!(given("PGPASSWORD").as_deref(), Some(password));
        assert_eq!(given("PGHOST").as_deref(), Some("::1"));
        assert_eq!(given("PGSSLMODE").as_deref(), Some("prefer"));
        assert_eq!(command.get_args().count(), 0);
    }
}
