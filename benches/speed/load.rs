//! Puts the portal under load, and measures how long responses took.
//!
//! Closed loop: each connection sends its next request as soon as it has the response, which shows
//! the maximum rate. Open loop: requests are due at fixed times, whatever became of those before,
//! and are timed from when they were due, so that a pause of the portal counts for all requests
//! that were due meanwhile.

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

/// A client, cloned for each connection.
pub(crate) trait Asks: Clone + 'static {
    /// Writes the next request.
    fn write(&mut self, into: &mut Vec<u8>);

    /// Judges the response.
    ///
    /// # Panics
    ///
    /// When it is wrong: then the figures would be wrong too.
    fn judge(&mut self, answer: &Answer<'_>) -> Verdict;
}

/// The judgement of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request was carried out.
    Done,
    /// The request was refused, as it should be under overload.
    Refused,
}

/// The results of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many requests were done within the measured time.
    done: usize,
    /// How many were refused within it.
    refused: usize,
    /// How long those took that were due within it and were done.
    pub(crate) times: Times,
    /// How long those took that were sent within it and were refused.
    pub(crate) refusals: Times,
    /// The measured time, in seconds.
    seconds: f64,
    /// How many were done in total, also before and after the measured time.
    pub(crate) all_done: usize,
    /// The same for those that were refused.
    pub(crate) all_refused: usize,
}

impl Outcome {
    /// Requests done in a second.
    pub(crate) fn rate(&self) -> f64 {
        figure(self.done) / self.seconds
    }

    /// Requests answered in a second.
    pub(crate) fn asked(&self) -> f64 {
        figure(self.done + self.refused) / self.seconds
    }
}

/// The measured time, and the warm-up before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// The times at which requests are due.
#[derive(Clone, Copy, Debug)]
enum Pace {
    AtOnce,
    /// A fixed rate a second.
    Fixed(f64),
}

/// Sends requests on `connections` connections, each as fast as it gets responses.
pub(crate) async fn closed(
    address: SocketAddr,
    connections: usize,
    span: Span,
    asks: &impl Asks,
) -> Outcome {
    run(address, connections, Pace::AtOnce, span, asks).await
}

/// Sends `rate` requests a second, on at most `connections` connections at once.
pub(crate) async fn open(
    address: SocketAddr,
    connections: usize,
    rate: f64,
    span: Span,
    asks: &impl Asks,
) -> Outcome {
    run(address, connections, Pace::Fixed(rate), span, asks).await
}

/// The state that the connections of one run share; all of them are on one thread.
struct Run {
    address: SocketAddr,
    pace: Pace,
    began: Instant,
    measured: (Instant, Instant),
    /// Requests that were started so far.
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
    /// When the next request is due; `None` after the end.
    fn next(&self) -> Option<Instant> {
        let due = match self.pace {
            Pace::AtOnce => Instant::now(),
            Pace::Fixed(rate) => {
                let place = self.taken.get();
                self.taken.set(place + 1);
                self.began + Duration::from_secs_f64(figure(place) / rate)
            }
        };
        // A request that found no free connection is sent late, not skipped, unless the time is
        // over.
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
