//! The command `doctor`: says what is well and what is not, with what to do, and what is kept.
//!
//! | file | what it does |
//! |---|---|
//! | `line` | has a line: what was looked at, how it stands, what to do |
//! | `settings` | judges the settings |
//! | `outside` | tries name servers, port 5061 of other machines, and the OpenID provider |
//! | `store` | reads from the database what is judged |
//! | `database` | judges what was read |
//! | `backup` | reads when the private PostgreSQL was last backed up |
//! | `details` | prints the rule of what is kept, the last sweeps, and numbers of the database |

mod backup;
mod database;
mod details;
mod line;
mod outside;
mod settings;
mod store;

use clap::Args;
use serde_json::{Value, json};

use self::line::{Level, Line};
use super::{Failure, reach, say, settings::unknown};
use crate::config::Config;

#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Doctor {
    /// Print one JSON object, for machines
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Looks at everything, prints it, and the verdict last. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Failure::Unwell`] when something is wrong, which is not so for warnings.
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let mut lines = vec![Line::ok(
            "version",
            format!("pic-portal {}", env!("CARGO_PKG_VERSION")),
        )];
        lines.extend(settings::lines(&config, &unknown()));
        let mut report = json!({});
        let mut details = None;
        let mut edges = Vec::new();
        match reach::database(&config).await {
            Ok(reached) => {
                let read = store::read(&reached.db.pool, config.clocks.promise).await;
                reached.close().await?;
                match read {
                    Ok(seen) => {
                        lines.extend(database::lines(&config, &seen));
                        if self.json {
                            report = details::machine(&config, &seen);
                        } else {
                            details = Some(details::text(&config, &seen));
                        }
                        edges = seen.edges;
                    }
                    Err(error) => lines.push(Line::wrong(
                        "database",
                        format!("it cannot be read: {error}"),
                        "",
                    )),
                }
            }
            // The text says what to do.
            Err(failure) => lines.push(Line::wrong("database", failure.to_string(), "")),
        }
        lines.extend(outside::single_sign_on(&config).await);
        lines.extend(backup::line(&config));
        lines.extend(outside::lines(&config, edges).await);
        if self.json {
            report["version"] = env!("CARGO_PKG_VERSION").into();
            report["verdict"] = line::verdict(&lines).as_str().into();
            report["lines"] = lines.iter().map(Line::machine).collect::<Value>();
            say(&report.to_string());
        } else {
            if let Some(details) = details {
                say(&details);
                say("");
            }
            say(&line::text(&lines));
        }
        let mut wrong = lines.iter().filter(|it| it.level == Level::Wrong);
        match wrong.next() {
            None => Ok(()),
            Some(first) => Err(Failure::Unwell(format!(
                "{}: {}{}",
                first.subject,
                first.says,
                match wrong.count() {
                    0 => String::new(),
                    more => format!(" (and {more} more)"),
                }
            ))),
        }
    }
}
