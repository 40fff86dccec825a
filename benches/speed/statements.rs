//! The SQL that `pgbench` runs, made from the portal's own statements.
//!
//! The texts are the portal's own files. Where the portal binds a value, `pgbench` has an
//! expression of `:id`, a number that differs each time.

use sqlx::{AssertSqlSafe, PgPool};

/// The portal's statement that stores requests.
const SUBMIT: &str = include_str!("../../src/request/submit.sql");
/// The portal's statement for a status page.
const LOOK_UP: &str = include_str!("../../src/request/load.sql");

/// Requests stored by one statement when a database is filled.
const STEP: usize = 500;

/// Values of a request of one edge and two domains, in the order of [`SUBMIT`]'s parameters: the
/// array's type, and one element of it, where `$id` is the request's number. The last five have an
/// element for each domain: `$place` is the request's index in the array.
const VALUES: [(&str, &[&str]); 16] = [
    ("text[]", &["'initiate'"]),
    ("bigint[]", &["NULL"]),
    ("text[]", &["'volume_licensing'"]),
    ("text[]", &["(1000000 + $id % 9000000)::text"]),
    ("text[]", &["to_char($id, 'FM0000000000000000')"]),
    ("bytea[]", &["substr(sha256(('key' || $id)::bytea), 1, 16)"]),
    ("text[]", &[REFERENCE]),
    ("text[]", &["'on_premises'"]),
    (
        "bytea[]",
        &["substr(sha256(('content' || $id)::bytea), 1, 8)"],
    ),
    ("bigint[]", &["NULL"]),
    ("text[]", &["NULL"]),
    ("bigint[]", &["$place", "$place"]),
    ("smallint[]", &["1", "1"]),
    ("smallint[]", &["1", "2"]),
    ("text[]", &["'sip.s' || $id || '.example'", "NULL"]),
    (
        "text[]",
        &["'s' || $id || '.example'", "'it.s' || $id || '.example'"],
    ),
];

/// The SQL for the reference of the request with this number: as good as random, like the portal's
/// own.
const REFERENCE: &str = "to_char(abs(hashint8extended($id, 0) % 10000000000000000), 'FM\"PIC-\"0000\"-\"0000\"-\"0000\"-\"0000')";

/// `sql` with its parameters replaced by `values`, the first of them for `$1`.
///
/// # Panics
///
/// When it has another number of parameters: then these values are not meant for it.
fn bound(sql: &str, values: &[String]) -> String {
    // `pgbench` treats a word after a colon as a variable, in a comment too.
    let lines = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    let sql = lines.collect::<Vec<_>>().join("\n");
    let mut text = String::new();
    let mut used = vec![false; values.len()];
    for (place, part) in sql.split('$').enumerate() {
        if place == 0 {
            text.push_str(part);
            continue;
        }
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let value = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let value = value.filter(|&n| n < values.len());
        let value = value.unwrap_or_else(|| panic!("the benchmark knows no value for ${number}"));
        used[value] = true;
        text.push_str(&values[value]);
        text.push_str(rest);
    }
    assert!(
        used.iter().all(|used| *used),
        "the statement has fewer parameters than there are values"
    );
    text.trim_end().trim_end_matches(';').to_owned()
}

/// The statement that stores `members` requests, whose numbers begin with the SQL expression
/// `first`.
pub(crate) fn submit(first: &str, members: usize) -> String {
    let values = VALUES.iter().map(|(kind, of_one)| {
        // `pgbench` replaces a variable a few times in a statement, not for each of many elements.
        let (id, place) = match members {
            1 => (first.to_owned(), "1"),
            _ => (format!("({first} + m)"), "m + 1"),
        };
        let of_one = of_one.iter().map(|value| value.replace("$id", &id).replace("$place", place));
        let of_one: Vec<_> = of_one.collect();
        match (members, &of_one[..]) {
            (1, all) => format!("ARRAY[{}]::{kind}", all.join(", ")),
            (_, [value]) => {
                format!("ARRAY(SELECT {value} FROM generate_series(0, {members} - 1) AS m ORDER BY m)::{kind}")
            }
            (_, all) => format!(
                "ARRAY(SELECT v.value FROM generate_series(0, {members} - 1) AS m, \
                 LATERAL (VALUES {}) AS v (place, value) ORDER BY m, v.place)::{kind}",
                all.iter()
                    .zip(1..)
                    .map(|(value, place)| format!("({place}, {value})"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    });
    // They come from no older portal.
    let values: Vec<_> = values.chain(["NULL".into()]).collect();
    bound(SUBMIT, &values)
}

/// The script with which `pgbench` stores `members` requests in each statement.
pub(crate) fn submit_script(members: usize) -> String {
    // A number that is unique over all runs, clients and transactions of a benchmark.
    format!(
        "\\set n :n + 1\n\\set id (:run * 1000 + :client_id) * 100000000 + :n * {members}\n{};\n",
        submit(":id::bigint", members)
    )
}

/// The script with which `pgbench` reads one of the first `requests` requests that [`fill`] stored.
pub(crate) fn look_up_script(requests: usize) -> String {
    let reference = REFERENCE.replace("$id", ":id::bigint");
    // One request, for a client that is not signed in.
    let values = [
        format!("ARRAY[{reference}]"),
        "ARRAY[NULL]".into(),
        "'8 hours'".into(),
        "'30 minutes'".into(),
    ];
    format!(
        "\\set id random(1, {requests})\n{};\n",
        bound(LOOK_UP, &values)
    )
}

/// Stores the requests numbered from 1 to `requests`, pending.
pub(crate) async fn fill(pool: &PgPool, requests: usize) {
    let mut connection = pool.acquire().await.expect("a connection");
    for first in (1..=requests).step_by(STEP) {
        let members = STEP.min(requests + 1 - first);
        let sql = submit(&format!("{first}::bigint"), members);
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .expect("stored");
        // Without statistics the plans are those for empty tables (`docs/performance.md#traps-met`,
        // trap 9).
        if first == 1 || first % (100 * STEP) == 1 {
            sqlx::raw_sql("ANALYZE")
                .execute(&mut *connection)
                .await
                .expect("figures");
        }
    }
    sqlx::raw_sql("VACUUM ANALYZE")
        .execute(&mut *connection)
        .await
        .expect("figures");
}

/// The references of the requests numbered from 1 to `requests`.
pub(crate) async fn references(pool: &PgPool, requests: usize) -> Vec<String> {
    let of_one = REFERENCE.replace("$id", "id");
    let sql = format!("SELECT {of_one} FROM generate_series(1::bigint, {requests}) AS id");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(pool)
        .await
        .expect("references")
}
