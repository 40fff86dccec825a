//! Medians, ratios and the lines of the table of results.

use std::{fmt, time::Duration};

/// The median of `of`.
pub(crate) fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    let middle = sorted.len() / 2;
    *sorted.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// A count as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn figure(count: usize) -> f64 {
    count as f64
}

/// Indexes `0..places` in the order of a round: forwards and backwards in turn, so that slow
/// changes of the machine affect all alike.
pub(crate) fn in_turn(round: usize, places: usize) -> impl Iterator<Item = usize> {
    (0..places).map(move |place| {
        if round.is_multiple_of(2) {
            place
        } else {
            places - 1 - place
        }
    })
}

/// The same figure of several rounds, some of them next to a yardstick's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.0)
    }

    /// The figures divided by those of the `yardstick`, round by round.
    pub(crate) fn over(&self, yardstick: &Self) -> Self {
        let pairs = self.0.iter().zip(&yardstick.0);
        Self(pairs.map(|(ours, theirs)| ours / theirs).collect())
    }

    fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The range from the least to the greatest.
    pub(crate) fn spread(&self) -> String {
        format!("{}..{}", short(self.least()), short(self.most()))
    }
}

/// A figure with at most four digits, thousands as integers.
pub(crate) fn short(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

/// How long things took, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn push(&mut self, took: Duration) {
        self.push_ms(took.as_secs_f64() * 1000.0);
    }

    pub(crate) fn push_ms(&mut self, took: f64) {
        self.0.push(took);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The time that all but `thousandths` of a thousand stayed below; 0 when nothing was measured.
    pub(crate) fn at(&self, thousandths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() * thousandths / 1000).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// `1.9 / 4.2 / 8.1 ms`: all but a half, a hundredth and a thousandth stayed below.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, nearly_all] = [500, 990, 999].map(|part| short(self.at(part)));
        write!(f, "{half} / {most} / {nearly_all} ms")
    }
}

/// The target for a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Printed next to another line, without a target.
    None,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The goal, such as `P1`, and what is measured.
    pub(crate) measure: String,
    pub(crate) goal: Goal,
    /// The figure that the target is about.
    pub(crate) figure: f64,
    /// Its unit, with a space before it, or empty.
    pub(crate) unit: &'static str,
    /// Further results in words.
    pub(crate) beside: String,
    pub(crate) yardstick: String,
    pub(crate) spread: String,
}

impl Line {
    /// A line about a ratio to a yardstick: the rates of both.
    pub(crate) fn ratio(
        measure: &str,
        goal: Goal,
        ours: &Rounds,
        yardstick: (&str, &Rounds),
    ) -> Self {
        let (what, theirs) = yardstick;
        let ratios = ours.over(theirs);
        Self {
            measure: measure.to_owned(),
            goal,
            figure: ratios.median(),
            unit: "",
            beside: format!("{}/s", short(ours.median())),
            yardstick: format!("{what}: {}/s", short(theirs.median())),
            spread: ratios.spread(),
        }
    }

    fn is_met(&self) -> bool {
        match self.goal {
            Goal::AtLeast(least) => self.figure >= least,
            Goal::AtMost(most) => self.figure <= most,
            Goal::None => true,
        }
    }
}

/// A row of a table in Markdown. Without the goals where times are not judged.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit;
        let goal = match self.goal {
            Goal::AtLeast(least) => format!(">= {least}{unit}"),
            Goal::AtMost(most) => format!("<= {most}{unit}"),
            Goal::None => String::new(),
        };
        let missed = if self.is_met() { "" } else { " **missed**" };
        let beside = match self.beside.as_str() {
            "" => String::new(),
            beside => format!(" ({beside})"),
        };
        write!(
            f,
            "| {} | {goal} | {}{unit}{missed}{beside} | {} | {} |",
            self.measure,
            short(self.figure),
            self.yardstick,
            self.spread,
        )
    }
}

/// The head of the table.
pub(crate) const HEAD: &str =
    "| measure | goal | reached | yardstick | spread |\n|---|---|---|---|---|";
