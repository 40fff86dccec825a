//! Counters of the answers.
//!
//! By method, pattern of the route and class of the status: all of them from the route table, so
//! that nothing that a client sent gets into a label, and every counter is there before the first
//! request.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
};

use super::routes::Route;
use crate::server::refusal::InAdvance;

/// Upper ends of the classes of duration, in seconds; above the last there is one more.
pub const BUCKETS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Classes of status, from 200 on.
pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Methods, and what stands for all others.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "OPTIONS", OTHER];
/// Stands for what the route table does not have.
const OTHER: &str = "other";

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<OnceLock<Table>>);

#[derive(Debug)]
struct Table {
    places: HashMap<&'static str, usize>,
    /// The last is for what is no route.
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    path: &'static str,
    /// Which of [`METHODS`] are shown also while there was none.
    expected: [bool; METHODS.len()],
    answers: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    durations: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Line {
    fn new(path: &'static str, methods: &[Method]) -> Self {
        Self {
            path,
            expected: METHODS.map(|name| methods.iter().any(|method| method.as_str() == name)),
            answers: [const { [const { AtomicU64::new(0) }; CLASSES.len()] }; METHODS.len()],
            durations: [const { AtomicU64::new(0) }; BUCKETS.len() + 1],
            micros: AtomicU64::new(0),
        }
    }
}

/// How many answers a route gave by one method with one class of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Method, or `other`.
    pub method: &'static str,
    /// Pattern of the route, or `other`.
    pub path: &'static str,
    /// Class of the status, one of [`CLASSES`].
    pub class: &'static str,
    /// How many.
    pub count: u64,
}

/// How long a route took to answer.
#[derive(Clone, Debug)]
pub struct Durations {
    /// Pattern of the route, or `other`.
    pub path: &'static str,
    /// How many answers took as long as the bucket says at most, bucket by bucket; then all.
    pub counts: [u64; BUCKETS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Meter {
    /// From now on answers of the routes of `table` are counted, and those of everything else on
    /// one line.
    pub(super) fn know<S: Clone + Send + Sync + 'static>(&self, table: &[Route<S>]) {
        self.0.get_or_init(|| {
            let lines = table
                .iter()
                .map(|route| Line::new(route.path(), route.methods()));
            let lines: Vec<_> = lines.chain([Line::new(OTHER, &[])]).collect();
            let places = lines.iter().enumerate().map(|(at, line)| (line.path, at));
            Table {
                places: places.collect(),
                lines,
            }
        });
    }

    fn lines(&self) -> &[Line] {
        self.0.get().map_or(&[], |table| &table.lines)
    }

    fn answered(&self, path: &str, method: &Method, status: StatusCode, took: Duration) {
        let place = |table: &Table| table.places.get(path).copied();
        let place = self.0.get().and_then(place);
        let lines = self.lines();
        let Some(line) = lines.get(place.unwrap_or(lines.len().saturating_sub(1))) else {
            return;
        };
        let method = METHODS.iter().position(|name| method.as_str() == *name);
        let method = method.unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(2, CLASSES.len() + 1) - 2;
        line.answers[method][class].fetch_add(1, Relaxed);
        let bucket = BUCKETS.iter().position(|end| took.as_secs_f64() <= *end);
        line.durations[bucket.unwrap_or(BUCKETS.len())].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        line.micros.fetch_add(micros, Relaxed);
    }

    /// All answers so far (counters); those that are not expected only where there were any.
    #[must_use]
    pub fn answers(&self) -> Vec<Answers> {
        let mut answers = Vec::new();
        for line in self.lines() {
            for (at, method) in METHODS.into_iter().enumerate() {
                // A HEAD of what has POST alone, say, or a method that nobody offers.
                let never = line.answers[at]
                    .iter()
                    .all(|count| count.load(Relaxed) == 0);
                if never && !line.expected[at] && (method != OTHER || line.path != OTHER) {
                    continue;
                }
                for (class, count) in CLASSES.into_iter().zip(&line.answers[at]) {
                    answers.push(Answers {
                        method,
                        path: line.path,
                        class,
                        count: count.load(Relaxed),
                    });
                }
            }
        }
        answers
    }

    /// How long all answers so far took (a histogram), by route.
    #[must_use]
    pub fn durations(&self) -> Vec<Durations> {
        let lines = self.lines().iter().map(|line| {
            let mut all = 0;
            let counts = line.durations.each_ref().map(|count| {
                all += count.load(Relaxed);
                all
            });
            Durations {
                path: line.path,
                counts,
                sum: Duration::from_micros(line.micros.load(Relaxed)),
            }
        });
        lines.collect()
    }
}

/// Counts an answer when its head is there; what is streamed after it takes no part. What no client
/// has asked for is not counted: an alert on errors would see every start.
#[derive(Debug)]
pub(super) struct Count {
    began: Instant,
    method: Method,
    path: Option<MatchedPath>,
    is_asked: bool,
}

impl Count {
    /// The request has come.
    pub(super) fn begin(request: &Request) -> Self {
        Self {
            began: Instant::now(),
            method: request.method().clone(),
            path: request.extensions().get().cloned(),
            is_asked: request.extensions().get::<InAdvance>().is_none(),
        }
    }

    /// It is answered.
    pub(super) fn end(self, meter: &Meter, status: StatusCode) {
        if !self.is_asked {
            return;
        }
        let path = self.path.as_ref().map_or(OTHER, MatchedPath::as_str);
        meter.answered(path, &self.method, status, self.began.elapsed());
    }
}
