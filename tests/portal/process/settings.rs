//! Checks that the program tells its settings: which are in force, where each comes from, and which
//! matter to a command.

use std::fs;

use clap::{Arg, CommandFactory as _};
use pic_portal::cli::Cli;
use serde_json::Value;

use crate::support::process::{command, program, scratch};

/// What the program prints with these settings and arguments.
async fn told(settings: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut command = command(&program(), settings);
    let output = command.args(arguments).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn what_is_in_force_is_told_with_where_it_comes_from_and_without_a_password() {
    let scratch = scratch();
    let file = scratch.path().join("url");
    fs::write(&file, "postgres://pic:hunter2@db1,db2:5433/portal\n").unwrap();
    let settings = [
        ("DATABASE_URL_FILE", file.to_str().unwrap()),
        ("PIC_OPERATOR", "Contoso"),
        ("PIC_PROMISE", "24h"),
        ("PIC_SUPORT", "nobody"),
    ];
    let flags = ["config", "--json", "--promise", "36h"];
    let report: Value = serde_json::from_str(&told(&settings, &flags).await).unwrap();
    let rows = report["settings"].as_array().unwrap();
    for (variable, value, from) in [
        (
            "DATABASE_URL",
            "postgres://pic@db1:5432,db2:5433/portal",
            "file",
        ),
        ("PIC_OPERATOR", "Contoso", "environment"),
        ("PIC_PROMISE", "36h", "flag"),
        ("PIC_EXPIRY", "30d", "default"),
        ("PIC_CHECKS", "off", "environment"),
        ("PIC_CONSUMER_ACCOUNTS", "true", "default"),
        ("PIC_SUPPORT", "unset", "default"),
    ] {
        let row = rows.iter().find(|row| row["variable"] == variable).unwrap();
        let found = (row["value"].as_str(), row["from"].as_str());
        assert_eq!(found, (Some(value), Some(from)), "{variable}");
    }
    assert_eq!(report["unknown"], serde_json::json!(["PIC_SUPORT"]));
    let text = told(&settings, &["config"]).await;
    for words in ["PIC_OPERATOR", "environment  Contoso", "\n  PIC_SUPORT\n"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let url = [("DATABASE_URL", "postgres://pic:hunter2@db1/portal")];
    for text in [text, told(&url, &["config"]).await] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn the_help_of_a_command_has_the_settings_that_matter_to_it() {
    let all: Vec<String> = Cli::command()
        .get_arguments()
        .filter_map(Arg::get_env)
        .map(|name| format!("[env: {}", name.to_str().unwrap()))
        .collect();
    assert!(all.len() > 30, "{all:?}");
    let shown = async |arguments: &[&str]| {
        let help = told(&[], arguments).await;
        let shown = all.iter().filter(|it| help.contains(*it));
        shown.map(|it| it.replace("[env: ", "")).collect::<Vec<_>>()
    };
    assert_eq!(shown(&["--help"]).await.len(), all.len());
    assert_eq!(shown(&["serve", "--help"]).await.len(), all.len());
    assert!(shown(&["-h"]).await.is_empty());
    let of_check = shown(&["check", "--help"]).await;
    assert!(of_check.contains(&"PIC_DNS".into()), "{of_check:?}");
    assert!(!of_check.contains(&"DATABASE_URL".into()), "{of_check:?}");
    let of_staff = shown(&["staff", "add", "--help"]).await;
    assert!(of_staff.contains(&"DATABASE_URL".into()), "{of_staff:?}");
    assert!(!of_staff.contains(&"PIC_DNS".into()), "{of_staff:?}");
}
