//! Counts the answers, by method, pattern of the route and class of the status.
//!
//! Every route has counters of its own, made from the route table before the first request: nothing
//! that a client sent gets into a label, and none is looked up to be counted.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{Method, StatusCode},
};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use crate::{
    meter::{self, Collectors},
    server::static_errors::InAdvance,
};

/// Upper ends of the classes of duration, in seconds.
const SECONDS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Classes of status, from 200 on.
pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Methods, and what stands for all others.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "OPTIONS", OTHER];
/// Stands for what the route table does not have.
const OTHER: &str = "other";

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Meter {
    answers: IntCounterVec,
    seconds: HistogramVec,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            answers: meter::counters(
                "pic_http_requests_total",
                "Answers by method, pattern of the route and class of the status.",
                ["method", "path", "status"],
                [],
            ),
            seconds: meter::histogram(
                "pic_http_request_duration_seconds",
                "Time to the head of an answer, by pattern of the route; what is streamed after it is left out.",
                &SECONDS,
                |opts| HistogramVec::new(opts, &["path"]),
            ),
        }
    }
}

impl Meter {
    /// Counts the answers of the route at `path`, which has `methods`.
    pub(super) fn of_route(&self, path: &'static str, methods: &[Method]) -> Arc<Line> {
        let line = Line {
            path,
            answers: self.answers.clone(),
            by_method: [const { OnceLock::new() }; METHODS.len()],
            seconds: self.seconds.with_label_values(&[path]),
        };
        for (at, name) in METHODS.into_iter().enumerate() {
            if methods.iter().any(|method| method.as_str() == name) {
                line.by_class(at);
            }
        }
        Arc::new(line)
    }

    /// Counts the answers of what is no route.
    pub(super) fn of_no_route(&self) -> Arc<Line> {
        let line = self.of_route(OTHER, &[]);
        line.by_class(METHODS.len() - 1);
        line
    }

    /// For a scrape.
    #[must_use]
    pub fn collectors(&self) -> Collectors {
        vec![
            Box::new(self.answers.clone()),
            Box::new(self.seconds.clone()),
        ]
    }
}

/// The counters of a route.
#[derive(Debug)]
pub(super) struct Line {
    path: &'static str,
    answers: IntCounterVec,
    /// By place in [`METHODS`] and [`CLASSES`]. Those of a method that the route does not have, such
    /// as a `HEAD` of what has `POST` alone, are made when somebody tries it.
    by_method: [OnceLock<[IntCounter; CLASSES.len()]>; METHODS.len()],
    seconds: Histogram,
}

impl Line {
    fn by_class(&self, method: usize) -> &[IntCounter; CLASSES.len()] {
        self.by_method[method].get_or_init(|| {
            let counter = |class| [METHODS[method], self.path, class];
            CLASSES.map(|class| self.answers.with_label_values(&counter(class)))
        })
    }

    fn answered(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.iter().position(|name| method.as_str() == *name);
        let class = usize::from(status.as_u16() / 100).clamp(2, CLASSES.len() + 1) - 2;
        self.by_class(method.unwrap_or(METHODS.len() - 1))[class].inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// Counts an answer when its head is there; what is streamed after it takes no part. What no client
/// has asked for is not counted: an alert on errors would see every start.
#[derive(Debug)]
pub(super) struct Count {
    began: Instant,
    method: Method,
    is_asked: bool,
}

impl Count {
    /// The request has come.
    pub(super) fn begin(request: &Request) -> Self {
        Self {
            began: Instant::now(),
            method: request.method().clone(),
            is_asked: request.extensions().get::<InAdvance>().is_none(),
        }
    }

    /// It is answered.
    pub(super) fn end(self, line: &Line, status: StatusCode) {
        if self.is_asked {
            line.answered(&self.method, status, self.began.elapsed());
        }
    }
}
