//! Tracks the activity of a connection, and how long it may stay in its present state.
//!
//! The socket, the service and the bodies of a connection report to its [`Activity`], and
//! [`Activity::deadline`] alone judges it. Only the client's inactivity counts: however long a handler
//! or a live stream takes, the connection stays.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::limits::Limits;

/// The state of one connection. Times are milliseconds since `base`; 0 stands for never.
#[derive(Debug)]
pub(super) struct Activity {
    base: Instant,
    /// HTTP/2: bytes prove nothing there, since pings are bytes too; only requests and responses
    /// do.
    multiplexed: bool,
    /// Requests that a handler works on.
    serving: AtomicU32,
    /// Responses whose body has not been sent completely.
    answering: AtomicU32,
    /// Requests whose body is being read.
    uploading: AtomicU32,
    /// Those responses that wait for us, such as a live stream between two events.
    waiting_for_us: AtomicU32,
    /// When a request last came in, or part of a response went out.
    moved: AtomicU64,
    /// When the head of a request began that is not complete yet.
    head: AtomicU64,
    /// Since when the socket accepts no data.
    blocked: AtomicU64,
    /// Since when we are closing the connection.
    closing: AtomicU64,
    /// Whether the client has closed its side.
    gone: AtomicBool,
    /// How far a test has moved the time, in milliseconds.
    #[cfg(test)]
    ahead: AtomicU64,
}

/// How long we wait for the client after our last byte: closing a socket with unread input would
/// discard what was written last.
pub(super) const LINGER_MILLIS: u64 = 1_000;

/// Until when a connection may stay in its present state, and which limit it reaches then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    /// When the present state began.
    pub(super) since: Instant,
    /// No request is in progress, so the connection can be closed cleanly.
    pub(super) idle: bool,
}

impl Activity {
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

    /// Records that bytes came in.
    pub(super) fn read(&self) {
        if !self.multiplexed && self.owes_nothing() && self.head.load(Relaxed) == 0 {
            self.head.store(self.now(), Relaxed);
        }
    }

    /// Whether a request has begun that no handler has yet.
    pub(super) fn is_in_head(&self) -> bool {
        self.head.load(Relaxed) != 0
    }

    /// Records that the client has closed its side.
    pub(super) fn end_of_reading(&self) {
        self.gone.store(true, Relaxed);
    }

    /// Whether the client has closed its side.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// Records that the socket accepted bytes.
    pub(super) fn wrote(&self) {
        self.blocked.store(0, Relaxed);
    }

    /// Records that the socket accepts no bytes.
    pub(super) fn blocked(&self) {
        if self.blocked.load(Relaxed) == 0 {
            self.blocked.store(self.now(), Relaxed);
        }
    }

    /// Records that our last byte was written.
    pub(super) fn closing(&self) {
        if self.closing.load(Relaxed) == 0 {
            self.closing.store(self.now(), Relaxed);
        }
    }

    /// Records activity that restarts the idle limit.
    fn moved(&self) {
        self.moved.store(self.now(), Relaxed);
    }

    /// Whether no request is in progress.
    pub(super) fn owes_nothing(&self) -> bool {
        self.serving.load(Relaxed) == 0 && self.answering.load(Relaxed) == 0
    }

    /// Until when the connection may stay in its present state; `None` while the client waits for
    /// us.
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
            // Over HTTP/1 the socket shows whether the client reads.
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

/// One request that a handler works on; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Serving(pub(super) Arc<Activity>);

impl Serving {
    pub(super) fn begin(pulse: &Arc<Activity>) -> Self {
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
    pulse: Arc<Activity>,
    /// Bodies of the connection that were being read when this one began, including itself.
    pub(super) count: u32,
}

impl Uploading {
    pub(super) fn begin(pulse: &Arc<Activity>) -> Self {
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

/// One response that is being sent; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Answering {
    pulse: Arc<Activity>,
    waits: bool,
}

impl Answering {
    pub(super) fn begin(pulse: &Arc<Activity>) -> Self {
        pulse.answering.fetch_add(1, Relaxed);
        Self {
            pulse: Arc::clone(pulse),
            waits: false,
        }
    }

    /// Records that the client could take more, and we have nothing yet.
    pub(super) fn waits_for_us(&mut self) {
        if !std::mem::replace(&mut self.waits, true) {
            self.pulse.waiting_for_us.fetch_add(1, Relaxed);
        }
    }

    /// Records that the client took a part.
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

    /// Real milliseconds that a test may take without changing its outcome.
    const SLACK: u64 = 900;

    /// Whole seconds that are left, and whether no request is in progress.
    fn left(pulse: &Activity) -> Option<(u64, bool)> {
        let deadline = pulse.deadline(&Limits::default())?;
        let at = deadline.at.duration_since(pulse.base).as_millis();
        let at = u64::try_from(at).unwrap();
        Some((
            (at + SLACK).saturating_sub(pulse.now()) / 1_000,
            deadline.idle,
        ))
    }

    fn seconds(pulse: &Activity, seconds: u64) {
        pulse.ahead.fetch_add(seconds * 1_000, Relaxed);
    }

    #[test]
    fn only_the_silence_of_the_client_counts() {
        let pulse = Activity::new(false);
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
        let pulse = Activity::new(true);
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
