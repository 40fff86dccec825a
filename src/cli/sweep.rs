//! The command `sweep`: runs one sweep and prints what it did.

use tokio_util::sync::CancellationToken;

use super::{Failure, reach, say};
use crate::{
    config::Config,
    retention::{Cause, Outcome, Run, sweep::Sweeper, wording},
};

/// Sweeps once, whether a portal is running or not, and prints what was done. Waits while another
/// instance sweeps.
///
/// # Errors
///
/// [`Failure`]; [`Failure::Sweep`] when something remains or could not be done.
pub(super) async fn run(config: Config) -> Result<(), Failure> {
    let reached = reach::database(&config).await?;
    let sweeper = Sweeper::new(
        reached.db.pool.clone(),
        config.sweep,
        CancellationToken::new(),
    );
    let swept = sweeper.sweep(Cause::Hand).await;
    reached.close().await?;
    match swept {
        Ok(Some(run)) => tell(&run),
        Ok(None) => Ok(()),
        Err(halt) => Err(Failure::Sweep(format!(
            "the sweep could not be done: {halt}. Run it again"
        ))),
    }
}

fn tell(run: &Run) -> Result<(), Failure> {
    say(&format!("removed: {}", wording::removed(run)));
    say(&format!(
        "checked: {} columns whose constraints allow no address, {} rows of {} others",
        run.looked.proven, run.looked.rows, run.looked.columns
    ));
    for suspect in &run.looked.suspects {
        say(&format!("looks like contact information: {suspect}"));
    }
    match run.outcome {
        Some(Outcome::Clean) => {
            say("nothing remains");
            Ok(())
        }
        _ => Err(Failure::Sweep(format!(
            "the sweep is not clean: {}",
            wording::outcome(run)
        ))),
    }
}
