//! Lets one of several servers fail that `DATABASE_URL` names, without a proxy in between.

use pic_portal::db::private::PORTAL_DATABASE;
use sqlx::postgres::PgConnectOptions;

use super::{
    scene::Scene,
    server::{Server, keep_both, promote, standby},
};
use crate::support::{
    assert_says,
    process::{command, program, scratch},
    proxy::{Network, Proxy, Target},
    sql,
};

/// How a URL names the server.
fn place(options: &PgConnectOptions) -> String {
    let socket = options.get_socket().unwrap().to_str().unwrap();
    socket.replace('/', "%2F")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_the_url_names_takes_over() {
    let scratch = scratch();
    let primary = Server::start(scratch.path().join("one"), &[]).await;
    let first = primary.database().await;
    let standby = standby(&primary, scratch.path().join("two")).await;
    let second = standby.running.connect_options(PORTAL_DATABASE);
    // The first server that the URL names never answers, the next one only reads.
    let silent = Proxy::to(Target::of(&first)).await;
    silent.turn(Network::BlackHole);
    let hosts = format!("%2Fnowhere,{},{}", place(&second), place(&first));
    let url = silent
        .url(&first)
        .replace("/portal?", &format!(",{hosts}/portal?"));
    let scene = Scene::at(&url, silent, first, None).await;
    scene.flows(20).await;
    let log = scene.portal.log();
    assert_says(&log, "synchronous_standby_names is empty");
    let doctor = command(&program(), &[("DATABASE_URL", &url)]);
    let said = { doctor }.arg("doctor").output().await.unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    assert_says(&said, "warning  standbys        connected: 1");

    keep_both(&scene.direct()).await;
    scene.flows(20).await;
    primary.stop().await;
    scene.is_away().await;
    promote(&second).await;
    let scene = scene.with_database(second);
    scene.is_back("a promotion").await;
    scene.flows(20).await;

    // A server that takes writes no longer, as one that was demoted, counts as lost.
    let direct = scene.direct();
    let only_read = "ALTER SYSTEM SET default_transaction_read_only = on";
    sql::run(&direct, only_read).await;
    sql::run(&direct, "SELECT pg_reload_conf()").await;
    scene.is_refused().await;
    scene.is_away().await;
    let again = "SET default_transaction_read_only = off";
    let reset = "ALTER SYSTEM RESET default_transaction_read_only";
    let mut connection = direct.acquire().await.unwrap();
    for sql in [again, reset, "SELECT pg_reload_conf()"] {
        sql::run(&mut *connection, sql).await;
    }
    scene.is_back("a server that takes writes again").await;
    scene.flows(20).await;
    scene.ends_whole().await;
    standby.stop().await;
}
