//! Commands of the operator, with a failure at each statement.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use pic_portal::retention::{
    import::{Format, Order, import},
    purge::{carry_out, survey},
};
use tempfile::TempDir;

use super::{Operation, fail_everywhere};
use crate::support::{app::TestApp, process::scratch};

/// Two services in force, and a request in progress.
const EXPORT: &str = "\
Agreement Type,Agreement Number,Access Edge service FQDN,SIP domain(s),Deployment,Status,Date submitted\r
Volume Licensing,1234567,sip.contoso.com,contoso.com,On-premises,Activated,2014-03-31\r
Volume Licensing,2345678,sip.fabrikam.com,\"fabrikam.com; it.fabrikam.com\",On-premises,Activated,2015-03-31\r
SPLA,7654321,sip.tailspin.example,tailspin.example,Split,In progress,2019-01-02 10:30\r
";

/// Importing an export.
struct Import {
    dir: TempDir,
    tries: AtomicUsize,
}

impl Operation for Import {
    const PLACES: i64 = 13;

    async fn prepare(_: &TestApp) -> Self {
        let dir = scratch();
        fs::write(dir.path().join("export.csv"), EXPORT).unwrap();
        Self {
            dir,
            tries: AtomicUsize::new(0),
        }
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let tries = self.tries.fetch_add(1, Relaxed);
        let order = Order {
            file: self.dir.path().join("export.csv"),
            format: Format::Csv,
            keys: self.dir.path().join(format!("keys-{tries}.csv")),
            dry_run: false,
            numbers_checked: false,
        };
        let mut connection = portal.pool().acquire().await.unwrap();
        let secret = &portal.app.db().secret;
        let report = Box::pin(import(&mut connection, secret, &order, |_| {})).await;
        let report = report.map_err(|error| error.to_string())?;
        assert_eq!((report.provisioned, report.pending), (2, 1));
        assert!(order.keys.exists());
        Ok(())
    }
}

#[tokio::test]
async fn an_export_is_imported_whole_or_not_at_all() {
    fail_everywhere::<Import>().await;
}

/// Emptying the columns of an old portal's table.
struct Purge;

impl Operation for Purge {
    const ATOMIC: bool = false;
    // None of its tables belongs to the portal.
    const PLACES: i64 = 0;

    async fn prepare(portal: &TestApp) -> Self {
        portal
            .run(
                "DROP TABLE IF EXISTS old_request;
                 CREATE TABLE old_request (id int PRIMARY KEY, domain text, contact text);
                 INSERT INTO old_request SELECT n, n || '.example', n || '@aviary.example' FROM generate_series(1, 3000) AS n;
                 ANALYZE old_request",
            )
            .await;
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let target = "old_request(contact)".parse().unwrap();
        let mut connection = portal.pool().acquire().await.unwrap();
        let purged = async {
            let plan = survey(&mut connection, &target).await?;
            carry_out(&mut connection, &plan, Duration::from_secs(20), |_| {}).await
        };
        let report = Box::pin(purged).await.map_err(|error| error.to_string())?;
        assert_eq!(report.remaining, 0);
        Ok(())
    }

    async fn tidy(&self, portal: &TestApp) {
        let kept = "SELECT count(*) FROM old_request WHERE contact IS NULL AND domain IS NOT NULL";
        assert_eq!(portal.number(kept).await, 3_000);
    }
}

#[tokio::test]
async fn old_columns_are_emptied_in_as_many_runs_as_it_takes() {
    fail_everywhere::<Purge>().await;
}
