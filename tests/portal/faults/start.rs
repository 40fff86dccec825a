//! Checks that a portal that cannot reach its database at the start says so, and ends.

use std::{process::Stdio, time::Duration};

use tokio::time::timeout;

use crate::support::{
    db::TestDb,
    process::{command, on, program},
    proxy::{Network, Proxy, Target},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_the_database_ends_with_the_reason() {
    let db = TestDb::fresh(&pic_portal::db::MIGRATOR).await;
    let proxy = Proxy::to(Target::of(&db.options())).await;
    let url = proxy.url(&db.options());
    for (network, reason) in [
        (Network::Refusing, "connection refused"),
        (Network::BlackHole, "timed out"),
        (Network::Slow(Duration::from_secs(20)), "timed out"),
    ] {
        proxy.turn(network);
        let ended = command(&program(), &on(&url))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output();
        let ended = timeout(Duration::from_secs(20), ended)
            .await
            .unwrap_or_else(|_| panic!("{network:?}: it waits for ever"))
            .unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{network:?}: {said}");
        assert!(ended.stdout.is_empty());
        let lines: Vec<_> = said.lines().collect();
        let [line] = lines[..] else {
            panic!("one line says it: {said}");
        };
        assert!(
            line.starts_with("pic-portal: cannot connect to the database: ")
                && line.contains(reason)
                && line.contains("Check DATABASE_URL"),
            "{network:?}: {said}"
        );
        assert!(!line.contains(db.name()), "{said}");
    }
}
