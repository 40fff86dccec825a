//! The page `/privacy`: the rule, what is kept, and the last sweeps.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use std::sync::Arc;

use super::{KEPT, RULE, Run, store};
use crate::retention::wording::{self, Terms};
use crate::{
    db::PgPool,
    error::Error,
    web::{
        accept, page,
        parts::When,
        shell::{Section, Shell},
        site::Site,
        when::{between, span, when},
    },
};

/// How many sweeps are shown.
const RUNS: u32 = 10;

/// `GET /privacy`.
#[derive(Debug, Template)]
#[template(path = "privacy.html")]
struct PrivacyPage<'a> {
    shell: Shell<'a>,
    rule: &'static str,
    /// What is kept, and how long.
    kept: Vec<(&'static str, String)>,
    /// How often the sweep runs.
    every: String,
    runs: Vec<Sweep>,
}

/// A sweep in words.
#[derive(Debug)]
struct Sweep {
    began: When,
    cause: &'static str,
    outcome: String,
    removed: String,
    /// How long it took; empty while it is running.
    took: String,
    looked: String,
}

impl Sweep {
    fn of(run: &Run, now: chrono::DateTime<chrono::Utc>) -> Self {
        let (proven, columns, rows) = (run.looked.proven, run.looked.columns, run.looked.rows);
        Self {
            began: when(run.began_at, now),
            cause: wording::cause(run.cause),
            outcome: wording::outcome(run),
            removed: wording::removed(run),
            took: run
                .ended_at
                .map_or_else(String::new, |ended| took(between(run.began_at, ended))),
            looked: format!(
                "{proven} columns whose rules let no address in, and {rows} rows of {columns} others"
            ),
        }
    }
}

fn took(time: std::time::Duration) -> String {
    if time.as_secs() < 2 {
        format!("{} ms", time.as_millis())
    } else {
        span(time)
    }
}

/// `GET /privacy`: the rule, what is kept and how long, the last sweeps; the same for programs that
/// ask for JSON.
pub(crate) async fn privacy(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let terms = Terms {
        sweep: site.sweep,
        expiry: site.clocks.expiry,
    };
    let (runs, now) = store::runs_and_now(&pool, RUNS).await?;
    let answer = if accept::prefers_json(&headers) {
        let report = wording::report(terms, &runs, false).to_string();
        ([(header::CONTENT_TYPE, "application/json")], report).into_response()
    } else {
        page(
            StatusCode::OK,
            &PrivacyPage {
                shell: site.shell(Section::Privacy),
                rule: RULE,
                kept: KEPT
                    .iter()
                    .map(|kept| (kept.what, wording::how_long(kept.until, terms)))
                    .collect(),
                every: span(terms.sweep),
                runs: runs.iter().map(|run| Sweep::of(run, now)).collect(),
            },
        )?
    };
    Ok(([(header::VARY, "Accept")], answer).into_response())
}
