//! Finds the requests that a search may mean.

use super::{MOST_FOUND, NAMES_LOOKED_AT};
use crate::{
    agreement::AgreementNumber,
    db::{self, PgPool},
    staff::queue::search::Search,
};

/// The requests that a search finds, newest first; at most [`MOST_FOUND`] plus one.
pub(super) async fn find(pool: &PgPool, search: &Search) -> Result<Vec<i64>, db::Error> {
    let backwards = |name: &str| name.chars().rev().collect::<String>();
    let most = i64::try_from(MOST_FOUND + 1).unwrap_or(i64::MAX);
    let reference = search.reference.as_ref().map_or("", |r| r.as_str());
    let name = search.name.as_ref().map(|name| backwards(name.as_str()));
    let name = name.unwrap_or_default();
    // The first text after all that begin with it: no character of a reference comes after a tilde,
    // and a slash comes after the dot.
    let after = |text: &str, end: char| match text {
        "" => String::new(),
        text => format!("{text}{end}"),
    };
    let number = search.number.as_ref().map_or("", AgreementNumber::as_str);
    let mut found = sqlx::query_file_scalar!(
        "src/staff/queue/search.sql",
        number,
        after(number, '~'),
        reference,
        after(reference, '~'),
        name,
        after(&name, '/'),
        most,
    )
    .fetch_all(pool.retrying())
    .await?;
    if let Some(piece) = &search.piece {
        let more = sqlx::query_file_scalar!(
            "src/staff/queue/pieces.sql",
            piece.as_str(),
            most,
            i64::try_from(NAMES_LOOKED_AT).unwrap_or(i64::MAX),
        )
        .fetch_all(pool.retrying())
        .await?;
        found.extend(more);
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
    }
    Ok(found)
}
