//! Checks which commands change the schema, and that a role without that right can run the portal.

use std::{fs, path::Path};

use pic_portal::db::MIGRATOR;

use super::{on, refused};
use crate::support::{
    app::{EMPTY, request, submission_id},
    db::TestDb,
    eventually,
    process::{Portal, command, program, scratch},
    sql,
};

/// Runs a command; returns its exit code and all that it says.
async fn told(settings: &[(&str, &str)], words: &[&str]) -> (Option<i32>, String) {
    let output = command(&program(), settings)
        .args(words)
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// Tables of the portal, and that of the migrator.
const TABLES: &str = "SELECT count(*) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'";

#[tokio::test]
async fn commands_that_look_leave_the_schema_alone() {
    let db = TestDb::fresh(&EMPTY).await;
    let url = db.url();
    let settings = on(&url);
    sql::run(db.pool(), "DROP TABLE IF EXISTS _sqlx_migrations").await;
    let looks = [&["doctor"][..], &["sweep"], &["staff", "list"]];
    for words in looks {
        let (code, said) = told(&settings, words).await;
        assert_eq!(code, Some(1), "{words:?}: {said}");
        let told = said.contains("schema is at 0") && said.contains("pic-portal migrate");
        assert!(told, "{words:?}: {said}");
        assert_eq!(sql::number(db.pool(), TABLES).await, 0, "{words:?}");
    }
    let (code, said) = told(&settings, &["migrate"]).await;
    assert!(
        code == Some(0) && said.contains("the schema is at"),
        "{said}"
    );
    for words in looks {
        let (code, said) = told(&settings, words).await;
        assert_eq!(code, Some(0), "{words:?}: {said}");
    }
    // A schema of the version before this one.
    let newest =
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    sql::run(db.pool(), newest).await;
    let before = MIGRATOR.iter().map(|it| it.version).max().unwrap() - 1;
    let (code, said) = told(&settings, &["doctor"]).await;
    let told = said.contains(&format!("schema is at {before}"));
    assert!(code == Some(1) && told, "{said}");
}

/// The rights that `docs/operating.md#install` names.
fn grants(role: &str) -> String {
    let paper = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let paper = fs::read_to_string(paper).unwrap();
    let lines = paper.lines().map(str::trim);
    let grants: Vec<_> = lines
        .filter(|line| line.starts_with("GRANT ") && line.contains(" ON ALL "))
        .collect();
    assert_eq!(grants.len(), 2, "{grants:?}");
    grants.join("\n").replace("pic_app", role)
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_runs_a_migrated_portal() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let owner = db.options().get_username().to_owned();
    let role = format!("app_{}", db.name());
    let run = async |sql: String| {
        sql::run(db.pool(), &sql).await;
    };
    run(format!("CREATE ROLE {role} LOGIN; {}", grants(&role))).await;
    let url = db
        .url()
        .replacen(&format!("//{owner}@"), &format!("//{role}@"), 1);
    assert_ne!(url, db.url());
    let settings = on(&url);
    let scratch = scratch();
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
    portal
        .post("/requests/new", &fields)
        .await
        .unwrap()
        .reference();
    eventually("it is provisioned", async || {
        let open = "SELECT count(*) FROM request WHERE state <> 'provisioned'";
        (sql::number(db.pool(), open).await == 0).then_some(())
    })
    .await;
    assert!(!portal.log().contains("42501"), "{}", portal.log());
    portal.stop().await;
    for words in [&["sweep"][..], &["doctor"], &["staff", "list"]] {
        let (code, said) = told(&settings, words).await;
        assert_eq!(code, Some(0), "{words:?}: {said}");
    }
    run("DELETE FROM _sqlx_migrations WHERE version = 6".into()).await;
    refused(
        &settings,
        &["42501 (the role lacks a right)", "pic-portal migrate"],
    )
    .await;
    run(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
