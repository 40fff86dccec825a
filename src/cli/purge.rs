//! The command `purge`: empties an old portal's tables.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, counted, reach::with_database, say};
use crate::{
    config::Source,
    db::{OpenError, Servers},
    retention::purge::{Elsewhere, Plan, Report, Step, Target, carry_out, survey},
};

/// Delete columns of an old portal's table in this database, or all its rows, with every copy that
/// the server has of them
#[derive(Args, Clone, Debug)]
pub(super) struct Purge {
    /// A table, like `old.contact`, or columns of one, like `old.request(contact_name,contact_email)`;
    /// names that need it in double quotes, a table without a schema is one of public
    #[arg(value_name = "TABLE")]
    target: Target,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// How long to wait for others who hold the table or may still read its old rows
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,
}

impl Purge {
    /// Checks the table, asks for confirmation, purges and reports.
    ///
    /// # Errors
    ///
    /// [`Failure`], which says what to do.
    pub(super) async fn run(self, source: &Source) -> Result<(), Failure> {
        with_database(source, |servers| self.purge(servers)).await
    }

    async fn purge(self, servers: Servers) -> Result<(), Failure> {
        let mut connection = servers
            .named("pic-portal purge")
            .connect()
            .await
            .map_err(|e| OpenError::Connect(e.into()))?;
        let plan = survey(&mut connection, &self.target).await?;
        tell_plan(&plan);
        if self.dry_run {
            say("Nothing was changed (--dry-run).");
            return Ok(());
        }
        if !self.yes && !agreed()? {
            return Err(Failure::Declined);
        }
        let bar = ProgressBar::no_length().with_style(ProgressStyle::default_spinner());
        let report = carry_out(&mut connection, &plan, self.wait, |step| show(&bar, step)).await;
        bar.finish_and_clear();
        tell_report(&plan, &report?);
        Ok(())
    }
}

fn tell_plan(plan: &Plan) {
    let table = &plan.table;
    if plan.columns.is_empty() {
        say(&format!(
            "{table}: {} will be removed, which is all of it (TRUNCATE).",
            counted(plan.rows, "row")
        ));
    } else {
        say(&format!(
            "{table}: {}. These columns will be empty:",
            counted(plan.rows, "row")
        ));
        for (column, filled) in &plan.columns {
            say(&format!(
                "  {column}: {} with a value",
                counted(*filled, "row")
            ));
        }
    }
    let size = indicatif::HumanBytes(plan.bytes.unsigned_abs());
    if plan.columns.is_empty() {
        say(&format!(
            "For a moment nobody else can use the table (ACCESS EXCLUSIVE lock). It takes {size} now."
        ));
    } else {
        say(&format!(
            "The values go in small batches beside everything else. Then the table is written anew \
             (VACUUM FULL): that takes up to {size} more on the disk, and meanwhile nobody else can use the \
             table (ACCESS EXCLUSIVE lock). The portal's own tables are not touched."
        ));
    }
    if !plan.indexes.is_empty() {
        say(&format!(
            "Indexes that are built anew: {}",
            plan.indexes.join(", ")
        ));
    }
    for child in &plan.children {
        say(&format!(
            "NOT touched: {child}, which inherits from it. Purge it as well."
        ));
    }
    for copy in &plan.copies {
        say(&format!(
            "NOT touched: the materialised view {copy}, which holds copies. Refresh or drop it, then purge again."
        ));
    }
}

/// Asks for confirmation on the terminal.
#[expect(clippy::print_stderr, reason = "a question to whoever sits there")]
fn agreed() -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::NobodyToAsk);
    }
    eprint!("This cannot be undone. Type yes to go on: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

fn show(bar: &ProgressBar, step: Step) {
    match step {
        Step::Emptying(done, of) => {
            if bar.length().is_none()
                && let Ok(style) =
                    ProgressStyle::with_template("emptying {wide_bar} {percent} %, {eta} to go")
            {
                bar.set_style(style);
            }
            bar.set_length(of.unsigned_abs());
            bar.set_position(done.unsigned_abs());
            return;
        }
        Step::WaitingForOthers => bar.set_message("waiting for older transactions to end"),
        Step::Rewriting => bar.set_message("writing the table anew"),
        Step::Statistics => bar.set_message("throwing away what the planner knows"),
        Step::Log => bar.set_message("asking for a new segment of the log and a checkpoint"),
    }
    bar.set_style(ProgressStyle::default_spinner());
    bar.tick();
}

fn tell_report(plan: &Plan, report: &Report) {
    let (table, rows) = (&plan.table, counted(report.rows, "row"));
    if plan.columns.is_empty() {
        say(&format!(
            "{table}: {rows} removed, {} remain.",
            report.remaining
        ));
    } else {
        say(&format!(
            "{table}: {rows} emptied, {} with a value remain. Table, TOAST and indexes were written anew.",
            report.remaining
        ));
    }
    if report.statistics {
        say("What the planner knew of the values is gone too.");
    } else {
        say(
            "STILL THERE: samples of the values in pg_statistic. As a superuser: DELETE FROM pg_statistic \
             WHERE starelid = the table or one of its indexes, then VACUUM FULL pg_statistic.",
        );
    }
    tell_elsewhere(&report.elsewhere);
}

/// Prints where else the data may be. The note about backups is always printed, last: no server
/// knows of its backups.
fn tell_elsewhere(places: &[Elsewhere]) {
    for place in places {
        say(&match place {
            Elsewhere::NotSwitched => "NOT DONE: a new segment of the write-ahead log. As a superuser: SELECT \
                 pg_switch_wal(), then CHECKPOINT."
                .to_owned(),
            Elsewhere::NotCheckpointed => "NOT DONE: a checkpoint, without which old files and segments of the log \
                 stay. As a superuser: CHECKPOINT."
                .to_owned(),
            Elsewhere::Recycled => "STILL THERE: old segments of the write-ahead log in pg_wal. With wal_recycle = on \
                 the server keeps them under new names until they are written over. Before you purge, set \
                 wal_recycle = off and reload: then the checkpoint removes them. Now: the same, and write as much as \
                 max_wal_size until they are used up."
                .to_owned(),
            Elsewhere::Kept => "STILL THERE: old segments of the log that wal_keep_size holds back. Set it to 0 for a \
                 while, and make a checkpoint."
                .to_owned(),
            Elsewhere::Archived => "Archived segments of the log (archive_mode is on): remove what is older than now \
                 from the archive."
                .to_owned(),
            Elsewhere::Replicas(count) => format!(
                "Replicas: {count} connected or expected. They follow, and keep segments of the log of their own."
            ),
            Elsewhere::Published(publication) => {
                format!("Subscribers of the publication {publication}: purge the table there.")
            }
        });
    }
    say(
        "What this command cannot reach: archived write-ahead log, base backups, dumps and snapshots from before now \
         (remove them, or keep them no longer than you must), and blocks of the disk that the old files took, until \
         something else is written there (encrypted disks, or fstrim on an SSD, answer that).",
    );
}
