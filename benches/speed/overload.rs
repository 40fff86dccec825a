//! P9: measures what is still done when ten times the maximum is requested.

use super::{
    Bench,
    figures::{Goal, Line, Rounds, Times, short},
    load,
    submits::{Submits, Submitting},
};

/// The load as a multiple of the portal's own maximum.
const TIMES: f64 = 10.0;

pub(crate) async fn measure(bench: &Bench) -> Vec<Line> {
    let mut portal = Submitting::start(bench, "p9").await;
    let address = portal.portal.address;
    let submits = Submits::default();
    let (mut most, mut goodput, mut asked) =
        (Rounds::default(), Rounds::default(), Rounds::default());
    let (mut refusals, mut late) = (Times::default(), Rounds::default());
    for _ in 0..bench.rounds() {
        let full = load::closed(address, bench.of(512, 32), bench.span(1.0, 3.0), &submits).await;
        portal.settled().await;
        portal.account_for(&full).await;
        let rate = (TIMES * full.rate()).max(1.0);
        let span = bench.span(2.0, 6.0);
        let over = load::open(address, bench.of(4096, 256), rate, span, &submits).await;
        portal.settled().await;
        portal.account_for(&over).await;
        most.push(full.rate());
        goodput.push(over.rate());
        asked.push(over.asked() / full.rate());
        late.push(over.refusals.at(990));
        refusals.extend(over.refusals);
    }
    portal.stop().await;
    let asked = format!(
        "{} times the most were asked and answered",
        short(asked.median())
    );
    let mut done = Line::ratio(
        "P9 goodput",
        Goal::AtLeast(0.9),
        &goodput,
        ("its own most", &most),
    );
    done.beside = format!("{}; {asked}", done.beside);
    let refused = Line {
        measure: "P9 refusals with Retry-After, p99".into(),
        goal: Goal::AtMost(100.0),
        figure: refusals.at(990),
        unit: " ms",
        beside: match refusals.count() {
            0 => "nobody was refused".into(),
            count => format!("{count} refusals: {refusals}"),
        },
        yardstick: "from when they were sent".into(),
        spread: late.spread(),
    };
    vec![done, refused]
}
