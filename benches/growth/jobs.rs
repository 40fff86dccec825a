//! The jobs that are measured on a database of each size.

use std::time::{Duration, Instant};

use pic_portal::{
    provisioning::store::settle_due,
    request::{loader::store::look_up, reference::Reference, store::submit},
    staff::{
        StaffId,
        queue::{Filter, Query, store as desk},
    },
};

use super::{Sized, WAITS, submission::submission};

const PROMISE: Duration = Duration::from_hours(48);

/// A job to measure.
#[derive(Clone, Copy)]
pub(crate) enum Job {
    /// One submission for each call.
    Submit,
    /// Sixty-four submissions for each call.
    Slice,
    /// Requests anywhere: of many millions, most are on the disk.
    LookUp,
    /// Requests among the latest, which are those that people open.
    LookUpNew,
    Search,
    /// Requests claimed and settled, five hundred at once.
    Settle,
    /// Requests that are no longer kept, with all their rows.
    Sweep,
}

/// The order matters: what is settled was submitted before.
pub(crate) const JOBS: [Job; 7] = [
    Job::Submit,
    Job::LookUp,
    Job::LookUpNew,
    Job::Search,
    Job::Slice,
    Job::Settle,
    Job::Sweep,
];

impl Job {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submits, one at a time",
            Self::Slice => "submits, 64 at a time",
            Self::LookUp => "look-ups, anywhere",
            Self::LookUpNew => "look-ups, the newest 10,000",
            Self::Search => "searches by domain",
            Self::Settle => "claimed and settled, 500",
            Self::Sweep => "requests swept",
        }
    }

    /// How many of them are done in a second.
    pub(crate) async fn rate(self, sized: &Sized, round: usize) -> f64 {
        let began = Instant::now();
        let done = match self {
            Self::Submit => submits(sized, 200, 1).await,
            Self::Slice => submits(sized, 24, 64).await,
            Self::LookUp => return look_ups(sized, sized.requests, round).await,
            Self::LookUpNew => return look_ups(sized, 10_000.min(sized.requests), round).await,
            Self::Search => searches(sized, 200, round).await,
            Self::Settle => return settle(sized, 6).await,
            Self::Sweep => sweep(sized).await,
        };
        rate(done, began)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn rate(done: usize, began: Instant) -> f64 {
    done as f64 / began.elapsed().as_secs_f64()
}

async fn submits(sized: &Sized, calls: usize, slice: usize) -> usize {
    for _ in 0..calls {
        let members: Vec<_> = (0..slice).map(|_| submission(&sized.db)).collect();
        submit(&sized.db.pool, &members).await.expect("stored");
    }
    calls * slice
}

/// Ids of requests spread over the latest `last`, others in each round.
fn somewhere(sized: &Sized, last: i64, round: usize, count: usize) -> impl Iterator<Item = i64> {
    let (requests, from) = (sized.requests, round * count);
    (from..from + count).map(move |place| {
        let place = i64::try_from(place).expect("a small number");
        requests - place * 7_919_i64.pow(2) % last
    })
}

/// Only the lookups are timed; the references are known before, as clients know them.
async fn look_ups(sized: &Sized, last: i64, round: usize) -> f64 {
    let numbers: Vec<_> = somewhere(sized, last, round, 400).collect();
    let references: Vec<String> =
        sqlx::query_scalar("SELECT reference FROM request WHERE id = ANY ($1)")
            .bind(&numbers)
            .fetch_all(&sized.db.pool)
            .await
            .expect("references");
    let began = Instant::now();
    for symbols in &references {
        let reference = Reference::parse(symbols).expect("a reference");
        look_up(&sized.db.pool, reference).await.expect("an answer");
    }
    rate(references.len(), began)
}

async fn searches(sized: &Sized, count: usize, round: usize) -> usize {
    for n in somewhere(sized, sized.requests, round, count) {
        let fields = format!("q=d{n}.city{}.land.example", n % 1000);
        let query: Query = serde_html_form::from_str(&fields).expect("a query");
        let filter = Filter::of(&query, StaffId(1)).expect("a filter");
        desk::page(&sized.db.pool, &filter, PROMISE)
            .await
            .expect("a page");
    }
    count
}

/// Batches of as many as one claim takes, prepared before the clock starts.
async fn settle(sized: &Sized, batches: usize) -> f64 {
    submits(sized, batches * 500 / 60, 60).await;
    let (mut since, mut done) = (None, 0);
    let began = Instant::now();
    for _ in 0..batches {
        let look = settle_due(&sized.db.pool, 500, since, &WAITS)
            .await
            .expect("settled");
        since = look.next_since;
        done += look.settled.provisioned;
    }
    assert!(done > 0, "something was due");
    rate(done, began)
}

/// Requests of fifty services; of ten thousand enough are old enough for all rounds.
async fn sweep(sized: &Sized) -> usize {
    let requests: i64 = sqlx::query_scalar(
        "SELECT requests FROM pic_forget_requests('90 days', '1 hour', '1 day', 50)",
    )
    .fetch_one(&sized.db.pool)
    .await
    .expect("swept");
    assert!(
        requests > 0,
        "{} requests are too few to sweep",
        sized.requests
    );
    usize::try_from(requests).expect("a count")
}
