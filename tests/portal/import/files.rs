//! Checks that exports are read as programs write them, and that other files are named for what they are.

use std::{fmt::Write as _, fs, path::Path};

use super::{Place, keys, refused, routes, said, succeeded};
use crate::support::{assert_says, sql};

const ROWS: &str = "\
Programme,Agreement Number,Access Edge FQDN,SIP Domain,Status,Submitted
Volume Licensing,1234567,sip.contoso.com,contoso.com,Activated,2014-03-31
Volume Licensing,7654321,sip.fabrikam.com,fabrikam.com,Activated,2014-03-31
";

fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

impl Place {
    /// Writes a file of these bytes.
    fn bytes(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.scratch.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Imports a file of `tests/cases`.
    async fn case(&self, name: &str) -> std::process::Output {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cases")
            .join(name);
        let file = name.replace('/', "-");
        self.import(&self.bytes(&file, &fs::read(from).unwrap()), &[])
            .await
    }

    /// Imports each file, and checks that all of `ROWS` came over.
    async fn assert_each(&self, files: &[(&str, Vec<u8>)]) {
        for (what, bytes) in files {
            let output = self.import(&self.bytes("old.csv", bytes), &[]).await;
            assert!(succeeded(&output).starts_with("2 lines read."), "{what}");
            self.assert_both(what, "old.csv").await;
            fs::remove_file(self.keys("old.csv")).unwrap();
        }
    }

    /// Checks that each file is refused with one fault, and that nothing came over.
    async fn assert_refused(&self, files: &[(&str, Vec<u8>, &str)]) {
        for (name, bytes, told) in files {
            let fault = refused(&self.import(&self.bytes(name, bytes), &[]).await);
            assert!(fault.contains(told), "{name}: {told}: {fault}");
            assert_eq!(fault.matches("\nline ").count(), 1, "{fault}");
        }
        assert_eq!(self.portal.number("SELECT count(*) FROM service").await, 0);
    }

    /// Checks that both services of `ROWS` came over, and forgets them.
    async fn assert_both(&self, what: &str, file: &str) {
        let services = "SELECT string_agg(number, ' ' ORDER BY number) FROM service";
        let numbers: String = sql::one(self.portal.pool(), services).await;
        assert_eq!(numbers, "1234567 7654321", "{what}");
        let edges = [
            ("contoso.com", "sip.contoso.com"),
            ("fabrikam.com", "sip.fabrikam.com"),
        ];
        let edges = edges.map(|(domain, edge)| (domain.to_owned(), edge.to_owned()));
        assert_eq!(routes(&self.portal).await, edges, "{what}");
        assert_eq!(keys(&self.keys(file)).len(), 2, "{what}");
        self.portal
            .run("TRUNCATE service, request, domain_in_force CASCADE")
            .await;
    }
}

#[tokio::test]
async fn cases_from_the_field_come_over() {
    let place = Place::new().await;
    for case in [
        "import-empty-rows/old.csv",
        "import-first-line/sep.csv",
        "import-first-line/type.csv",
        "import-spreadsheet-numbers/formula.csv",
        "import-utf16/old.csv",
    ] {
        let report = succeeded(&place.case(case).await);
        assert!(report.starts_with("2 lines read."), "{case}: {report}");
        place.assert_both(case, &case.replace('/', "-")).await;
    }
    let report = succeeded(&place.case("import-json-wrapped/old.json").await);
    assert_says(&report, "1 service brought over with its routes in force.");
    assert_says(&report, "These have 1 SIP domain.");
    place
        .portal
        .run("TRUNCATE service, request, domain_in_force CASCADE")
        .await;
    let report = succeeded(&place.case("import-proxyfqdn/CsAllowedDomains.csv").await);
    assert_says(&report, "1 request brought over that is pending");
    assert_says(&report, "Dropped at the door: 1 value, comment.");
    let output = place.case("import-spreadsheet-numbers/rounded.csv").await;
    let fault = refused(&output);
    assert_says(
        &fault,
        "line 2, column number: was rounded by a spreadsheet",
    );
    assert!(
        !fault.contains("line 3") && !said(&output).0.contains("1234567"),
        "{fault}"
    );
}

#[tokio::test]
async fn every_encoding_line_end_and_delimiter_is_read() {
    let place = Place::new().await;
    let marked = format!("\u{feff}{ROWS}");
    let quoted = ROWS
        .replace("SIP Domain", "\"SIP\nDomain\"")
        .replace("contoso.com,A", "\"contoso.com\r\n\",A");
    let spare = ROWS.replace('\n', ",,\n");
    let files: [(&str, Vec<u8>); 17] = [
        ("UTF-8 with a mark", marked.clone().into()),
        ("UTF-16 LE without a mark", utf_16(ROWS, u16::to_le_bytes)),
        ("UTF-16 BE without a mark", utf_16(ROWS, u16::to_be_bytes)),
        ("UTF-16 LE", utf_16(&marked, u16::to_le_bytes)),
        ("UTF-16 BE", utf_16(&marked, u16::to_be_bytes)),
        ("carriage returns", ROWS.replace('\n', "\r").into()),
        ("no end of the last line", ROWS.trim_end().into()),
        ("vertical bars", ROWS.replace(',', "|").into()),
        (
            "sep=, quoted",
            format!("\"SEP=|\"\r\n{}", ROWS.replace(',', "|")).into(),
        ),
        (
            "sep= of a tab",
            format!("sep=\t\n{}", ROWS.replace(',', "\t")).into(),
        ),
        (
            "empty lines and rows",
            format!("\n;;\n{ROWS}\n,,,,,\n \n").into(),
        ),
        ("quoted line ends", quoted.into()),
        ("columns without headers", spare.into()),
        (
            "rows that end early",
            ROWS.replace("Submitted", "Submitted,Notes,,").into(),
        ),
        (
            "rows of spaces that do not break",
            format!("{ROWS}\u{a0},\u{a0},,,,\n").into(),
        ),
        ("sep= of nothing", format!("sep=\n{ROWS}").into()),
        ("sep= of another file", format!("sep=;\n{ROWS}").into()),
    ];
    place.assert_each(&files).await;
    // Contacts in any other encoding do not matter: they are dropped.
    let latin = ROWS
        .replace("Submitted\n", "Submitted,Contact\n")
        .replace("2014-03-31\n", "2014-03-31,M\u{1}ller\n");
    let latin: Vec<u8> = latin
        .bytes()
        .map(|b| if b == 1 { 0xfc } else { b })
        .collect();
    let report = succeeded(&place.import(&place.bytes("old.csv", &latin), &[]).await);
    assert_says(&report, "2 values, contact.");
}

#[tokio::test]
async fn every_form_of_table_and_value_is_read() {
    let place = Place::new().await;
    let barred = ROWS
        .lines()
        .map(|line| format!("| {} |", line.replace(',', " | ")));
    let barred: Vec<_> = barred.collect();
    let (headers, rows) = (&barred[0], barred[1..].join("\n"));
    let plain = |text: &str| text.replace("| ", "").replace(" |", " ");
    let files: [(&str, Vec<u8>); 12] = [
        (
            "domains as people write them",
            ROWS.replace(",contoso.com", ",\u{2022} @contoso.com (main)")
                .replace(",fabrikam.com", ",1. fabrikam.com<br>")
                .into(),
        ),
        (
            "domains and headers of SharePoint",
            ROWS.replace(",fabrikam.com", ",fabrikam.com;#12")
                .replace(' ', "_x0020_")
                .replace("Volume_x0020_Licensing", "VL")
                .into(),
        ),
        (
            "days that can be read one way alone",
            ROWS.replace("2014-03-31\nV", "31.03.2014\nV")
                .replace("2014-03-31\n", "3/31/2014 2:05 PM\n")
                .into(),
        ),
        (
            "a file behind another",
            format!("{}{}", ROWS, ROWS.lines().next().unwrap()).into(),
        ),
        (
            "whole numbers as a program writes them",
            ROWS.replace("1234567", "'1234567")
                .replace("7654321", "7654321.0")
                .into(),
        ),
        (
            "numbers as spreadsheets show them",
            ROWS.replace("1234567", "=1234567")
                .replace("7654321", "\"7,654,321\"")
                .into(),
        ),
        (
            "a table of Markdown",
            format!("{headers}\n|---|:--|---|---|---|---|\n{rows}\n").into(),
        ),
        (
            "a table of mysql",
            format!("+----+----+\n{headers}\n+----+----+\n{rows}\n+----+----+\n").into(),
        ),
        (
            "a table of psql",
            format!(
                " {}\n-----+-----+-----+-----+-----+-----\n {}\n(2 rows)\n\n",
                plain(&headers.replace(" | ", " \u{1} ")).replace('\u{1}', "|"),
                plain(&rows.replace(" | ", " \u{1} ")).replace('\u{1}', "|"),
            )
            .into(),
        ),
        (
            "spaces after the commas, and quotation marks",
            ROWS.replace(',', "\", \"")
                .replace("\nV", "\n\"V")
                .replace("31\n", "31\"\n")
                .replace("Programme", "\"Programme")
                .replace("Submitted\n", "Submitted\"\n")
                .into(),
        ),
        (
            "typographic quotation marks",
            ROWS.replace("Volume Licensing", "\u{201c}Volume Licensing\u{201d}")
                .into(),
        ),
        (
            "headers without gaps, other names and days",
            ROWS.replace("Agreement Number", "agreementnumber")
                .replace("Access Edge FQDN", "Access Edge FQDN (external)")
                .replace("Volume Licensing", "Microsoft Volume Licensing (VL)")
                .replace("2014-03-31\n", "2014/03/31\n")
                .into(),
        ),
    ];
    place.assert_each(&files).await;
}

#[tokio::test]
async fn every_form_of_json_is_read() {
    let place = Place::new().await;
    let mut list = String::new();
    for (number, name) in [(1_234_567, "contoso"), (7_654_321, "fabrikam")] {
        let _ = write!(
            list,
            "{{\"contacts\": [{{\"number\": 1, \"id\": \"MARK\"}}], \"programme\": \"VL\", \"agreementNumber\": {number},
             \"accessEdge\": \"sip.{name}.com\", \"sipDomains\": [\"{name}.com\"], \"status\": \"Activated\",
             \"history\": [{{\"state\": \"MARK\"}}]}},"
        );
    }
    let list = list.trim_end_matches(',');
    let files = [
        format!("[{list}]"),
        format!("{{\"requests\": [{list}]}}"),
        format!(
            "{{\"status\": \"ok\", \"count\": 2, \"d\": {{\"next\": null, \"results\": [{list}]}}, \"errors\": []}}"
        ),
        list.replace("]},{", "]}\n{"),
        format!(
            "[{{}}, {list}, {{\"programme\": null, \"number\": \"\"}}, {{\"id\": \"#3\", \"status\": \"Rejected\"}}]"
        ),
        list.replace("1234567", "1234567.0")
            .replace("]},{", "]}\r{"),
        format!("{{\"request\": [{list}]}}"),
        format!("{{\"domains\": {{\"id\": [{list}]}}}}"),
        format!("{{\"names\": [{list}]}}"),
        format!(
            "[{}]",
            list.replace("\"accessEdge\": ", "\"accessEdges\": [{\"fqdn\": ")
                .replace("], \"status\"", "]}], \"status\"")
        ),
        format!(
            "[{}]",
            list.replace("{\"contacts\"", "{\"request\": {\"contacts\"")
                .replace("\"MARK\"}]}", "\"MARK\"}]}}")
        ),
        format!(
            "{{\"data\": {{\"edges\": [{}]}}}}",
            list.replace("{\"contacts\"", "{\"node\": {\"contacts\"")
                .replace("\"MARK\"}]}", "\"MARK\"}]}}")
        ),
        format!(
            "{{\"17\": {}}}",
            list.replace("]},{\"contacts", "]}, \"18\": {\"contacts")
        ),
        list.replace("]},{", "]}\n\u{1e}{"),
    ];
    for text in files {
        let text = text.replace("MARK", &place.mark);
        for bytes in [text.clone().into_bytes(), utf_16(&text, u16::to_le_bytes)] {
            let output = place.import(&place.bytes("old.json", &bytes), &[]).await;
            assert!(output.status.success(), "{text}: {}", said(&output).1);
            let report = succeeded(&output);
            assert_says(&report, "2 services brought over");
            assert_says(&report, "2 values, contacts.");
            place.assert_both(&text, "old.json").await;
            fs::remove_file(place.keys("old.json")).unwrap();
        }
    }
}

/// An edge's own state, as of a server that is up, is not its request's.
#[tokio::test]
async fn an_edge_of_a_request_in_json_has_no_say_in_what_the_request_is() {
    let place = Place::new().await;
    let request = |number: u32, state: &str, name: &str| {
        format!(
            "{{\"programme\": \"VL\", \"number\": {number}, \"status\": \"{state}\", \"edges\": [
             {{\"id\": {number}, \"status\": \"active\", \"created\": \"2014-03-31\", \"fqdn\": \"sip.{name}\", \"domains\": [\"{name}\"]}},
             {{\"id\": 9, \"status\": \"failed\", \"fqdn\": \"edge.{name}\", \"domains\": [\"it.{name}\"]}}]}}"
        )
    };
    let file = format!(
        "[{}, {}, {}]",
        request(1_234_567, "Rejected", "contoso.com"),
        request(7_654_321, "Activated", "fabrikam.com"),
        request(2_345_678, "Pending", "tailspin.com"),
    );
    let report = succeeded(
        &place
            .import(&place.bytes("old.json", file.as_bytes()), &[])
            .await,
    );
    assert_says(&report, "1 service brought over with its routes in force.");
    assert_says(&report, "1 request brought over that is pending");
    let both = [
        ("fabrikam.com".to_owned(), "sip.fabrikam.com".to_owned()),
        ("it.fabrikam.com".to_owned(), "edge.fabrikam.com".to_owned()),
    ];
    assert_eq!(routes(&place.portal).await, both);
    // Edges inside an edge are no list that is known.
    let nested = file.replace(
        "\"id\": 9",
        "\"edges\": [{\"fqdn\": \"a.b.example\", \"domains\": [\"b.example\"]}]",
    );
    let fault = place.wrong("wrong.json", &nested).await;
    assert_says(&fault, "column access edge: is neither a text nor a number");
}

#[tokio::test]
async fn what_is_wrong_in_json_is_told() {
    let place = Place::new().await;
    for (text, told) in [
        (
            "{\"result\": [], \"total\": 0}",
            "line 1: has none of the members that a request needs",
        ),
        (
            "{\n\"requests\": [\n{\"programme\": \"VL\"",
            "line 3: begins an object that does not end",
        ),
        ("[1]", "line 1: is neither an array of objects nor"),
        (
            "[[\"Programme\"]]",
            "line 1: is neither an array of objects nor",
        ),
        (
            "{\"programme\": \"VL\", \"number\": 1.23457E+14, \"edge\": \"sip.a.example\", \"domain\": \"a.example\"}",
            "line 1, column number: was rounded",
        ),
        (
            "[{\"programme\": \"VL\",}]",
            "line 1: is not JSON: a comma before a bracket",
        ),
        (
            "{\"programme\": \"VL\", \"number\": 1, \"edge\": {\"fqdn\": 1}, \"domain\": \"a.example\"}",
            "line 1, column access edge: is neither a text nor a number",
        ),
        ("Programme,Number\n", "line 1: is no JSON. If it is CSV"),
        (
            "{\"programme\": \"VL\", \"number\": 1, \"edges\": [\"sip.a.example\", \"sip.b.example\"], \"domains\": [\"a.example\"]}",
            "line 1, column access edge: has several Access Edges",
        ),
        (
            "{\"programme\": \"VL\", \"number\": 1, \"edges\": [{\"fqdn\": \"sip.a.example\"}], \"domains\": [\"a.example\"]}",
            "line 1, column access edge: is neither a text nor a number, nor Access Edges",
        ),
        (
            "{\"programme\": \"VL\", \"number\": 1,\n\"edges\": [{\"fqdn\": \"sip.a.example\", \"domains\": [\"a.example\"]}],\n\"domains\": [\"b.example\"]}",
            "line 1: has Access Edges inside, and one or its domains beside them",
        ),
        (
            "{\"programme\": \"VL\", \"number\": 1, \"edges\": [\n{\"fqdn\": \"sip.a.example\", \"domains\": [\"a\"]}]}",
            "line 2, column sip domain: The name is not complete",
        ),
        (
            "{\"a\": [\n{\"id\": 1},\n{\"programme\": \"VL\", \"number\": 1, \"edge\": \"sip.a.example\", \"domain\": \"a.example\"}]}",
            "line 1: has none of the members that a request needs",
        ),
    ] {
        let fault = place.wrong("wrong.json", text).await;
        assert!(fault.contains(told), "{told}: {fault}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_export_is_named() {
    let place = Place::new().await;
    let html = "\u{feff} <html><table><tr><td>Programme</td></tr></table></html>";
    let files: [(&str, Vec<u8>, &str); 19] = [
        (
            "a.csv",
            b"PK\x03\x04\x14\0".to_vec(),
            "line 1: is a workbook",
        ),
        (
            "b.json",
            b"PK\x03\x04\x14\0".to_vec(),
            "line 1: is a workbook",
        ),
        (
            "c.csv",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0".to_vec(),
            "line 1: is an old workbook",
        ),
        ("d.csv", b"\x1f\x8b\x08".to_vec(), "line 1: is compressed"),
        ("e.xls", html.into(), "line 1: is a web page"),
        (
            "f.xls",
            utf_16(html, u16::to_le_bytes),
            "line 1: is a web page",
        ),
        (
            "g.csv",
            b" [ {\"programme\": 1}]".to_vec(),
            "line 1: is JSON. Run this again with --format json",
        ),
        (
            "h.csv",
            b"\xff\xfe\0\0P\0\0\0".to_vec(),
            "line 1: is in UTF-32",
        ),
        ("t.csv", Vec::new(), "line 1: is empty"),
        ("u.json", b" \n".to_vec(), "line 1: is empty"),
        (
            "v.csv",
            b"PK\x05\x06\0\0".to_vec(),
            "line 1: is a zip archive without",
        ),
        (
            "w.csv",
            b"BZh91AY".to_vec(),
            "line 1: is compressed (bzip2)",
        ),
        (
            "x.csv",
            b"\xfd7zXZ\0\0".to_vec(),
            "line 1: is compressed (xz)",
        ),
        (
            "y.csv",
            b"\x28\xb5\x2f\xfd\0".to_vec(),
            "line 1: is compressed (zstd)",
        ),
        (
            "z.csv",
            b"7z\xbc\xaf\x27\x1c\0".to_vec(),
            "line 1: is an archive (7z)",
        ),
        (
            "a2.csv",
            b"Rar!\x1a\x07\0".to_vec(),
            "line 1: is an archive (RAR)",
        ),
        (
            "b2.csv",
            b"SQLite format 3\0".to_vec(),
            "line 1: is a database (SQLite)",
        ),
        (
            "c2.csv",
            ROWS.chars()
                .flat_map(|c| u32::from(c).to_le_bytes())
                .collect(),
            "line 1: is in UTF-32",
        ),
        (
            "d2.csv",
            b"MIME-Version: 1.0\n".to_vec(),
            "line 1: is a web page in one file",
        ),
    ];
    place.assert_refused(&files).await;
}

#[tokio::test]
async fn a_text_that_is_no_export_is_named() {
    let place = Place::new().await;
    let files: [(&str, Vec<u8>, &str); 5] = [
        (
            "e2.csv",
            b"Programme : VL\nNumber : 1234567\n\n".to_vec(),
            "line 1: is a list of properties, as Format-List writes it",
        ),
        (
            "f2.csv",
            b"Domain       ProxyFqdn\n------       ---------\ncontoso.com  sip.contoso.com\n"
                .to_vec(),
            "line 1: has columns of a fixed width",
        ),
        (
            "g2.csv",
            b"#< CLIXML\n".to_vec(),
            "line 1: is XML that PowerShell writes for itself",
        ),
        (
            "h2.csv",
            b"INSERT INTO request VALUES ('VL');\n".to_vec(),
            "line 1: is a script of a database (SQL)",
        ),
        (
            "i2.csv",
            b"- programme: VL\n  number: 1234567\n".to_vec(),
            "line 1: looks like YAML",
        ),
    ];
    place.assert_refused(&files).await;
}

#[tokio::test]
async fn what_no_row_can_hold_is_named_with_its_line() {
    let place = Place::new().await;
    let row = "VL,1234567,sip.contoso.com,contoso.com,Activated";
    let files: [(&str, Vec<u8>, &str); 11] = [
        (
            "i.csv",
            format!("{ROWS}\0\0\0\0").into(),
            "line 4: has a NUL byte",
        ),
        (
            "j.csv",
            ROWS.replace("7654321", "765\u{0}").into(),
            "line 3, column number: has a NUL byte",
        ),
        (
            "k.csv",
            format!("Requests of 2014\n\n{ROWS}").into(),
            "line 1: stands above the line of headers",
        ),
        (
            "l.csv",
            format!("{ROWS}{row},31.02.2014\n").into(),
            "line 4, column submitted: is not a day that can be read: write it as 2014-03-31",
        ),
        (
            "m.csv",
            format!("{ROWS}{row},03/04/2014\n").into(),
            "line 4, column submitted: can be read as two days",
        ),
        (
            "n.csv",
            ROWS.replace("7654321", "#N/A").into(),
            "line 3, column number: holds what a spreadsheet shows",
        ),
        (
            "o.csv",
            ROWS.replace(',', ";")
                .replace("7654321", "1,23457E+14")
                .into(),
            "line 3, column number: was rounded",
        ),
        (
            "p.csv",
            ROWS.replace("7654321", "1.23457 E+14").into(),
            "line 3, column number: was rounded",
        ),
        (
            "q.csv",
            ROWS.replace(",fabrikam.com", ",\"fabrikam.com").into(),
            "line 3: has 4 fields, and the line of headers 6. Is a quotation mark not closed?",
        ),
        (
            "r.csv",
            ROWS.replace(
                ",fabrikam.com",
                ",Microsoft.Rtc.Management.WritableConfig.Settings.Edge.DomainPattern",
            )
            .into(),
            "line 3, column sip domain: holds the name of a type",
        ),
        (
            "s.csv",
            ROWS.replace(",fabrikam.com", ",System.String[]").into(),
            "line 3, column sip domain: holds the name of a type",
        ),
    ];
    place.assert_refused(&files).await;
}
