//! Makes counters and gauges, and writes them for Prometheus.
//!
//! Each room keeps its own, in a `meter`, and there is no registry of the process: what is counted
//! belongs to one portal, of which tests have several. Numbers alone are kept. Names, labels and their
//! values are constants of this program, never what somebody typed.

use prometheus::{
    Counter, Gauge, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
    core::{Atomic, Collector, GenericGauge, Number},
};

/// Families of numbers for one scrape.
pub type Collectors = Vec<Box<dyn Collector>>;

/// Why none of these can fail.
const SOUND: &str = "names and labels are constants, which tests have seen";

/// A number that only grows while the process lives.
pub(crate) fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect(SOUND)
}

/// Counters told apart by `labels`: one for each of `values`, there from the start.
pub(crate) fn counters<const N: usize>(
    name: &str,
    help: &str,
    labels: [&str; N],
    values: impl IntoIterator<Item = [&'static str; N]>,
) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), &labels).expect(SOUND);
    for values in values {
        counters.with_label_values(&values);
    }
    counters
}

/// What a histogram is made of: classes by their upper `ends`, above which there is one more.
pub(crate) fn histogram<T>(
    name: &str,
    help: &str,
    ends: &[f64],
    make: impl FnOnce(HistogramOpts) -> prometheus::Result<T>,
) -> T {
    make(HistogramOpts::new(name, help).buckets(ends.to_vec())).expect(SOUND)
}

/// A number that goes up and down, kept by whoever sets it.
pub(crate) fn gauge<P: Atomic>(name: &str, help: &str) -> GenericGauge<P> {
    GenericGauge::new(name, help).expect(SOUND)
}

/// A number that goes up and down, as it stands at this scrape.
pub(crate) fn reading(name: &str, help: &str, value: impl Number) -> Box<dyn Collector> {
    reading_of(Opts::new(name, help), value)
}

/// The same with labels, among others of its name.
pub(crate) fn reading_of(opts: Opts, value: impl Number) -> Box<dyn Collector> {
    let gauge = Gauge::with_opts(opts).expect(SOUND);
    gauge.set(value.into_f64());
    Box::new(gauge)
}

/// A number that only grows, as it stands at this scrape.
pub(crate) fn total(name: &str, help: &str, value: f64) -> Box<dyn Collector> {
    let counter = Counter::new(name, help).expect(SOUND);
    counter.inc_by(value);
    Box::new(counter)
}

/// All of them in Prometheus' text format 0.0.4, by name.
///
/// # Panics
///
/// When one is there twice.
#[must_use]
pub fn text(collectors: Collectors) -> String {
    let registry = Registry::new();
    for collector in collectors {
        registry.register(collector).expect(SOUND);
    }
    let text = TextEncoder::new().encode_to_string(&registry.gather());
    text.expect("writing to a String cannot fail")
}
