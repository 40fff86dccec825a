//! Marks that operators put on command lines and into export files, and what Prometheus reads.

use std::{fmt::Write as _, fs, net::SocketAddr, process::Stdio};

use axum::http::StatusCode;

use super::Canary;
use crate::support::process::{Portal, command, exchange, program, scratch};

/// Tries every form as the name of an account of the support desk; each must be refused without
/// being repeated. Returns how many were tried.
pub(super) async fn as_staff_names(canary: &Canary, settings: &[(&str, &str)]) -> usize {
    // An argument cannot have a NUL.
    let forms = || canary.forms.iter().filter(|form| !form.contains('\0'));
    for form in forms() {
        let refused = command(&program(), settings)
            .args(["staff", "add", "--", form])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(!refused.status.success(), "{form} is no account's name");
        let said = [refused.stdout, refused.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!canary.is_in(&said), "{said}");
    }
    forms().count()
}

/// Imports an old portal's export that has a form in each line's contact columns and in an unknown
/// column. Returns how many there were.
pub(super) async fn in_an_export(canary: &Canary, settings: &[(&str, &str)]) -> usize {
    // Outside the directory that is searched: the export itself is the operator's file.
    let aside = scratch();
    let file = aside.path().join("export.csv");
    let mut export =
        String::from("programme,number,edge,domain,state,email,contact name,remarks\n");
    for (place, form) in canary.forms.iter().enumerate() {
        let quoted = format!("\"{}\"", form.replace('\0', "").replace('"', "\"\""));
        let _ = writeln!(
            export,
            "Volume Licensing,7654321,sip.old.example,d{place}.old.example,activated,{quoted},{quoted},{quoted}"
        );
    }
    fs::write(&file, export).unwrap();
    let came = command(&program(), settings)
        .arg("import")
        .arg(&file)
        .output()
        .await
        .unwrap();
    let said = [came.stdout, came.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(came.status.success(), "{said}");
    assert!(!canary.is_in(&said), "{said}");
    let keys = fs::read_to_string(aside.path().join("export.csv.keys.csv")).unwrap();
    assert!(keys.contains("7654321") && !canary.is_in(&keys), "{keys}");
    canary.forms.len() * 3
}

/// Imports an export that has forms in the column of agreement numbers, and digits that could be a
/// telephone number: each line must be refused without being repeated. Returns how many there were.
pub(super) async fn as_agreement_numbers(canary: &Canary, settings: &[(&str, &str)]) -> usize {
    let aside = scratch();
    let file = aside.path().join("numbers.csv");
    let mut export = String::from("programme,number,edge,domain\n");
    let digits = format!("0151{}", canary.marks.last().unwrap());
    let forms = canary.forms.iter().chain([&digits]);
    let mut count = 0;
    for form in forms {
        let quoted = form.replace('\0', "").replace('"', "\"\"");
        let _ = writeln!(
            export,
            "High Volume,\"{quoted}\",sip.old.example,n{count}.old.example"
        );
        count += 1;
    }
    fs::write(&file, export).unwrap();
    let refused = command(&program(), settings)
        .arg("import")
        .arg(&file)
        .output()
        .await
        .unwrap();
    let said = [refused.stdout, refused.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!refused.status.success() && !canary.is_in(&said), "{said}");
    let told = said.matches(", column number: ").count();
    assert_eq!(told, count, "{said}");
    assert!(!aside.path().join("numbers.csv.keys.csv").exists());
    count
}

/// The metrics of a portal with `PIC_METRICS_LISTEN`.
pub(super) async fn metrics(portal: &Portal) -> String {
    let log = portal.log();
    let (_, rest) = log.split_once("metrics on http://").unwrap();
    let address: SocketAddr = rest.split('/').next().unwrap().parse().unwrap();
    let scrape = exchange(address, "GET", "/metrics", &[], "").await.unwrap();
    assert_eq!(scrape.status, StatusCode::OK);
    scrape.shows("pic_database_up 1");
    scrape.body
}
