//! Measures each page of the desk: how long its queries take, and which tables they scan.

use std::time::{Duration, Instant};

use pic_portal::{
    db::{Database, PgPool},
    request::{loader::store::look_up, reference::Reference},
    staff::{
        StaffId,
        case::store as desk,
        queue::{Filter, Query, store},
    },
};

/// How often each query is run.
const TIMES: i64 = 200;
const PROMISE: Duration = Duration::from_hours(48);
/// Tables that no page may scan.
const GREAT: &[&str] = &[
    "request",
    "service",
    "request_route",
    "domain_in_force",
    "event",
    "finding",
    "work",
    "watch",
];

/// How often a large table was scanned so far.
async fn whole_reads(pool: &PgPool) -> i64 {
    sqlx::raw_sql("SELECT pg_stat_force_next_flush()")
        .execute(pool)
        .await
        .expect("it runs");
    sqlx::query_scalar(
        "SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relname = ANY ($1)",
    )
    .bind(GREAT)
    .fetch_one(pool)
    .await
    .expect("a count")
}

/// Runs a query `TIMES` times, numbered, after a few that are not counted; prints how long it took.
async fn times(pool: &PgPool, what: &str, mut ask: impl AsyncFnMut(i64) -> usize) {
    let before = whole_reads(pool).await;
    let (mut times, mut most) = (Vec::new(), 0);
    for place in -10..TIMES {
        let began = Instant::now();
        let found = ask(place + 10).await;
        if place >= 0 {
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            most = most.max(found);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("| {what} | {most} | {:.1} | {:.1} |", at(50), at(99));
    assert_eq!(
        whole_reads(pool).await,
        before,
        "{what}: a great table was read from end to end"
    );
}

fn query(fields: &str) -> Filter {
    let query: Query = serde_html_form::from_str(fields).expect("a query");
    Filter::of(&query, StaffId(1)).expect("a filter")
}

/// Filters as they are in the address; `AFTER` is replaced by another place each time.
const FILTERS: &[&str] = &[
    "",
    "after=AFTER",
    "state=pending",
    "state=pending&after=AFTER",
    "state=provisioned",
    "state=provisioned&after=AFTER",
    "state=rejected",
    "state=withdrawn",
    "overdue=on",
    "needs=on",
    "risk=on",
    "age=1d",
    "age=14d",
    "state=provisioned&age=28d",
    "programme=partner_network",
    "programme=high_volume",
    "state=provisioned&programme=high_volume",
    "state=provisioned&programme=high_volume&age=28d",
    "finding=srv-missing",
    "finding=srv-suffix",
    "finding=homed-online",
    "finding=certificate-expired",
    "finding=srv-port&state=provisioned",
    "finding=srv-port&state=pending&overdue=on",
    "finding=srv-suffix&programme=high_volume",
];

/// Searches: the text, with `N` replaced by another number each time.
const SEARCHES: &[(&str, &str)] = &[
    ("agreement number", "NUMBER"),
    ("agreement number, spaced", "SPACED"),
    ("beginning of an agreement number", "12345"),
    ("whole reference", "REFERENCE"),
    ("beginning of a reference, 6", "SIX"),
    ("beginning of a reference, 4", "FOUR"),
    ("beginning of a label, few", "dN"),
    ("beginning of a label, all", "sip"),
    ("SIP domain", "dN.cityP.land.example"),
    ("sub-domain", "it.dN.cityP.land.example"),
    ("Access Edge", "sip.dN.cityP.land.example"),
    ("parent of a thousand", "cityP.land.example"),
    ("parent of all", "land.example"),
    ("name that there is not", "nowhereN.land.example"),
    ("parent, only rejected", "cityP.land.example&state=rejected"),
];

/// The text of a search for request `n`.
fn typed(pattern: &str, n: i64, reference: &str) -> String {
    let number = (1_000_000 + n / 3).to_string();
    let spaced = format!("{}+{}", &number[..3], &number[3..]);
    let symbols: String = reference.replacen("PIC-", "", 1);
    match pattern {
        "NUMBER" => number,
        "SPACED" => spaced,
        "REFERENCE" => reference.to_owned(),
        "SIX" => format!("PIC-{}", &symbols[..7]),
        "FOUR" => format!("PIC-{}", &symbols[..4]),
        _ => pattern
            .replace('N', &n.to_string())
            .replace('P', &(n % 1000).to_string()),
    }
}

/// Runs what a page of the queue runs; returns how many lines it has.
async fn queue(pool: &PgPool, fields: &str) -> usize {
    let filter = query(fields);
    let page = store::page(pool, &filter, PROMISE).await.expect("a page");
    store::counts(pool, PROMISE, StaffId(1))
        .await
        .expect("counts");
    store::before(pool, &filter, PROMISE)
        .await
        .expect("the page before");
    page.rows.len()
}

/// Runs all queries and prints a line for each.
pub(crate) async fn measure(db: &Database, requests: i64) {
    let pool = &db.pool;
    // Another place each time, spread over all requests.
    let somewhere = |place: i64| 1 + place * 7_919_i64.pow(2) % requests;
    let mut references = Vec::new();
    for place in 0..TIMES + 10 {
        let reference: String = sqlx::query_scalar("SELECT reference FROM request WHERE id = $1")
            .bind(somewhere(place))
            .fetch_one(pool)
            .await
            .expect("a reference");
        references.push(reference);
    }
    let of = |place: i64| &references[usize::try_from(place).expect("a small number")];
    println!("| page | lines | p50 ms | p99 ms |\n|---|---|---|---|");
    times(pool, "counts per state", async |_| {
        store::counts(pool, PROMISE, StaffId(1))
            .await
            .expect("counts");
        5
    })
    .await;
    for fields in FILTERS {
        times(pool, &format!("queue `{fields}`"), async |place| {
            queue(
                pool,
                &fields.replace("AFTER", &somewhere(place).to_string()),
            )
            .await
        })
        .await;
    }
    for (what, pattern) in SEARCHES {
        times(pool, &format!("search: {what}"), async |place| {
            let text = typed(pattern, somewhere(place), of(place));
            queue(pool, &format!("q={text}")).await
        })
        .await;
    }
    times(pool, "page of a request", async |place| {
        let reference = Reference::parse(of(place)).expect("a reference");
        look_up(pool, reference)
            .await
            .expect("an answer")
            .expect("a request");
        desk::insight(pool, reference, PROMISE)
            .await
            .expect("insight");
        1
    })
    .await;
    let mut services = Vec::new();
    for text in &references {
        let reference = Reference::parse(text).expect("a reference");
        let request = look_up(pool, reference).await.expect("an answer");
        services.push(request.expect("a request").service);
    }
    times(pool, "page of a service", async |place| {
        let service = services[usize::try_from(place).expect("a small number")];
        desk::history(pool, service)
            .await
            .expect("a history")
            .holdings
            .len()
    })
    .await;
    // The counter is exact.
    let before = whole_reads(pool).await;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM request WHERE content_hash = ''::bytea")
            .fetch_one(pool)
            .await
            .expect("a count");
    assert_eq!((count, whole_reads(pool).await > before), (0, true));
}
