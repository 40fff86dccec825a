//! Checks `pic-portal import`: all of a file or nothing, and none of its contacts.

mod files;
mod keys;
mod numbers;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Output,
};

use tempfile::TempDir;

use crate::{
    service::sign_in,
    support::{
        app::{TestApp, everything, submission_id},
        assert_says,
        process::{command, program, refused, said, scratch, succeeded},
    },
};

/// An export of an old portal: two lines that are one request, one in progress, one that has ended,
/// contacts in four columns, and an unknown column.
const CSV: &str = "\
Request ID,Agreement Type,Agreement Number,Access Edge service FQDN,SIP domain(s),Deployment,Status,Date submitted,Contact name,E-Mail,Phone,Colour,Notes\r
17,Volume Licensing,123-45 67,sip.contoso.com,contoso.com,On-premises,Activated,2014-03-31,MARK Bob,MARK@aviary.example,MARK-1,red,\"call
MARK\"\r
17,Volume Licensing,1234567,EDGE.contoso.com.,\"fabrikam.com; it.contoso.com\",On-premises,Activated,2014-03-31,MARK Bob,,,,\r
18,SPLA,7654321,sip.tailspin.example,tailspin.example,Split,In progress,2019-01-02 10:30,,MARK@aviary.example,,,\r
19,MPN,1,MARK,no names at all MARK,,Cancelled,,MARK,,,,\r
";

const JSON: &str = r#"[
  {"requestId": 17, "programme": "volume_licensing", "agreementNumber": 1234567, "accessEdge": "sip.contoso.com",
   "sipDomains": ["contoso.com"], "state": "activated", "contactEmail": "MARK@aviary.example",
   "contact": {"name": "MARK {]}\"", "phones": ["MARK"]}, "colour": "MARK", "notes": null},
  {"requestId": 17, "programme": "volume_licensing", "agreementNumber": "1234567", "accessEdge": "edge.contoso.com",
   "sipDomains": ["fabrikam.com", "it.contoso.com"], "state": "activated"},
  {"requestId": 18, "programme": "SPLA", "agreementNumber": "7654321", "accessEdge": "sip.tailspin.example",
   "sipDomains": "tailspin.example", "deployment": "split", "state": "in progress"}
]"#;

/// A portal, and a directory for files.
struct Place {
    portal: TestApp,
    scratch: TempDir,
    mark: String,
}

impl Place {
    async fn new() -> Self {
        Self {
            portal: TestApp::new().await,
            scratch: scratch(),
            mark: format!("canary{}", &submission_id()[..8]),
        }
    }

    /// Writes an export, in which every `MARK` is replaced by this test's own.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::write(&path, text.replace("MARK", &self.mark)).unwrap();
        path
    }

    fn keys(&self, name: &str) -> PathBuf {
        self.scratch.path().join(format!("{name}.keys.csv"))
    }

    async fn import(&self, file: &Path, more: &[&str]) -> Output {
        let output = command(
            &program(),
            &[
                ("DATABASE_URL", &self.portal.db().url()),
                ("PIC_LOG", "trace"),
                ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
            ],
        )
        .arg("import")
        .arg(file)
        .args(more)
        .output()
        .await
        .unwrap();
        let (stdout, stderr) = said(&output);
        assert!(!(stdout + &stderr).contains(&self.mark), "no value is said");
        output
    }

    /// Imports a valid text; returns the output.
    async fn right(&self, name: &str, text: &str) -> String {
        let output = self.import(&self.file(name, text), &[]).await;
        succeeded(&output)
    }

    /// Imports an invalid text, of which nothing may be imported; returns the output.
    async fn wrong(&self, name: &str, text: &str) -> String {
        let before = self.portal.number("SELECT count(*) FROM request").await;
        let output = self.import(&self.file(name, text), &[]).await;
        let fault = refused(&output);
        assert_eq!(
            self.portal.number("SELECT count(*) FROM request").await,
            before,
            "all or nothing"
        );
        assert!(!self.keys(name).exists(), "no keys that open nothing");
        fault
    }

    /// Checks that nothing of the contacts is in the database or in the output.
    async fn assert_clean(&self, export: &str) {
        let kept = everything(self.portal.pool()).await;
        assert!(kept.contains("tailspin.example"), "the eye is sharp");
        assert!(
            !kept.to_lowercase().contains(&self.mark),
            "a table holds it"
        );
        for file in fs::read_dir(self.scratch.path()).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let is_export = path.file_name().unwrap() == export;
            assert_eq!(text.contains(&self.mark), is_export, "{}", path.display());
        }
    }
}

async fn routes(portal: &TestApp) -> Vec<(String, String)> {
    portal
        .rows("SELECT sip_domain::text, access_edge::text FROM route ORDER BY sip_domain")
        .await
}

/// The rows of a keys file: programme, number, reference, key.
fn keys(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("programme,number,reference,management key")
    );
    lines
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect()
}

/// The contents of both exports, as the portal's own pages show them.
async fn assert_has_come_over(place: &Place, keys: &[Vec<String>]) {
    let portal = &place.portal;
    let [one, other] = keys else {
        panic!("two services: {}", keys.len());
    };
    assert_eq!(one[..2], ["volume_licensing", "1234567"]);
    assert_eq!(other[..2], ["service_provider", "7654321"]);
    let in_force = [
        ("contoso.com", "sip.contoso.com"),
        ("fabrikam.com", "edge.contoso.com"),
        ("it.contoso.com", "edge.contoso.com"),
    ];
    let in_force = in_force.map(|(domain, edge)| (domain.to_owned(), edge.to_owned()));
    assert_eq!(routes(portal).await, in_force);
    assert_eq!(portal.state(&one[2]).await, "provisioned");
    assert_eq!(portal.state(&other[2]).await, "pending");
    let cookie = sign_in(portal, &one[3]).await;
    let hub = portal.get_with("/service", &cookie).await;
    hub.shows("3 SIP domains");
    hub.shows("fabrikam.com");
    // A key opens its own service only.
    let fields = [("number", "1234567"), ("management_key", other[3].as_str())];
    let answer = portal.post("/service", &fields).await;
    assert!(answer.status.is_client_error());
    // Pending requests go on as if they had been submitted here.
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(portal.state(&other[2]).await, "provisioned");
    assert_eq!(routes(portal).await.len(), 4);
    let timelines = "SELECT count(*) FROM request r WHERE r.state = 'provisioned' AND (
        SELECT array_agg(code || ' ' || actor ORDER BY seq) FROM timeline WHERE request_id = r.id
    ) = '{submitted portal,provisioned portal}'";
    assert_eq!(portal.number(timelines).await, 2);
}

#[tokio::test]
async fn an_export_in_csv_comes_over_without_its_contacts() {
    let place = Place::new().await;
    let report = place.right("old.csv", CSV).await;
    for told in [
        "4 lines read",
        "1 service brought over with its routes in force",
        "1 request brought over that is pending",
        "These have 4 SIP domains",
        "1 line of requests that are over",
        "3 values, contact name.",
        "2 values, e mail.",
        "1 value, phone.",
        "1 value, notes.",
        "1 value, column 12, of an unknown header.",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
    let path = place.keys("old.csv");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let since = "SELECT count(*) FROM request WHERE submitted_at = '2014-03-31T00:00:00Z' AND state = 'provisioned'";
    assert_eq!(place.portal.number(since).await, 1);
    let now = "SELECT count(*) FROM request WHERE submitted_at > pic_now() - interval '1 hour' AND state = 'pending'";
    assert_eq!(place.portal.number(now).await, 1);
    assert_has_come_over(&place, &keys(&path)).await;
    place.assert_clean("old.csv").await;
}

#[tokio::test]
async fn an_export_in_json_comes_over_without_its_contacts() {
    let place = Place::new().await;
    let report = place.right("old.json", JSON).await;
    for told in [
        "3 lines read",
        "These have 4 SIP domains",
        "1 value, contact email.",
        "1 value, contact.",
        "1 value, members of unknown names.",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
    assert_has_come_over(&place, &keys(&place.keys("old.json"))).await;
    place.assert_clean("old.json").await;
}

#[tokio::test]
async fn objects_one_after_the_other_and_other_delimiters_do_too() {
    let place = Place::new().await;
    let lines = r#"{"program": "MPN", "partner id": "1", "edge": "sip.a.example", "domain": "a.example"}
{"program": "MPN", "partner id": "2", "edge": "sip.b.example", "domain": "b.example"}
"#;
    let report = place.right("old.jsonl", lines).await;
    assert_says(&report, "2 requests brought over that are pending");
    let lines = "\u{feff}Program;HQ partner ID;Edge;Domains;E-mail\nMPN;3;sip.c.example;c.example, d.example;MARK\n";
    let report = place.right("semicolons.csv", lines).await;
    assert_says(&report, "These have 2 SIP domains");
    let lines = lines
        .replace(';', "\t")
        .replace("c.", "e.")
        .replace("d.", "f.")
        .replace('3', "4");
    let report = place.right("tabs.csv", &lines).await;
    assert_says(&report, "These have 2 SIP domains");
    assert_eq!(place.portal.work().await.provisioned, 4);
    // Lines of one agreement are one request where they have no request number.
    let lines = "Program,Number,Edge,Domain\nMPN,9,sip.g.example,g.example\nHVS,8,sip.h.example,h.example\nMPN,9,sip.g.example,i.example\n";
    let report = place.right("agreements.csv", lines).await;
    assert_says(&report, "2 requests brought over");
    assert_eq!(keys(&place.keys("agreements.csv")).len(), 2);
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let place = Place::new().await;
    place.right("old.csv", CSV).await;
    let path = place.keys("old.csv");
    let (first, kept) = (
        fs::read_to_string(&path).unwrap(),
        contents(&place.portal).await,
    );
    assert!(kept.len() > 10);
    // Under the old file name, under another, and after requests have gone on.
    for name in ["old.csv", "again.csv"] {
        let report = place.right(name, CSV).await;
        assert_says(&report, "2 requests had been imported before");
        assert_says(&report, "0 services brought over");
        assert!(!report.contains("The management keys are in"), "{report}");
    }
    assert!(!place.keys("again.csv").exists());
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(contents(&place.portal).await, kept);
    place.portal.work().await;
    place.right("old.csv", CSV).await;
    assert_eq!(routes(&place.portal).await.len(), 4);

    // A longer file of the same kind: only new requests are imported.
    let more = format!("{CSV}20,MPN,5,sip.new.example,new.example,,Activated,,,,,,\r\n");
    let report = place.right("more.csv", &more).await;
    assert_says(&report, "1 service brought over");
    assert_says(&report, "2 requests had been");
    assert_eq!(keys(&place.keys("more.csv")).len(), 1);
}

/// Every row of the tables that an import writes to.
async fn contents(portal: &TestApp) -> Vec<String> {
    portal
        .all(
            "SELECT s::text FROM service s UNION ALL SELECT r::text FROM request r
         UNION ALL SELECT d::text FROM request_route d
         UNION ALL SELECT x::text FROM route x UNION ALL SELECT v::text FROM event v
         UNION ALL SELECT w::text FROM work w ORDER BY 1",
        )
        .await
}

#[tokio::test]
async fn a_dry_run_stores_nothing_and_writes_nothing() {
    let place = Place::new().await;
    let before = place
        .portal
        .number("SELECT last_value FROM request_id_seq")
        .await;
    let report = succeeded(
        &place
            .import(&place.file("old.csv", CSV), &["--dry-run"])
            .await,
    );
    assert_says(&report, "1 service would be brought over");
    assert_says(&report, "Nothing was changed");
    assert_eq!(place.portal.number("SELECT count(*) FROM service").await, 0);
    assert_eq!(
        place
            .portal
            .number("SELECT last_value FROM request_id_seq")
            .await,
        before
    );
    assert!(!place.keys("old.csv").exists());
}

#[tokio::test]
async fn a_keys_file_that_is_there_is_never_written_to() {
    let place = Place::new().await;
    let file = place.file("old.csv", CSV);
    fs::write(place.keys("old.csv"), "somebody's").unwrap();
    let fault = refused(&place.import(&file, &[]).await);
    assert_says(&fault, "old.csv.keys.csv");
    assert_says(&fault, "--keys");
    assert_eq!(
        fs::read_to_string(place.keys("old.csv")).unwrap(),
        "somebody's"
    );
    assert_eq!(place.portal.number("SELECT count(*) FROM service").await, 0);
    let elsewhere = place.scratch.path().join("elsewhere");
    succeeded(
        &place
            .import(&file, &["--keys", elsewhere.to_str().unwrap()])
            .await,
    );
    assert_eq!(keys(&elsewhere).len(), 2);
}

/// Lines below these headers, and the message about each.
const HEADERS: &str = "id,programme,number,edge,domain,deployment,state,submitted,email\n";
const WRONG: &[(&str, &[&str])] = &[
    (
        // One line with an error in every field.
        "1,Free,,contoso.com,MARK@contoso.com,moon,happy,31.03.14,x\n",
        &[
            "line 2, column programme: is none of the four",
            "line 2, column number: is empty",
            "line 2, column access edge: That is a SIP domain, not a server",
            "line 2, column sip domain: holds an address",
            "line 2, column deployment: is neither",
            "line 2, column state: is not a state",
            "line 2, column submitted: is not a day",
        ],
    ),
    (
        // Addresses everywhere; of several names the wrong ones.
        "MARK@a.example,MARK@a.example,MARK@a.example,sip:MARK@a.example,a.example,,,,\n\
         2,MPN,MARK_1,192.0.2.1,\"a.example, MARK, co.uk\",,,,\n",
        &[
            "line 2, column request id: holds an address",
            "line 2, column programme: holds an address",
            "line 2, column number: holds an address",
            "line 2, column access edge: holds an address",
            "line 3, column number: the agreement number has a character",
            "line 3, column access edge: That looks like an IP address",
            "line 3, column sip domain: The name is not complete",
            "line 3, column sip domain: Many organisations share that ending",
        ],
    ),
    (
        "1,MPN,1,sip.a.example,a.example,,,2999-01-01,\n1,MPN,1\n",
        &[
            "line 2, column submitted: lies in the future",
            "line 3: has 3 fields, and the line of headers 9",
        ],
    ),
    (
        // Lines are counted as an editor counts them.
        "1,MPN,1,sip.a.example,a.example,,,,\"a\r\nb\nc\"\r\n\r\n\n2,MPN,,sip.b.example,b.example,,,,\r\n\"3\",SPLA,,sip.c.example,c.example,,,,",
        &[
            "line 7, column number: is empty",
            "line 8, column number: is empty",
        ],
    ),
    (
        // Lines of one request that contradict each other.
        "1,MPN,1,sip.a.example,a.example,,activated,,\n1,MPN,2,sip.a.example,b.example,,activated,,\n\
         2,MPN,1,sip.c.example,c.example,,activated,,\n2,MPN,1,sip.c.example,d.example,,pending,,\n\
         3,MPN,1,sip.e.example,e.example,,,,\n3,SPLA,1,sip.e.example,f.example,,,,\n",
        &[
            "line 3, column number: is not what line 2 says",
            "line 5, column state: is not what line 4 says",
            "line 7, column programme: is not what line 6 says",
        ],
    ),
    (
        // The portal's rules for routes.
        "1,MPN,1,sip.a.example,a.example,,,,\n1,MPN,1,edge.a.example,a.example,,,,\n\
         2,MPN,1,sip.c.example,sip.c.example,,,,\n",
        &[
            "line 3, column sip domain: stands at another Access Edge",
            "line 4, column sip domain: is the name of an Access Edge",
        ],
    ),
    (
        // Two requests for one domain.
        "1,MPN,1,sip.a.example,a.example,,activated,,\n2,MPN,2,sip.a.example,\"b.example,a.example\",,,,\n",
        &["line 3, column sip domain: stands at line 2 too"],
    ),
];

#[tokio::test]
async fn what_is_wrong_is_told_by_line_and_nothing_comes_in() {
    let place = Place::new().await;
    for (at, (lines, faults)) in WRONG.iter().enumerate() {
        let fault = place
            .wrong(&format!("wrong{at}.csv"), &format!("{HEADERS}{lines}"))
            .await;
        for told in *faults {
            assert!(fault.contains(told), "{told}: {fault}");
        }
        let told = fault.lines().filter(|line| line.starts_with("line "));
        assert_eq!(told.count(), faults.len(), "{fault}");
    }
    // An eleventh edge; ten are allowed.
    let edges = |count: i32| {
        let line = |n| format!("1,MPN,1,sip{n}.x.example,d{n}.x.example,,,,\n");
        format!("{HEADERS}{}", (0..count).map(line).collect::<String>())
    };
    let fault = place.wrong("edges.csv", &edges(11)).await;
    assert_says(
        &fault,
        "line 12, column access edge: is the request's eleventh",
    );
    let domains: Vec<_> = (0..1_001).map(|n| format!("d{n}.example")).collect();
    let lines = format!("{HEADERS}1,MPN,1,sip.x.example,{},,,,\n", domains.join(" "));
    let fault = place.wrong("domains.csv", &lines).await;
    assert_says(
        &fault,
        "line 2, column sip domain: the request that begins here has more than 1000",
    );
    // A hundred errors are printed, the others counted.
    let lines = format!(
        "{HEADERS}{}",
        "1,MPN,,sip.a.example,a.example,,,,\n".repeat(150)
    );
    let fault = place.wrong("many.csv", &lines).await;
    assert_says(&fault, "line 101, column number");
    assert_says(&fault, "... and 50 more");
    assert!(!fault.contains("line 102"), "{fault}");
    place.right("ten.csv", &edges(10)).await;
}

#[tokio::test]
async fn files_that_are_no_export_are_refused() {
    let place = Place::new().await;
    for (name, text, told) in [
        (
            "a.csv",
            "programme,number,edge\n",
            "no column for the sip domain",
        ),
        (
            "b.csv",
            "Bob MARK,MARK@aviary.example\n",
            "no column for the programme",
        ),
        ("c.csv", "", "line 1: is empty"),
        (
            "d.csv",
            "programme,number,edge,domain,domains\n",
            "line 1, column sip domain: is there twice",
        ),
        (
            "e.json",
            "[{\"programme\": \"MARK\"",
            "line 1: begins an object that does not end",
        ),
        (
            "f.json",
            "[\n{\"programme\": \"MPN\"},",
            "line 2: ends before the array does",
        ),
        (
            "g.json",
            "\n\"MARK\"",
            "line 2: is neither an array of objects nor",
        ),
        ("h.json", "[{\"programme\": MARK}]", "line 1: is not JSON"),
        (
            "i.json",
            "[{\"programme\": {\"a\": \"MARK\"}}]",
            "line 1, column programme: is neither a text nor",
        ),
        (
            "j.json",
            "[{\"programme\": \"MPN\", \"program\": \"MARK\"}]",
            "line 1, column programme: is there twice",
        ),
        (
            "k.json",
            "[{\"programme\": \"MPN\", \"domains\": [[1]]}]",
            "line 1, column sip domain: is a list of something else",
        ),
    ] {
        let fault = place.wrong(name, text).await;
        assert!(fault.contains(told), "{name}: {told}: {fault}");
    }
    let quote = format!("{HEADERS}\"{}", "MARK,\n".repeat(400_000));
    let fault = place.wrong("quote.csv", &quote).await;
    assert_says(&fault, "line 2: goes on for more than a megabyte");
    let gone = place
        .import(&place.scratch.path().join("gone.csv"), &[])
        .await;
    assert!(refused(&gone).contains("cannot read"));
}

#[tokio::test]
async fn what_others_hold_does_not_come_in() {
    let place = Place::new().await;
    place
        .portal
        .submit(&[("sip.contoso.com", "contoso.com it.contoso.com")])
        .await;
    assert_eq!(place.portal.work().await.provisioned, 1);
    let before = routes(&place.portal).await;
    let fault = place.wrong("old.csv", CSV).await;
    assert_says(
        &fault,
        "line 2, column sip domain: is in force under another service",
    );
    assert_says(
        &fault,
        "line 4, column sip domain: is in force under another service",
    );
    assert_eq!(routes(&place.portal).await, before);
    // And a request that was imported before must not differ now.
    let file = "id,programme,number,edge,domain\n1,MPN,1,sip.a.example,a.example\n";
    place.right("one.csv", file).await;
    let fault = place
        .wrong("other.csv", &file.replace("a.example", "b.example"))
        .await;
    assert_says(
        &fault,
        "line 2: the request that begins here was imported before",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_goes_on_while_a_file_comes_in() {
    let place = Place::new().await;
    let line =
        |n| format!("{n},MPN,{n},sip.f{n}.example,f{n}.example,,activated,,MARK@aviary.example\n");
    let text = format!("{HEADERS}{}", (1..=6_000).map(line).collect::<String>());
    let file = place.file("big.csv", &text);
    let portal = &place.portal;
    let (output, submitted) = tokio::join!(place.import(&file, &[]), async {
        // Whatever step it is at, some of these run at the same time.
        let mut submitted = 0;
        while portal.number("SELECT count(*) FROM service").await < 6_000 {
            portal.store(5).await;
            portal.work().await;
            submitted += 5;
        }
        submitted
    });
    let report = succeeded(&output);
    assert_says(&report, "6000 services brought over");
    assert_says(&report, "6000 values, email.");
    assert!(submitted > 5, "they ran side by side");
    assert_eq!(routes(portal).await.len(), 6_000 + submitted);
    assert_eq!(keys(&place.keys("big.csv")).len(), 6_000);
}
