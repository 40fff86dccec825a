//! How is the portal put under load, and how long did whom it answered wait?
//!
//! Closed loop: each connection asks again as soon as it is answered, which shows the most that the
//! portal can do. Open loop: requests are due at fixed times, whatever became of those before, and
//! are timed from when they were due, so that a pause of the portal counts for all who would have
//! come meanwhile.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use tokio::{
    task::{JoinSet, LocalSet},
    time::{Instant, sleep_until},
};

use super::{
    figures::{Times, figure},
    http::{Answer, Connection},
};

/// One that asks, a clone for each connection.
pub(crate) trait Asks: Clone + 'static {
    /// Writes the next request.
    fn write(&mut self, into: &mut Vec<u8>);

    /// What the answer is worth.
    ///
    /// # Panics
    ///
    /// When it is wrong: then no figure is.
    fn judge(&mut self, answer: &Answer<'_>) -> Verdict;
}

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was asked for was done.
    Done,
    /// Refused, as is right where there is too much.
    Refused,
}

/// What became of what was asked.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many were done within the time that was measured.
    done: usize,
    /// How many were refused within it.
    refused: usize,
    /// How long those took that were due within it and were done.
    pub(crate) times: Times,
    /// How long those took that were sent within it and were refused.
    pub(crate) refusals: Times,
    /// How long was measured, in seconds.
    seconds: f64,
    /// How many were done at all, before and after the time that was measured too.
    pub(crate) all_done: usize,
    /// The same of those that were refused.
    pub(crate) all_refused: usize,
}

impl Outcome {
    /// Done a second.
    pub(crate) fn rate(&self) -> f64 {
        figure(self.done) / self.seconds
    }

    /// Asked and answered a second.
    pub(crate) fn asked(&self) -> f64 {
        figure(self.done + self.refused) / self.seconds
    }
}

/// How long, and after how long a start that is not measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// When requests are due.
#[derive(Clone, Copy, Debug)]
enum Pace {
    AtOnce,
    /// So many a second.
    Fixed(f64),
}

/// Asks on `connections` connections, each as fast as it is answered.
pub(crate) async fn closed(
    address: SocketAddr,
    connections: usize,
    span: Span,
    asks: &impl Asks,
) -> Outcome {
    run(address, connections, Pace::AtOnce, span, asks).await
}

/// Asks `rate` times a second, on at most `connections` connections at once.
pub(crate) async fn open(
    address: SocketAddr,
    connections: usize,
    rate: f64,
    span: Span,
    asks: &impl Asks,
) -> Outcome {
    run(address, connections, Pace::Fixed(rate), span, asks).await
}

/// What the connections of one run share; all of them are on one thread.
struct Run {
    address: SocketAddr,
    pace: Pace,
    began: Instant,
    measured: (Instant, Instant),
    /// Requests that were taken on so far.
    taken: Cell<usize>,
    outcome: RefCell<Outcome>,
}

async fn run(
    address: SocketAddr,
    connections: usize,
    pace: Pace,
    span: Span,
    asks: &impl Asks,
) -> Outcome {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::to(address).await.expect("a connection"));
    }
    let began = Instant::now();
    let first = began + span.warm_up;
    let run = Rc::new(Run {
        address,
        pace,
        began,
        measured: (first, first + span.measured),
        taken: Cell::new(0),
        outcome: RefCell::default(),
    });
    let tasks = LocalSet::new();
    let mut clients = JoinSet::new();
    for connection in opened {
        let (run, asks) = (Rc::clone(&run), asks.clone());
        clients.spawn_local_on(async move { run.client(connection, asks).await }, &tasks);
    }
    tasks
        .run_until(async {
            while let Some(ended) = clients.join_next().await {
                ended.expect("an answer that is right");
            }
        })
        .await;
    let mut outcome = run.outcome.take();
    outcome.seconds = span.measured.as_secs_f64();
    outcome
}

impl Run {
    /// When the next request is due; `None`: after the end.
    fn next(&self) -> Option<Instant> {
        let due = match self.pace {
            Pace::AtOnce => Instant::now(),
            Pace::Fixed(rate) => {
                let place = self.taken.get();
                self.taken.set(place + 1);
                self.began + Duration::from_secs_f64(figure(place) / rate)
            }
        };
        // What was due and nobody was free for is late, not undone; but there is an end.
        (due.max(Instant::now()) < self.measured.1).then_some(due)
    }

    async fn client(&self, mut connection: Connection, mut asks: impl Asks) {
        let mut request = Vec::new();
        while let Some(due) = self.next() {
            if matches!(self.pace, Pace::Fixed(_)) {
                sleep_until(due).await;
            }
            request.clear();
            asks.write(&mut request);
            let sent = Instant::now();
            let answer = connection.ask(&request).await.expect("an answer");
            let verdict = asks.judge(&answer);
            let is_last = answer.is_last();
            self.note(verdict, due, sent);
            if is_last {
                connection = Connection::to(self.address).await.expect("a connection");
            }
        }
    }

    fn note(&self, verdict: Verdict, due: Instant, sent: Instant) {
        let now = Instant::now();
        let within = |moment| self.measured.0 <= moment && moment < self.measured.1;
        let mut outcome = self.outcome.borrow_mut();
        match verdict {
            Verdict::Done => {
                outcome.all_done += 1;
                outcome.done += usize::from(within(now));
                if within(due) {
                    outcome.times.push(now - due);
                }
            }
            Verdict::Refused => {
                outcome.all_refused += 1;
                outcome.refused += usize::from(within(now));
                if within(sent) {
                    outcome.refusals.push(now - sent);
                }
            }
        }
    }
}
