//! Checks that the management keys of imported services are in the keys file, and nowhere else.

use super::{Place, keys};
use crate::{
    service::sign_in,
    support::{
        app::{TestApp, request},
        assert_says, eventually, sql,
    },
};
use pic_portal::{
    request::reference::{Reference, SubmissionId},
    secret::{ManagementKey, Secret},
};

/// Two services, one under the old portal's number and one without.
const BY_ID: &str = "\
Request ID,Agreement Type,Agreement Number,Access Edge,SIP domain,Status
17,Volume Licensing,1234567,sip.contoso.com,contoso.com,Activated
";
const BY_AGREEMENT: &str = "\
Agreement Type,Agreement Number,Access Edge,SIP domain,Status
SPLA,7654321,sip.tailspin.example,tailspin.example,Activated
";

/// The submission id for an old number, or for an agreement, in this database: a version 4 UUID of
/// bytes derived from its secret.
fn submission(secret: &Secret, label: &[u8], what: &str) -> SubmissionId {
    let group = secret.mac(label, what.as_bytes());
    let bytes = secret.mac(b"pic-portal imported submission\0", &group);
    let id = uuid::Builder::from_random_bytes(bytes[..16].try_into().unwrap()).into_uuid();
    SubmissionId::parse(&id.to_string()).unwrap()
}

async fn hashes(portal: &TestApp) -> Vec<Vec<u8>> {
    portal
        .all("SELECT key_hash FROM service ORDER BY number")
        .await
}

#[tokio::test]
async fn what_sql_holds_computes_no_key_of_an_imported_service() {
    let place = Place::new().await;
    let portal = &place.portal;
    place.right("ids.csv", BY_ID).await;
    place.right("agreements.csv", BY_AGREEMENT).await;
    let hashes = hashes(portal).await;
    assert_eq!(hashes.len(), 2);

    let stored: Vec<u8> = portal.one("SELECT value FROM secret").await;
    let secret = Secret::from_bytes(&stored).unwrap();
    let ids = [
        submission(&secret, b"pic-portal import by id\0", "17"),
        submission(
            &secret,
            b"pic-portal import by agreement\0",
            "service_provider\x007654321",
        ),
    ];
    for id in &ids {
        // They are the right ids: SQL has their references.
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM request WHERE reference = $1")
            .bind(Reference::derive(&secret, id).to_string())
            .fetch_one(portal.pool())
            .await
            .unwrap();
        assert_eq!(known, 1);
        let computed = ManagementKey::derive(&secret, id.as_bytes());
        assert!(!hashes.iter().any(|hash| computed.matches(hash)));
        for number in ["1234567", "7654321"] {
            let fields = [("number", number), ("management_key", &computed.reveal())];
            let answer = portal.post("/service", &fields).await;
            assert!(answer.status.is_client_error(), "{}", answer.status);
        }
    }
    // Nor does the portal reveal it to a client that sends the same again under that id.
    let id = ids[0].to_field();
    let again = portal
        .post(
            "/requests/new",
            &request(&id, &[("sip.contoso.com", "contoso.com")]),
        )
        .await;
    let receipt = again.header("location").to_owned();
    let receipt = portal.get_with(&receipt, &again.cookie()).await;
    assert!(receipt.attribute("data-management-key").is_none());
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 2);

    // The keys in the files open their services.
    for file in ["ids.csv", "agreements.csv"] {
        let row = keys(&place.keys(file)).remove(0);
        let key = ManagementKey::parse(&row[3]).unwrap();
        assert!(hashes.iter().any(|hash| key.matches(hash)));
    }
    let row = keys(&place.keys("ids.csv")).remove(0);
    sign_in(portal, &row[3]).await;
}

/// If the process ends at the commit or after it, the keys can be read.
#[tokio::test]
async fn the_keys_are_in_the_file_before_the_services_are_stored() {
    let place = Place::new().await;
    let portal = &place.portal;
    // The commit waits for a lock that this test holds.
    portal
        .run(
            "CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_advisory_xact_lock(16);
                 RETURN NULL;
             END $$;
             CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT ON service DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION wait_at_commit()",
        )
        .await;
    let mut holder = portal.pool().acquire().await.unwrap();
    let lock = "SELECT pg_advisory_lock(16)";
    sql::run(&mut *holder, lock).await;
    tokio::join!(place.right("ids.csv", BY_ID), async {
        eventually("the commit waits", async || {
            let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            (portal.number(waits).await == 1).then_some(())
        })
        .await;
        assert_eq!(portal.number("SELECT count(*) FROM service").await, 0);
        assert_eq!(keys(&place.keys("ids.csv")).len(), 1);
        let unlock = "SELECT pg_advisory_unlock(16)";
        sql::run(&mut *holder, unlock).await;
    });
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 1);
}

#[tokio::test]
async fn what_was_imported_before_keeps_its_key_which_is_not_written_again() {
    let place = Place::new().await;
    place.right("ids.csv", BY_ID).await;
    let first = hashes(&place.portal).await;
    let more = format!("{BY_ID}18,MPN,5,sip.new.example,new.example,Activated\n");
    let report = place.right("more.csv", &more).await;
    assert_says(
        &report,
        "It keeps its management key, which is not written again",
    );
    let rows = keys(&place.keys("more.csv"));
    assert_eq!((rows.len(), rows[0][1].as_str()), (1, "5"));
    let after = hashes(&place.portal).await;
    assert!(after.len() == 2 && after.contains(&first[0]));
    let help = place.import(std::path::Path::new("--help"), &[]).await;
    let help = String::from_utf8(help.stdout)
        .unwrap()
        .replace(char::is_whitespace, " ");
    assert_says(&help, "keeps its keys");
}
