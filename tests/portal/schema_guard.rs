//! Checks that no column of the schema can hold contact information.
//!
//! A new column that can hold text needs a constraint that excludes `@`, or an entry on the list
//! here, with the reason why no personal data can get there.

use pic_portal::db::PgPool;
use pic_portal::{
    db::MIGRATOR,
    retention::{is_contact_like, proof},
};

use crate::support::{db::TestDb, sql};

/// Columns without such a constraint, or with such a name, and why that is right.
const ALLOWED: &[(&str, &str)] = &[
    (
        "_sqlx_migrations.checksum",
        "the migrator's own: a digest of a file of ours",
    ),
    (
        "_sqlx_migrations.description",
        "the migrator's own: the name of a file of ours",
    ),
    ("gateway.token_hash", "SHA-256"),
    (
        "legacy_contact.email",
        "what an older system leaves; unlogged, emptied by each sweep",
    ),
    ("legacy_contact.name", "as above"),
    ("legacy_contact.phone", "as above"),
    ("legacy_contact.source", "as above"),
    (
        "request.content_hash",
        "8 bytes that the portal computes, of a SHA-256",
    ),
    ("secret.value", "32 random bytes that the database makes"),
    ("service.key_hash", "half a SHA-256"),
    ("service.watch_hash", "SHA-256"),
    ("session.token_hash", "SHA-256"),
    ("staff.subject", "HMAC"),
    ("staff_session.provider_session", "HMAC"),
    ("staff_session.token_hash", "SHA-256"),
    ("staff_set_up.token_hash", "SHA-256"),
];

/// Types that cannot hold text.
const PLAIN: &[&str] = &[
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "array of _int8",
    "real",
    "double precision",
    "numeric",
    "uuid",
    "date",
    "interval",
    "timestamp with time zone",
    "timestamp without time zone",
];

/// Columns as `table.column`, with their type and all their checks.
async fn columns(pool: &PgPool) -> Vec<(String, String, Vec<String>)> {
    sql::rows(pool, "SELECT c.table_name || '.' || c.column_name,
                CASE WHEN c.data_type = 'ARRAY' THEN 'array of ' || c.udt_name ELSE c.data_type END,
                ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
                      WHERE k.contype = 'c' AND k.convalidated AND (
                          k.contypid = (c.domain_schema || '.' || c.domain_name)::regtype
                          OR (c.data_type = 'ARRAY' AND k.contypid = (
                              SELECT y.oid FROM pg_type y WHERE y.typarray = (c.udt_schema || '.' || c.udt_name)::regtype))
                          OR (k.conrelid = (c.table_schema || '.' || c.table_name)::regclass
                              AND k.conkey = ARRAY[c.ordinal_position::int2])))
         FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
         WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' ORDER BY 1").await
}

/// Columns that can hold text, or whose name suggests contact information, and that are not on the
/// list.
async fn open_columns(pool: &PgPool) -> Vec<String> {
    let columns = columns(pool).await;
    let open = columns.into_iter().filter(|(name, kind, checks)| {
        let fits = !PLAIN.contains(&kind.as_str())
            && !checks.iter().any(|check| proof::excludes_at(check));
        let column = name.split_once('.').unwrap().1;
        let named = is_contact_like(column)
            || matches!(column, "address" | "tel" | "person" | "comment" | "note");
        (fits || named) && !ALLOWED.iter().any(|(allowed, _)| allowed == name)
    });
    open.map(|(name, ..)| name).collect()
}

#[tokio::test]
async fn no_column_can_hold_contact_information_unless_it_is_known_why() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let open = open_columns(db.pool()).await;
    assert!(
        open.is_empty(),
        "{open:?}: give each a CHECK that spells out its words or characters, without an @ among them (see dns_name, \
         evidence), or put it on the list in this file with the reason why nothing that a person typed gets there"
    );
    let known = columns(db.pool()).await;
    for (allowed, reason) in ALLOWED {
        assert!(!reason.is_empty());
        // The support desk's tables may not exist yet.
        let is_there = known.iter().any(|(name, ..)| name == allowed);
        assert!(
            is_there || allowed.starts_with("staff"),
            "{allowed} is gone: take it off the list"
        );
    }
}

#[tokio::test]
async fn a_column_added_carelessly_is_caught() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let careless = [
        "text",
        "varchar(40)",
        "char(40)",
        "json",
        "jsonb",
        "bytea",
        "xml",
        "text[]",
        "inet",
        "dns_name_or_more",
        "text CHECK (a ~ '^[a-z@.]+$')",
        "text CHECK (a ~ '[a-z]+')",
        "text CHECK (length(a) < 40)",
    ];
    sql::run(db.pool(), "CREATE DOMAIN dns_name_or_more AS text").await;
    for kind in careless {
        let sql = format!("ALTER TABLE service ADD COLUMN a {kind}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(db.pool())
            .await
            .unwrap();
        assert_eq!(open_columns(db.pool()).await, ["service.a"], "{kind}");
        sql::run(db.pool(), "ALTER TABLE service DROP COLUMN a").await;
    }
    for name in [
        "contact_email",
        "phone",
        "e_mail",
        "mobile_number",
        "surname",
        "comment",
    ] {
        let sql = format!("ALTER TABLE service ADD COLUMN {name} bigint");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(db.pool())
            .await
            .unwrap();
        assert_eq!(open_columns(db.pool()).await, [format!("service.{name}")]);
        let sql = format!("ALTER TABLE service DROP COLUMN {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(db.pool())
            .await
            .unwrap();
    }
    let right = "ALTER TABLE service ADD COLUMN a text CHECK (a IN ('b', 'c')), ADD COLUMN d evidence[], ADD COLUMN e dns_name";
    sql::run(db.pool(), right).await;
    assert!(open_columns(db.pool()).await.is_empty());
}

#[tokio::test]
async fn what_is_taken_for_proof_lets_no_address_through() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let checks: Vec<String> = sql::all(
        db.pool(),
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint
         WHERE contype = 'c' AND connamespace = current_schema()::regnamespace",
    )
    .await;
    let proofs: Vec<_> = checks
        .iter()
        .filter(|check| proof::excludes_at(check))
        .collect();
    assert!(proofs.len() > 10, "{proofs:?}");
    let patterns: Vec<_> = proofs
        .iter()
        .filter_map(|check| check.split_once(" ~ '")?.1.strip_suffix("'::text))"))
        .collect();
    assert!(patterns.len() >= 4, "{patterns:?}");
    // Each valid value with an @ at every place, and around it.
    let right = [
        "contoso.com",
        "ABC123",
        "0123456789ABCDEF",
        "PIC-0000-0000-0000-0000",
        "v=1; p=none",
        "",
    ];
    let mut wrong = vec![
        "@".to_owned(),
        "ted@contoso.com".to_owned(),
        "a\n@\nb".to_owned(),
    ];
    for value in right {
        for place in 0..=value.len() {
            let (before, after) = value.split_at(place);
            wrong.extend([
                format!("{before}@{after}"),
                format!("{before}@"),
                format!("{before}\n@{after}"),
            ]);
        }
    }
    for pattern in patterns {
        let through: Vec<String> =
            sqlx::query_scalar("SELECT v FROM unnest($1::text[]) AS v WHERE v COLLATE \"C\" ~ $2")
                .bind(&wrong)
                .bind(pattern)
                .fetch_all(db.pool())
                .await
                .unwrap();
        assert!(through.is_empty(), "{pattern}: {through:?}");
    }
}

#[tokio::test]
async fn the_table_for_an_older_systems_contacts_leaves_no_traces() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let faults: Vec<String> = sql::all(db.pool(), "SELECT 'logged' FROM pg_class WHERE oid = 'legacy_contact'::regclass AND relpersistence <> 'u'
         UNION ALL SELECT 'statistics of ' || attname FROM pg_attribute
             WHERE attrelid = 'legacy_contact'::regclass AND attnum > 0 AND attstattarget IS DISTINCT FROM 0
         UNION ALL SELECT 'compressed: ' || attname FROM pg_attribute
             WHERE attrelid = 'legacy_contact'::regclass AND attnum > 0 AND attstorage NOT IN ('e', 'p')
         UNION ALL SELECT 'required: ' || attname FROM pg_attribute
             WHERE attrelid = 'legacy_contact'::regclass AND attnum > 0 AND attnotnull
         UNION ALL SELECT 'index ' || indexrelid::regclass FROM pg_index WHERE indrelid = 'legacy_contact'::regclass
         UNION ALL SELECT 'constraint ' || conname FROM pg_constraint WHERE conrelid = 'legacy_contact'::regclass
         UNION ALL SELECT 'extended statistics' FROM pg_statistic_ext WHERE stxrelid = 'legacy_contact'::regclass
         UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = 'legacy_contact'::regclass
         UNION ALL SELECT 'autovacuum' FROM pg_class WHERE oid = 'legacy_contact'::regclass
             AND NOT 'autovacuum_enabled=false' = ANY (coalesce(reloptions, '{}'))
         UNION ALL SELECT 'published' FROM pg_publication WHERE puballtables").await;
    assert!(faults.is_empty(), "{faults:?}");
}
