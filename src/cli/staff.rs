//! The command `staff`: makes, lists and disables the accounts of the support desk.
//!
//! A password comes from the prompt, without an echo, or from standard input, never from the
//! command line, which other users of the machine can see.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use clap::Subcommand;

use super::{Failure, reach, say};
use crate::{
    config::Config,
    db::Database,
    staff::{
        Name, Role,
        password::{Hashed, Hasher, LONGEST, Lane, Password},
        store,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account; its password is asked for, or read from standard input
    Add {
        /// What is typed to sign in, like anna.k; not an email address
        name: String,
        /// What the account may do: `reader` looks, `agent` acts too
        #[arg(long, default_value = "agent", value_parser = role)]
        role: Role,
    },
    /// List the accounts
    List,
    /// Disable an account: nobody can sign in with it; ends its sessions
    Disable {
        /// The account
        name: String,
    },
    /// Let an account sign in again that was disabled
    Enable {
        /// The account
        name: String,
    },
    /// Set a new password for an account and enable it; ends its sessions
    Reset {
        /// The account
        name: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "is neither reader nor agent".to_owned())
}

impl Command {
    /// Runs the command on the portal's database, whether a portal is running or not.
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        // All errors in the arguments are found before a database is started for the command.
        let task = match self {
            Self::Add { name, role } => Task::Add(parse(&name)?, role),
            Self::List => Task::List,
            Self::Disable { name } => Task::Disable(parse(&name)?),
            Self::Enable { name } => Task::Enable(parse(&name)?),
            Self::Reset { name } => Task::Reset(parse(&name)?),
        };
        let reached = reach::database(&config).await?;
        let done = task.run(&reached.db).await;
        reached.close().await?;
        say(&done?);
        Ok(())
    }
}

/// A command whose arguments are checked.
enum Task {
    Add(Name, Role),
    List,
    Disable(Name),
    Enable(Name),
    Reset(Name),
}

impl Task {
    /// Runs it; returns what to print.
    async fn run(self, db: &Database) -> Result<String, Failure> {
        let none = |what: &str| {
            Failure::Refused(format!(
                "there is no {what}: `pic-portal staff list` shows what there is"
            ))
        };
        match self {
            Self::Add(name, role) => {
                let taken = || {
                    Failure::Refused(format!(
                        "there is an account {name} already: choose another name, or give it a new password with `pic-portal staff reset {name}`"
                    ))
                };
                if named(db, &name).await?.is_some() {
                    return Err(taken());
                }
                let password = new_password(&name).await?;
                if store::add(&db.pool, &name, role, &password).await? {
                    return Ok(format!("made {name}, {}", role.as_str()));
                }
                Err(taken())
            }
            Self::List => {
                let lines = store::list(&db.pool).await?.into_iter().map(|listed| {
                    let state = listed
                        .disabled_at
                        .map_or_else(String::new, |at| format!(", disabled {}", at.date_naive()));
                    let way = if listed.at_provider {
                        ", signs in at the OpenID provider"
                    } else {
                        ""
                    };
                    format!(
                        "{}  {}, made {}{way}{state}",
                        listed.account.name,
                        listed.account.role.as_str(),
                        listed.created_at.date_naive()
                    )
                });
                let lines: Vec<_> = lines.collect();
                if lines.is_empty() {
                    return Ok("no accounts yet: make one with `pic-portal staff add NAME`".into());
                }
                Ok(lines.join("\n"))
            }
            Self::Disable(name) => {
                if store::disable(&db.pool, &name).await? {
                    return Ok(format!("disabled {name}; its sessions are ended"));
                }
                Err(none(&format!(
                    "account {name} that is not disabled already"
                )))
            }
            Self::Enable(name) => {
                if store::enable(&db.pool, &name).await? {
                    return Ok(format!("{name} can sign in again"));
                }
                Err(none(&format!("account {name} that is disabled")))
            }
            Self::Reset(name) => {
                let unknown = || none(&format!("account {name} with a password"));
                if named(db, &name).await?.is_none_or(|it| it.at_provider) {
                    return Err(unknown());
                }
                let password = new_password(&name).await?;
                if store::reset(&db.pool, &name, &password).await? {
                    return Ok(format!("{name} has a new password; its sessions are ended"));
                }
                Err(unknown())
            }
        }
    }
}

/// The account of this name, before its password is asked for.
async fn named(db: &Database, name: &Name) -> Result<Option<store::Listed>, Failure> {
    let accounts = store::list(&db.pool).await?;
    Ok(accounts.into_iter().find(|it| it.account.name == *name))
}

fn parse(name: &str) -> Result<Name, Failure> {
    Name::parse(name).map_err(|problem| Failure::Refused(problem.to_string()))
}

/// Asks for a new password, twice at a terminal.
async fn new_password(name: &Name) -> Result<Hashed, Failure> {
    let typed = if io::stdin().is_terminal() {
        let typed = rpassword::prompt_password(format!("New password for {name}: "))?;
        if rpassword::prompt_password("Once more: ")? != typed {
            return Err(Failure::Refused(
                "the two passwords differ: try again".into(),
            ));
        }
        typed
    } else {
        let mut line = String::new();
        let most = u64::try_from(LONGEST + 3).unwrap_or(u64::MAX);
        io::stdin().lock().take(most).read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    let password = Password::new(typed, name).map_err(|p| Failure::Refused(p.to_string()))?;
    let hashed = Hasher::default().hash(password, Lane::Known).await;
    hashed.map_err(|fault| Failure::Refused(fault.to_string()))
}
