//! Remembers who did not answer recently, and is not queried again for a while.
//!
//! All checks share it, so that the time for a server that does not answer is spent once and not
//! once for each request. Memory is bounded: when it is full, the entry used least is forgotten.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use moka::future::Cache;

/// The span in which unanswered queries are counted, and how long there are no queries after too
/// many.
const MEMORY: Duration = Duration::from_mins(1);
/// The most entries that are remembered.
const MOST_REMEMBERED: u64 = 50_000;

/// Counts unanswered queries in a row.
pub(super) struct Silence<K> {
    /// How many within a minute, without an answer in between, are too many.
    too_many: u32,
    counts: Cache<K, Arc<AtomicU32>>,
    silent: Cache<K, ()>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Silence<K> {
    pub(super) fn new(too_many: u32) -> Self {
        Self::remembering(MOST_REMEMBERED, too_many)
    }

    fn remembering(most: u64, too_many: u32) -> Self {
        Self {
            too_many,
            counts: Cache::builder()
                .max_capacity(most)
                .time_to_live(MEMORY)
                .build(),
            silent: Cache::builder()
                .max_capacity(most)
                .time_to_live(MEMORY)
                .build(),
        }
    }

    /// Whether there were too many, less than a minute ago.
    pub(super) fn is_silent(&self, key: &K) -> bool {
        self.silent.contains_key(key)
    }

    /// Records that there was no answer in time.
    pub(super) async fn silent(&self, key: &K) {
        let count = self
            .counts
            .get_with(key.clone(), async { Arc::default() })
            .await;
        if count.fetch_add(1, Relaxed) + 1 >= self.too_many {
            self.silent.insert(key.clone(), ()).await;
        }
    }

    /// Records that there was an answer.
    pub(super) async fn answered(&self, key: &K) {
        if self.counts.contains_key(key) {
            self.counts.invalidate(key).await;
        }
        if self.silent.contains_key(key) {
            self.silent.invalidate(key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silences_in_a_row_count_and_an_answer_ends_the_row() {
        let silence = Silence::new(3);
        for _ in 0..2 {
            silence.silent(&"a").await;
        }
        silence.answered(&"a").await;
        for _ in 0..2 {
            silence.silent(&"a").await;
        }
        assert!(!silence.is_silent(&"a"));
        silence.silent(&"a").await;
        assert!(silence.is_silent(&"a") && !silence.is_silent(&"b"));
        silence.answered(&"a").await;
        assert!(!silence.is_silent(&"a"));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let silence = Silence::remembering(50, 1);
        for n in 0..1_000_u32 {
            silence.silent(&n).await;
        }
        silence.silent.run_pending_tasks().await;
        silence.counts.run_pending_tasks().await;
        assert!(silence.silent.entry_count() <= 50);
        assert!(silence.counts.entry_count() <= 50);
    }
}
