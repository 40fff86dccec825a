//! Checks how long sessions last, and what a thief of the database or of a cookie would gain.

use std::{fmt::Write as _, time::Duration};

use axum::http::StatusCode;

use crate::{
    service::sign_in,
    support::{app::TestApp, sql},
};

const MINUTE: Duration = Duration::from_mins(1);
const ROUTES: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

/// A service with a route in force, and its management key.
async fn service(portal: &TestApp) -> String {
    let (_, key) = portal.submit(ROUTES).await;
    portal.work().await;
    key
}

/// Whether the session of this cookie is live; this check uses it.
async fn alive(portal: &TestApp, cookie: &str) -> bool {
    let answer = portal.get_with("/service/routes.csv", cookie).await;
    match answer.status {
        StatusCode::OK => true,
        StatusCode::SEE_OTHER => false,
        other => panic!("{other}: {}", answer.body),
    }
}

/// Every row of every table as text.
async fn everything(portal: &TestApp) -> String {
    let tables: Vec<String> = portal
        .all(
            "SELECT oid::regclass::text FROM pg_class
         WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace",
        )
        .await;
    let mut all = String::new();
    for table in tables {
        let rows = format!("SELECT coalesce(string_agg(t::text, E'\n'), '') FROM {table} AS t");
        let rows: String = portal.one(&rows).await;
        let _ = writeln!(all, "{table}:\n{rows}");
    }
    all
}

/// The attributes of the cookie with this name that a post of `fields` to `path` sets, sorted.
async fn attributes(portal: &TestApp, path: &str, fields: &[(&str, &str)], with: &str) -> String {
    let answer = portal.post_with(path, fields, with).await;
    let set = answer.header("set-cookie");
    let (value, attributes) = set.split_once("; ").expect("attributes");
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    let (name, _) = value.split_once('=').expect("a value");
    format!("{name}: {}", attributes.join("; "))
}

#[tokio::test]
async fn the_cookie_is_for_this_host_and_no_script() {
    for (origin, expected, key_cookie) in [
        (
            "http://portal.test",
            "pic_session: HttpOnly; Path=/; SameSite=Lax",
            "pic_receipt: HttpOnly; Max-Age=900; Path=/service/key; SameSite=Lax",
        ),
        (
            "https://portal.test",
            "__Host-pic_session: HttpOnly; Path=/; SameSite=Lax; Secure",
            "__Secure-pic_receipt: HttpOnly; Max-Age=900; Path=/service/key; SameSite=Lax; Secure",
        ),
    ] {
        let portal = TestApp::at(origin).await;
        let key = service(&portal).await;
        let fields = [("number", "1234567"), ("management_key", key.as_str())];
        assert_eq!(attributes(&portal, "/service", &fields, "").await, expected);
        let cookie = sign_in(&portal, &key).await;
        assert_eq!(
            attributes(&portal, "/service/key", &[], &cookie).await,
            key_cookie
        );
        let gone = attributes(&portal, "/service/sign-out", &[], &cookie).await;
        assert_eq!(
            gone,
            expected.replace("HttpOnly;", "HttpOnly; Max-Age=0;"),
            "it is taken away as it was given"
        );
        // Over https a cookie without the prefix is ignored.
        let bare = cookie.trim_start_matches("__Host-");
        let cookie = sign_in(&portal, &key_after(&portal).await).await;
        assert!(alive(&portal, &cookie).await);
        assert!(!alive(&portal, bare).await);
        let (_, value) = cookie.split_once('=').unwrap();
        let other = if origin.starts_with("https") {
            format!("pic_session={value}")
        } else {
            format!("__Host-pic_session={value}")
        };
        assert!(!alive(&portal, &other).await);
    }
}

/// A service to which nothing was done yet; returns its key.
async fn key_after(portal: &TestApp) -> String {
    portal
        .submit(&[("sip.fabrikam.com", "fabrikam.com")])
        .await
        .1
}

#[tokio::test]
async fn no_answer_of_a_session_is_kept_by_anybody_but_its_form() {
    let portal = TestApp::new().await;
    let key = service(&portal).await;
    let cookie = sign_in(&portal, &key).await;
    for path in [
        "/service",
        "/service/edit",
        "/service/cancel",
        "/service/key",
        "/service/routes.csv",
    ] {
        for cookie in [&cookie, ""] {
            let answer = portal.get_with(path, cookie).await;
            // The form is kept for Back and Forward by the browser that has it.
            let is_form = path == "/service/edit" && answer.status == StatusCode::OK;
            let kept = if is_form {
                "private, no-cache"
            } else {
                "no-store"
            };
            assert_eq!(answer.header("cache-control"), kept, "{path}");
        }
    }
}

#[tokio::test]
async fn sql_keeps_neither_the_cookie_nor_the_keys() {
    let portal = TestApp::new().await;
    let key = service(&portal).await;
    let cookie = sign_in(&portal, &key).await;
    let made = portal.post_with("/service/key", &[], &cookie).await;
    assert!(alive(&portal, &cookie).await);
    let (_, token) = cookie.split_once('=').unwrap();
    let made = made.cookie();
    let (_, new_key) = made.split_once('=').unwrap();
    let all = everything(&portal).await;
    assert!(all.contains("sip.contoso.com"), "it is looked at: {all}");
    let bytes = |code: &str| {
        let symbols = pic_portal::base32::symbols(code).unwrap();
        pic_portal::base32::decode::<16>(&symbols)
            .map(|b| data_encoding::HEXLOWER.encode(&b))
            .or_else(|| {
                pic_portal::base32::decode::<20>(&symbols)
                    .map(|b| data_encoding::HEXLOWER.encode(&b))
            })
            .unwrap()
    };
    for secret in [token, &key, new_key] {
        let plain = secret.replace('-', "");
        for form in [secret, &plain, &plain.to_lowercase(), &bytes(secret)] {
            assert!(!all.contains(form), "{form} is in the database");
        }
    }
    let hashed = "SELECT count(*) FROM session WHERE octet_length(token_hash) = 32";
    assert_eq!(portal.number(hashed).await, 1);
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let portal = TestApp::new().await;
    let key = service(&portal).await;
    let idle = sign_in(&portal, &key).await;
    portal.advance(29 * MINUTE).await;
    assert!(alive(&portal, &idle).await, "used in time, it goes on");
    portal.advance(29 * MINUTE).await;
    assert!(alive(&portal, &idle).await);
    portal.advance(31 * MINUTE).await;
    assert!(!alive(&portal, &idle).await);
    portal.advance(MINUTE).await;
    assert!(!alive(&portal, &idle).await, "asking does not wake it");

    let old = sign_in(&portal, &key).await;
    for _ in 0..19 {
        portal.advance(25 * MINUTE).await;
        assert!(alive(&portal, &old).await, "7 h 55 min at most");
    }
    portal.advance(6 * MINUTE).await;
    assert!(!alive(&portal, &old).await, "8 h, in use all the time");
}

#[tokio::test]
async fn a_session_is_marked_as_used_once_a_minute_at_most() {
    let portal = TestApp::new().await;
    let key = service(&portal).await;
    let cookie = sign_in(&portal, &key).await;
    // A new version of the row means that it was written.
    let version = "SELECT xmin::text::bigint FROM session";
    let began = portal.number(version).await;
    for _ in 0..3 {
        assert!(alive(&portal, &cookie).await);
    }
    assert_eq!(portal.number(version).await, began);
    portal.advance(MINUTE + Duration::from_secs(1)).await;
    assert!(alive(&portal, &cookie).await);
    let moved = portal.number(version).await;
    assert_ne!(moved, began);
    assert!(alive(&portal, &cookie).await);
    assert_eq!(portal.number(version).await, moved);
    let lag = "SELECT extract(epoch FROM pic_now() - seen_at)::bigint FROM session";
    assert!(portal.number(lag).await < 60);
}

#[tokio::test]
async fn signing_in_drops_the_dead_sessions_of_its_service() {
    let portal = TestApp::new().await;
    let key = service(&portal).await;
    let other = key_after(&portal).await;
    for key in [&key, &key, &other] {
        sign_in(&portal, key).await;
    }
    portal.advance(31 * MINUTE).await;
    let living = sign_in(&portal, &key).await;
    let count = "SELECT count(*) FROM session";
    assert_eq!(portal.number(count).await, 2, "its own and the other's");
    sign_in(&portal, &key).await;
    assert_eq!(portal.number(count).await, 3, "what lives stays");
    assert!(alive(&portal, &living).await);
}

#[tokio::test]
async fn signing_in_makes_a_new_session_and_ends_the_one_of_the_same_browser() {
    let portal = TestApp::new().await;
    let (key, other) = (service(&portal).await, key_after(&portal).await);
    let planted = format!("pic_session={}", pic_portal::base32::encode(&[7; 20]));
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let first = portal.post_with("/service", &fields, &planted).await;
    let first = first.cookie();
    assert_ne!(
        first, planted,
        "a token that somebody planted opens nothing"
    );
    assert!(!alive(&portal, &planted).await);
    let wrong = [
        ("number", "1234567"),
        ("management_key", "0000-0000-0000-0000-0000-0000-00"),
    ];
    let refused = portal.post_with("/service", &wrong, &first).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        alive(&portal, &first).await,
        "a try that fails ends nothing"
    );
    let fields = [("number", "1234567"), ("management_key", other.as_str())];
    let second = portal.post_with("/service", &fields, &first).await.cookie();
    assert!(!alive(&portal, &first).await);
    assert!(alive(&portal, &second).await);
}

// ---------------------------------------------------------------------------------------------
// Another key

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_slips_in_by_a_key_that_is_being_replaced() {
    let portal = TestApp::new().await;
    let key = service(&portal).await;
    let cookie = sign_in(&portal, &key).await;
    let mut transaction = portal.db().pool().begin().await.unwrap();
    let replaced: bool = sql::one(
        &mut *transaction,
        "SELECT pic_replace_key(service_id, substr(sha256('new'), 1, 16), token_hash) FROM session",
    )
    .await;
    assert!(replaced);
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let (answer, ()) = tokio::join!(portal.post("/service", &fields), async {
        portal.blocked(1).await;
        transaction.commit().await.unwrap();
    });
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(portal.number("SELECT count(*) FROM session").await, 1);
    assert!(alive(&portal, &cookie).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_leaves_no_session_of_the_old_one_however_they_meet() {
    let portal = TestApp::new().await;
    let mut key = service(&portal).await;
    for round in 0..20 {
        let keep = sign_in(&portal, &key).await;
        let fields = [("number", "1234567"), ("management_key", key.as_str())];
        let (made, one, two) = tokio::join!(
            portal.post_with("/service/key", &[], &keep),
            portal.post("/service", &fields),
            portal.post("/service", &fields),
        );
        assert_eq!(made.header("location"), "/service/key");
        for late in [one, two] {
            if late.status == StatusCode::SEE_OTHER {
                assert!(!alive(&portal, &late.cookie()).await, "round {round}");
            }
        }
        assert_eq!(portal.number("SELECT count(*) FROM session").await, 1);
        let cookies = format!("{keep}; {}", made.cookie());
        let shown = portal.get_with("/service/key", &cookies).await;
        key = shown.attribute("data-management-key").unwrap().to_owned();
        portal.post_with("/service/sign-out", &[], &keep).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_browsers_that_ask_for_a_new_key_one_is_shown_the_key_in_force() {
    let portal = TestApp::new().await;
    let mut key = service(&portal).await;
    for round in 0..20 {
        let (one, two) = (sign_in(&portal, &key).await, sign_in(&portal, &key).await);
        let (first, second) = tokio::join!(
            portal.post_with("/service/key", &[], &one),
            portal.post_with("/service/key", &[], &two),
        );
        let mut shown = Vec::new();
        for (browser, made) in [(one, first), (two, second)] {
            if made.header("location") == "/service/key" {
                let cookies = format!("{browser}; {}", made.cookie());
                let page = portal.get_with("/service/key", &cookies).await;
                shown.extend(page.attribute("data-management-key").map(str::to_owned));
                portal.post_with("/service/sign-out", &[], &browser).await;
            } else {
                assert_eq!(made.header("location"), "/service", "round {round}");
                assert!(!alive(&portal, &browser).await);
            }
        }
        assert_eq!(shown.len(), 1, "round {round}");
        key = shown.remove(0);
    }
    let told = "SELECT sum(times) FROM event WHERE code = 'key-replaced'";
    assert_eq!(portal.number(told).await, 20, "each once in the timeline");
}

#[tokio::test]
async fn whoever_signs_out_takes_the_new_key_along() {
    let portal = TestApp::new().await;
    let key = service(&portal).await;
    let cookie = sign_in(&portal, &key).await;
    portal.post_with("/service/key", &[], &cookie).await;
    let out = portal.post_with("/service/sign-out", &[], &cookie).await;
    let set: Vec<_> = out
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(set.len(), 3, "{set:?}");
    assert!(set.iter().all(|cookie| cookie.contains("Max-Age=0")));
    assert!(set[1].starts_with("pic_receipt=;") && set[1].contains("Path=/service/key"));
    assert!(set[2].starts_with("pic_receipt=;") && set[2].contains("Path=/service/watch"));
}
