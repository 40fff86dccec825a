//! The command `import`: imports an old portal's export.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, counted, reach::with_database, say};
use crate::{
    config::Config,
    db::{Database, OpenError, Servers},
    retention::import::{Format, Order, Report, Step, import, keys_beside},
};

/// Import requests and services from an old portal's export, without the contacts in it. Routes
/// that the export has in force come into force as they are, without proof of ownership, whatever
/// `PIC_PROOF` says
#[derive(Args, Clone, Debug)]
pub(super) struct Import {
    /// The export; its columns are known by their headers (`docs/moving-in.md#columns`)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is written [default: json for .json, .jsonl and .ndjson, else csv]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Check the file and print what would be imported; store nothing
    #[arg(long)]
    dry_run: bool,
    /// Take agreement numbers with as many digits as telephone numbers (10 to 14, or 9 to 15 that begin
    /// with 0): only if they were checked and none is a telephone number
    #[arg(long)]
    numbers_checked: bool,
    /// Where the management keys of the new services are written, for handing over; a new file, and
    /// the only place that has the keys. What was imported before keeps its keys, which are not written again
    /// [default: FILE.keys.csv]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

impl Import {
    /// Imports and reports.
    ///
    /// # Errors
    ///
    /// [`Failure`], which says what to do.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        with_database(&config.source, |servers| self.import(servers, config)).await
    }

    async fn import(self, servers: Servers, config: &Config) -> Result<(), Failure> {
        let db = Database::open(servers.clone(), &config.opening).await?;
        db.pool.close().await;
        let mut connection = servers
            .named("pic-portal import")
            .connect()
            .await
            .map_err(|e| OpenError::Connect(e.into()))?;
        let order = Order {
            format: self.format.unwrap_or_else(|| Format::of(&self.file)),
            keys: self.keys.unwrap_or_else(|| keys_beside(&self.file)),
            file: self.file,
            dry_run: self.dry_run,
            numbers_checked: self.numbers_checked,
        };
        let bar = ProgressBar::no_length();
        let imported = import(&mut connection, &db.secret, &order, |step| show(&bar, step)).await;
        bar.finish_and_clear();
        tell(&imported?, order.dry_run);
        Ok(())
    }
}

fn show(bar: &ProgressBar, step: Step) {
    let (what, done, of) = match step {
        Step::Reading(done, of) => ("reading the file", done, of),
        Step::Looking(done, of) => ("looking at the requests", done as u64, of as u64),
        Step::Storing(done, of) => ("storing the requests", done as u64, of as u64),
        Step::Routes => ("putting the routes in force", 1, 1),
    };
    if bar.message() != what {
        bar.set_message(what);
        bar.reset_eta();
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} %, {eta} to go")
        {
            bar.set_style(style);
        }
    }
    bar.set_length(of);
    bar.set_position(done);
}

fn tell(report: &Report, dry_run: bool) {
    let would = if dry_run { "would be " } else { "" };
    let Report {
        lines,
        over,
        provisioned,
        pending,
        known,
        domains,
        ..
    } = report;
    say(&format!("{} read.", counted(*lines, "line")));
    let their = if *provisioned == 1 { "its" } else { "their" };
    say(&format!(
        "{} {would}brought over with {their} routes in force.",
        counted(*provisioned as u64, "service")
    ));
    say(&match pending {
        1 => format!("1 request {would}brought over that is pending; its time starts now."),
        _ => format!(
            "{pending} requests {would}brought over that are pending; their time starts now."
        ),
    });
    say(&format!(
        "These have {}.",
        counted(*domains as u64, "SIP domain")
    ));
    match known {
        0 => {}
        1 => say(&format!(
            "1 request had been imported before: nothing {would}done for it. It keeps its management key, which is not written again: it is in the keys file of the import that brought it over."
        )),
        _ => say(&format!(
            "{known} requests had been imported before: nothing {would}done for them. They keep their management keys, which are not written again: they are in the keys file of the import that brought them over."
        )),
    }
    if *over > 0 {
        let lines = counted(*over, "line");
        say(&format!(
            "{lines} of requests that are over {would}left out."
        ));
    }
    for (column, count) in &report.dropped {
        let values = counted(*count, "value");
        say(&format!("Dropped at the door: {values}, {column}."));
    }
    if let Some(keys) = &report.keys {
        say(&format!(
            "The management keys are in {}, which you alone can read, and nowhere else: no second import writes them again. Hand each to its organisation, then remove the file.",
            keys.display()
        ));
    }
    if dry_run {
        say("Nothing was changed (--dry-run).");
    }
}
