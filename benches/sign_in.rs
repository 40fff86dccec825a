//! Checks that the response time does not reveal whether an agreement number has a service.
//!
//! Sign-ins that fail, for different reasons in turn, go through the router without sockets on the
//! tests' throw-away PostgreSQL. Each reason is compared with a wrong key; a wrong key once more
//! shows the effect of chance.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests' own means, not all of them needed"
)]
#[path = "../tests/portal/support/mod.rs"]
mod support;

use std::time::Instant;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use pic_portal::{base32, secret::ManagementKey};
use support::app::TestApp;
use tower::ServiceExt as _;

const ROUNDS: usize = 2_000;
const WARM_UP: usize = 300;
/// Numbers that have a service are even, those without one are odd and lie between them.
const SERVICES: u64 = 20_000;
const RESAMPLES: usize = 1_000;

const REASONS: [&str; 5] = [
    "wrong key",
    "wrong key again",
    "wrong number",
    "malformed key",
    "malformed number",
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let portal = TestApp::new().await;
    let (pool, router) = (portal.pool(), &portal.router);
    sqlx::query(
        "INSERT INTO service (id, created_at, programme, number, token, key_hash)
         SELECT n + 1, pic_now(), 'volume_licensing', (1000000 + 2 * n)::text,
                upper(substr(md5(n::text), 1, 16)), substr(sha256(n::text::bytea), 1, 16)
         FROM generate_series(0, $1 - 1) AS n",
    )
    .bind(i64::try_from(SERVICES).expect("a small number"))
    .execute(pool)
    .await
    .expect("services");
    // A valid key, which is wrong for all other numbers.
    let known = ManagementKey::random();
    sqlx::query("UPDATE service SET key_hash = $1 WHERE id = 1")
        .bind(known.hash().to_vec())
        .execute(pool)
        .await
        .expect("a service");
    for statement in ["VACUUM ANALYZE service", "CHECKPOINT"] {
        sqlx::raw_sql(statement)
            .execute(pool)
            .await
            .expect("statistics");
    }
    let mut chance = Chance::seeded();
    let mut times = REASONS.map(|_| Vec::with_capacity(ROUNDS));
    for round in 0..WARM_UP + ROUNDS {
        let mut order: Vec<usize> = (0..REASONS.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, chance.below(i + 1));
        }
        for reason in order {
            let body = body(REASONS[reason], &known, &mut chance);
            let took = fail(router, body).await;
            if round >= WARM_UP {
                times[reason].push(took);
            }
        }
    }
    report(&times, &mut chance);
}

/// The form of a sign-in that fails for `reason`; of the same length whatever the reason.
fn body(reason: &str, known: &ManagementKey, chance: &mut Chance) -> String {
    let place = 1 + chance.below(usize::try_from(SERVICES).expect("a small number") - 1);
    let number = 1_000_000 + 2 * place;
    let wrong = ManagementKey::random().reveal();
    match reason {
        "wrong number" => {
            format!("number={}&management_key={}", number + 1, known.reveal())
        }
        // `U` is not allowed in a key.
        "malformed key" => format!("number={number}&management_key=U{}", &wrong[1..]),
        "malformed number" => format!("number=10000!0&management_key={wrong}"),
        _ => format!("number={number}&management_key={wrong}"),
    }
}

/// How long a refused sign-in takes, in microseconds.
async fn fail(router: &Router, body: String) -> f64 {
    let request = Request::post("/service")
        .header(header::HOST, "portal.test")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .expect("a request");
    let router = router.clone();
    let began = Instant::now();
    let Ok(response) = router.oneshot(request).await;
    let status = response.status();
    let page = response.into_body().collect().await.expect("a page");
    let took = began.elapsed();
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.to_bytes().is_empty());
    took.as_secs_f64() * 1e6
}

/// Prints each reason compared with a wrong key.
fn report(times: &[Vec<f64>; REASONS.len()], chance: &mut Chance) {
    println!(
        "{ROUNDS} rounds of {} failing sign-ins in turn",
        REASONS.len()
    );
    println!("reason            median us    difference (95 % of resamples)    Mann-Whitney z");
    let base = &times[0];
    println!("{:<16} {:>10.1}", REASONS[0], median(base));
    for (reason, of) in REASONS.iter().zip(times).skip(1) {
        let mut differences: Vec<f64> = (0..RESAMPLES)
            .map(|_| median(&resampled(of, chance)) - median(&resampled(base, chance)))
            .collect();
        differences.sort_by(f64::total_cmp);
        println!(
            "{reason:<16} {:>10.1}    {:>+7.2} ({:>+7.2} to {:>+7.2})         {:>+7.2}",
            median(of),
            median(of) - median(base),
            differences[RESAMPLES / 40],
            differences[RESAMPLES - RESAMPLES / 40],
            mann_whitney_z(of, base),
        );
    }
    println!("a difference can be told where its range leaves out 0 and |z| is over 3");
}

fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    let middle = sorted.len() / 2;
    *sorted.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn resampled(of: &[f64], chance: &mut Chance) -> Vec<f64> {
    (0..of.len()).map(|_| of[chance.below(of.len())]).collect()
}

/// How far the ranks of `a` among both differ from what is expected by chance, in standard
/// deviations.
fn mann_whitney_z(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = a.iter().map(|&t| (t, true)).collect();
    all.extend(b.iter().map(|&t| (t, false)));
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let ranks: f64 = (1_u32..)
        .zip(&all)
        .filter(|(_, (_, of_a))| *of_a)
        .map(|(rank, _)| f64::from(rank))
        .sum();
    let count = |n: usize| f64::from(u32::try_from(n).expect("few"));
    let (of_a, of_b) = (count(a.len()), count(b.len()));
    let u = ranks - of_a * (of_a + 1.0) / 2.0;
    (u - of_a * of_b / 2.0) / (of_a * of_b * (of_a + of_b + 1.0) / 12.0).sqrt()
}

/// Random numbers, good enough for an order of trials (splitmix64).
struct Chance(u64);

impl Chance {
    fn seeded() -> Self {
        Self(u64::from_le_bytes(base32::random()))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end).expect("a small number");
        usize::try_from((mixed ^ (mixed >> 31)) % end).expect("less than `end`")
    }
}
