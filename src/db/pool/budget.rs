//! Limits the time that all statements of one page take together.
//!
//! Only time in the database counts: a slow upload of a form, hashing a password and a DNS lookup
//! have limits of their own. Statements after the head of the response was sent (a live stream, an
//! export) only have the limit of each statement.

use std::{cell::Cell, time::Duration};

tokio::task_local! {
    static LEFT: Cell<Duration>;
}

/// Runs `work`, whose statements may take `all` together. After that each fails at once, as if the
/// database were unreachable.
pub async fn sharing<F: Future>(all: Duration, work: F) -> F::Output {
    LEFT.scope(Cell::new(all), work).await
}

/// What is left of the budget; `None` outside a page.
pub(in crate::db) fn left() -> Option<Duration> {
    LEFT.try_with(Cell::get).ok()
}

/// Takes `spent` off the budget.
pub(in crate::db) fn spend(spent: Duration) {
    // Outside a page there is no budget.
    let _ = LEFT.try_with(|left| left.set(left.get().saturating_sub(spent)));
}
