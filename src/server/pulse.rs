//! Is there life in a connection, and until when may it go on like this?
//!
//! [`Pulse`] is what socket, service and bodies of one connection tell, and [`Pulse::deadline`]
//! is the one place that judges it. Only the client's silence counts: however long a handler or
//! a live stream of ours takes, the connection stays.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::limits::Limits;

/// The state of one connection. Times are milliseconds since `base`, 0 is never.
#[derive(Debug)]
pub(super) struct Pulse {
    base: Instant,
    /// HTTP/2: bytes say nothing there, since pings are bytes too; only requests and answers do.
    multiplexed: bool,
    /// Requests with a handler.
    serving: AtomicU32,
    /// Answers whose body has not been handed over to its end.
    answering: AtomicU32,
    /// Requests whose body is being read.
    uploading: AtomicU32,
    /// Those of them that wait for us, such as a live stream between two events.
    waiting_for_us: AtomicU32,
    /// Last time that a request came in, or part of an answer went out.
    moved: AtomicU64,
    /// When the head of a request began that has not ended.
    head: AtomicU64,
    /// Since when the socket takes nothing.
    blocked: AtomicU64,
    /// Since when we have said our last word.
    closing: AtomicU64,
    /// Whether the client has closed its side.
    gone: AtomicBool,
    /// How far a test has moved the time.
    #[cfg(test)]
    ahead: AtomicU64,
}

/// After our last word, how long we listen for the client to take it: closing a socket that has
/// something unread would destroy what was written last.
pub(super) const LINGER_MILLIS: u64 = 1_000;

/// Until when a connection may stay as it is, and what it has run into then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    /// Since when it is as it is.
    pub(super) since: Instant,
    /// Nothing is in progress: the connection can be ended in good order.
    pub(super) idle: bool,
}

impl Pulse {
    pub(super) fn new(multiplexed: bool) -> Arc<Self> {
        let pulse = Self {
            base: Instant::now(),
            multiplexed,
            serving: AtomicU32::default(),
            answering: AtomicU32::default(),
            uploading: AtomicU32::default(),
            waiting_for_us: AtomicU32::default(),
            moved: AtomicU64::new(1),
            head: AtomicU64::default(),
            blocked: AtomicU64::default(),
            closing: AtomicU64::default(),
            gone: AtomicBool::default(),
            #[cfg(test)]
            ahead: AtomicU64::default(),
        };
        Arc::new(pulse)
    }

    fn now(&self) -> u64 {
        let millis = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX);
        #[cfg(test)]
        let millis = millis + self.ahead.load(Relaxed);
        millis.saturating_add(1)
    }

    /// Bytes came in.
    pub(super) fn read(&self) {
        if !self.multiplexed && self.owes_nothing() && self.head.load(Relaxed) == 0 {
            self.head.store(self.now(), Relaxed);
        }
    }

    /// A request has begun that no handler has yet.
    pub(super) fn is_in_head(&self) -> bool {
        self.head.load(Relaxed) != 0
    }

    /// The client has closed its side.
    pub(super) fn end_of_reading(&self) {
        self.gone.store(true, Relaxed);
    }

    /// Whether the client has closed its side.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// The socket took bytes.
    pub(super) fn wrote(&self) {
        self.blocked.store(0, Relaxed);
    }

    /// The socket takes none.
    pub(super) fn blocked(&self) {
        if self.blocked.load(Relaxed) == 0 {
            self.blocked.store(self.now(), Relaxed);
        }
    }

    /// Our last word is said.
    pub(super) fn closing(&self) {
        if self.closing.load(Relaxed) == 0 {
            self.closing.store(self.now(), Relaxed);
        }
    }

    /// Something happened that is worth a new idle limit.
    fn moved(&self) {
        self.moved.store(self.now(), Relaxed);
    }

    /// No request is in progress.
    pub(super) fn owes_nothing(&self) -> bool {
        self.serving.load(Relaxed) == 0 && self.answering.load(Relaxed) == 0
    }

    /// Until when the connection may stay as it is; `None` while it is our turn.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Deadline> {
        let after = |since: u64, limit, idle| {
            let since = self.base + Duration::from_millis(since);
            let at = since + limit;
            Some(Deadline { at, since, idle })
        };
        let (closing, blocked, head) = (
            self.closing.load(Relaxed),
            self.blocked.load(Relaxed),
            self.head.load(Relaxed),
        );
        if closing != 0 {
            return after(closing, Duration::from_millis(LINGER_MILLIS), false);
        }
        if blocked != 0 {
            return after(blocked, limits.write, false);
        }
        if self.serving.load(Relaxed) > 0 {
            return None;
        }
        if self.answering.load(Relaxed) > 0 {
            // Over HTTP/1 it is the socket that tells of a client that does not read.
            let stuck = self.multiplexed
                && self.answering.load(Relaxed) > self.waiting_for_us.load(Relaxed);
            return stuck
                .then(|| after(self.moved.load(Relaxed), limits.write, false))
                .flatten();
        }
        if head != 0 {
            return after(head, limits.head, false);
        }
        after(self.moved.load(Relaxed), limits.idle, true)
    }
}

/// One request with a handler; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Serving(pub(super) Arc<Pulse>);

impl Serving {
    pub(super) fn begin(pulse: &Arc<Pulse>) -> Self {
        pulse.serving.fetch_add(1, Relaxed);
        pulse.head.store(0, Relaxed);
        pulse.moved();
        Self(Arc::clone(pulse))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.moved();
        self.0.serving.fetch_sub(1, Relaxed);
    }
}

/// A body that is being read; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Uploading {
    pulse: Arc<Pulse>,
    /// Bodies of the connection that were being read when this one began, itself included.
    pub(super) count: u32,
}

impl Uploading {
    pub(super) fn begin(pulse: &Arc<Pulse>) -> Self {
        Self {
            count: pulse.uploading.fetch_add(1, Relaxed) + 1,
            pulse: Arc::clone(pulse),
        }
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.pulse.uploading.fetch_sub(1, Relaxed);
    }
}

/// One answer on its way; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Answering {
    pulse: Arc<Pulse>,
    waits: bool,
}

impl Answering {
    pub(super) fn begin(pulse: &Arc<Pulse>) -> Self {
        pulse.answering.fetch_add(1, Relaxed);
        Self {
            pulse: Arc::clone(pulse),
            waits: false,
        }
    }

    /// The client would take more, and we have nothing yet.
    pub(super) fn waits_for_us(&mut self) {
        if !std::mem::replace(&mut self.waits, true) {
            self.pulse.waiting_for_us.fetch_add(1, Relaxed);
        }
    }

    /// The client took a part.
    pub(super) fn took(&mut self) {
        self.pulse.moved();
        if std::mem::replace(&mut self.waits, false) {
            self.pulse.waiting_for_us.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.took();
        self.pulse.answering.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Real milliseconds that a test may take without another outcome.
    const SLACK: u64 = 900;

    /// Whole seconds that are left, and whether nothing is in progress.
    fn left(pulse: &Pulse) -> Option<(u64, bool)> {
        let deadline = pulse.deadline(&Limits::default())?;
        let at = deadline.at.duration_since(pulse.base).as_millis();
        let at = u64::try_from(at).unwrap();
        Some((
            (at + SLACK).saturating_sub(pulse.now()) / 1_000,
            deadline.idle,
        ))
    }

    fn seconds(pulse: &Pulse, seconds: u64) {
        pulse.ahead.fetch_add(seconds * 1_000, Relaxed);
    }

    #[test]
    fn only_the_silence_of_the_client_counts() {
        let pulse = Pulse::new(false);
        assert_eq!(left(&pulse), Some((75, true)), "idle");
        seconds(&pulse, 5);
        pulse.read();
        assert_eq!(left(&pulse), Some((10, false)), "a head");
        seconds(&pulse, 4);
        pulse.read();
        assert_eq!(
            left(&pulse),
            Some((6, false)),
            "drips do not move the limit"
        );
        let serving = Serving::begin(&pulse);
        seconds(&pulse, 1_000);
        assert_eq!(left(&pulse), None, "our turn");
        let mut answering = Answering::begin(&pulse);
        drop(serving);
        assert_eq!(left(&pulse), None);
        pulse.blocked();
        seconds(&pulse, 10);
        pulse.blocked();
        assert_eq!(left(&pulse), Some((20, false)), "does not read");
        pulse.wrote();
        answering.waits_for_us();
        assert_eq!(left(&pulse), None, "a live stream");
        drop(answering);
        assert_eq!(left(&pulse), Some((75, true)));
        pulse.closing();
        assert_eq!(left(&pulse), Some((1, false)));
    }

    #[test]
    fn over_http_2_only_requests_and_answers_count() {
        let pulse = Pulse::new(true);
        seconds(&pulse, 30);
        pulse.read();
        pulse.wrote();
        assert_eq!(left(&pulse), Some((45, true)), "pings are nothing");
        let mut stream = Answering::begin(&pulse);
        stream.waits_for_us();
        seconds(&pulse, 1_000);
        assert_eq!(left(&pulse), None, "a live stream");
        stream.took();
        seconds(&pulse, 10);
        assert_eq!(left(&pulse), Some((20, false)), "a window that stays shut");
    }
}
