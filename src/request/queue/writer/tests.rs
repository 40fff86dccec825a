use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Builder;

use super::{
    super::{Limits, line::tests::submission},
    *,
};
use crate::db::{PgPool, notify::Notifier};

/// A queue on a database that is not there.
fn queue() -> Queue {
    let options = PgConnectOptions::new_without_pgpass().socket("/nowhere");
    Queue::new(
        PgPool::new(options, 2),
        Notifier::default(),
        Limits::default(),
        None,
    )
}

/// On a runtime without timers every timeout panics, and a writer uses one.
#[test]
fn a_panic_strands_nobody_and_keeps_no_permit() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let queue = runtime.block_on(async {
        let queue = queue();
        let answers: Vec<_> = (0..5).map(|_| queue.join(submission(1)).unwrap()).collect();
        for answer in answers {
            answer.await.expect_err("its writer panicked");
        }
        while queue.line().writers() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(queue.waiting(), 0);
        queue
    });
    // The next submission starts a writer, which finds no database.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let told = runtime.block_on(queue.submit(submission(1)));
    assert!(matches!(told, Err(NotStored::Away)), "{told:?}");
}

#[test]
fn a_batch_is_looked_through_by_halves() {
    assert_eq!(halves(0..2), (0..1, 1..2));
    assert_eq!(halves(5..8), (5..6, 6..8));
}
