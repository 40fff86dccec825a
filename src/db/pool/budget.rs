//! How long may all statements of one page take together?
//!
//! Only time in the database counts: a slow sender of a form, a password that is hashed and a
//! look-up in the DNS have limits of their own. What goes on after the head of the answer (a live
//! stream, an export) has the limit of each statement alone.

use std::{cell::Cell, time::Duration};

tokio::task_local! {
    static LEFT: Cell<Duration>;
}

/// Does `work`, all of whose statements together may take as long as `all`; then each fails at once,
/// as it does when the database is away.
pub async fn sharing<F: Future>(all: Duration, work: F) -> F::Output {
    LEFT.scope(Cell::new(all), work).await
}

/// What is left of it; none: nobody counts.
pub(in crate::db) fn left() -> Option<Duration> {
    LEFT.try_with(Cell::get).ok()
}

/// That much less is left.
pub(in crate::db) fn spend(spent: Duration) {
    // Outside of any page nobody counts.
    let _ = LEFT.try_with(|left| left.set(left.get().saturating_sub(spent)));
}
