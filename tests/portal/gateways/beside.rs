//! Checks the gateways beside the database: a role of SQL that reads the routes, and nothing else.

use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::{Gateway, provision, publish};
use crate::support::app::TestApp;

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

#[tokio::test]
async fn a_role_of_sql_reads_the_routes_notes_its_receipt_and_can_do_nothing_else() {
    let portal = TestApp::new().await;
    Gateway::add(&portal, "gw-sql").await;
    provision(&portal, ONE).await;
    portal
        .run(include_str!("../../../deploy/gateway-role.sql"))
        .await;
    portal
        .run(
            "DO $$ BEGIN CREATE ROLE \"gw-sql\" LOGIN IN ROLE pic_gateway; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        )
        .await;
    let options = portal.db().options().username("gw-sql");
    let mut gateway = options.connect().await.unwrap();
    let rows = sqlx::query("SELECT sip_domain, access_edge FROM gateway.route")
        .fetch_all(&mut gateway)
        .await
        .unwrap();
    let route: (String, String) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(route, ("contoso.com".into(), "sip.contoso.com".into()));
    // A table of its own does not get between.
    sqlx::raw_sql("CREATE TEMP TABLE route (sip_domain text, access_edge text)")
        .execute(&mut gateway)
        .await
        .unwrap();
    let head: i64 = sqlx::query_scalar("SELECT gateway.loaded(2)")
        .fetch_one(&mut gateway)
        .await
        .unwrap();
    assert_eq!(head, 2);
    let has = "SELECT coalesce(serial, -1) FROM gateway WHERE name = 'gw-sql'";
    assert_eq!(portal.number(has).await, 2);
    for sql in [
        "SELECT count(*) FROM public.route",
        "SELECT count(*) FROM public.gateway",
        "SELECT public.pic_publish('1 h', true, true)",
        "SELECT count(*) FROM public.service",
        "DELETE FROM gateway.route",
    ] {
        let refused = sqlx::raw_sql(sql).execute(&mut gateway).await;
        assert!(refused.is_err(), "{sql}");
    }
    // A set that is not whole fails, so that a gateway keeps what it has.
    portal.run("TRUNCATE public.domain_in_force").await;
    let part = sqlx::query("SELECT * FROM gateway.route")
        .fetch_all(&mut gateway)
        .await;
    assert!(part.is_err());
    gateway.close().await.unwrap();
    publish(&portal).await;
}
