//! Counts warnings that repeat, instead of writing each: while a database is away, every request
//! would write the same line.
//!
//! Of warnings and errors that have the same text and the same `error`, the first is written at once.
//! Those that follow are counted, and the count is written every [`EVERY`], until none follows any
//! more. Lines without a field `error` are all written: what is in their other fields may differ.

use std::{
    collections::HashMap,
    fmt::{Debug, Write as _},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::{
    Event, Level, Metadata,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Filter};

/// How often the count is written.
const EVERY: Duration = Duration::from_secs(10);

/// What was written, and how often it was not. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats(Arc<Mutex<HashMap<Text, u64>>>);

/// The text of a line and its `error`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Text {
    message: String,
    error: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = match field.name() {
            "message" => &mut self.message,
            "error" => &mut self.error,
            _ => return,
        };
        let _ = write!(text, "{value:?}");
    }
}

impl Repeats {
    fn held(&self) -> MutexGuard<'_, HashMap<Text, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the counts from now on, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub(super) fn keep_telling(&self) -> io::Result<()> {
        let repeats = self.clone();
        let thread = thread::Builder::new().name("repeated-lines".into());
        thread.spawn(move || {
            loop {
                thread::sleep(EVERY);
                repeats.tell();
            }
        })?;
        Ok(())
    }

    /// Writes the counts. What has not been repeated is written at once the next time.
    fn tell(&self) {
        let mut told = Vec::new();
        self.held().retain(|text, more| {
            if *more > 0 {
                told.push((text.clone(), *more));
            }
            std::mem::take(more) > 0
        });
        for (Text { message, error }, more) in told {
            tracing::warn!("{message} ({error}): and {more} times more");
        }
    }
}

impl<S> Filter<S> for Repeats {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let mut text = Text::default();
        event.record(&mut text);
        if text.error.is_empty() {
            return true;
        }
        let mut held = self.held();
        if let Some(more) = held.get_mut(&text) {
            *more += 1;
            return false;
        }
        held.insert(text, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _, registry};

    use super::*;

    /// Takes what is written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn lines(&self) -> usize {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().count()
        }
    }

    #[test]
    fn what_repeats_is_written_once_and_then_counted() {
        let (paper, repeats) = (Paper::default(), Repeats::default());
        let writer = paper.clone();
        let lines = fmt::layer().with_writer(move || writer.clone());
        let log = registry().with(lines.with_filter(repeats.clone()));
        tracing::subscriber::with_default(log, || {
            for submits in 1..=5 {
                tracing::warn!(error = %"away", submits, "not stored");
            }
            assert_eq!(paper.lines(), 1, "the first");
            tracing::warn!(error = %"full", "not stored");
            tracing::error!(request = 1, "no error is in it");
            tracing::error!(request = 1, "no error is in it");
            tracing::info!(error = %"away", "not grave");
            tracing::info!(error = %"away", "not grave");
            assert_eq!(paper.lines(), 6, "each of them");
            repeats.tell();
            assert_eq!(paper.lines(), 7, "the count");
            tracing::warn!(error = %"away", "not stored");
            assert_eq!(paper.lines(), 7, "it goes on");
            repeats.tell();
            assert_eq!(paper.lines(), 8, "the count again");
            repeats.tell();
            tracing::warn!(error = %"away", "not stored");
            assert_eq!(paper.lines(), 9, "it begins anew");
        });
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.contains("not stored (away): and 4 times more"),
            "{text}"
        );
    }
}
