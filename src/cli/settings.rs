//! The settings on the command line: which command shows which of them in its help, what is in force
//! and where it comes from, and the command `config`, which prints that.

use std::{env, ffi::OsString};

use clap::{Arg, ArgMatches, Args, Command, CommandFactory as _, parser::ValueSource};
use serde_json::json;

use super::{Cli, say};
use crate::{
    config::{Config, Source},
    db::private::default_dir,
};

/// The settings that a command shows in its help, by their headings. It takes the others too.
const SHOWN: [(&str, &[&str]); 17] = [
    (
        "serve",
        &[
            "Database",
            "Addresses and limits",
            "Words on the pages",
            "Readiness checks",
            "How staff sign in",
            "Times",
            "Log",
        ],
    ),
    ("check", &["Readiness checks"]),
    ("staff", &["Database", "Log"]),
    ("gateway", &["Database", "Log"]),
    ("migrate", &["Database"]),
    ("demo", &["Log"]),
    ("backup", &["Database"]),
    ("restore", &["Database"]),
    ("psql", &["Database"]),
    ("upgrade", &["Database"]),
    ("manual", &[]),
    ("sweep", &["Database"]),
    ("doctor", &["Database"]),
    ("config", &[]),
    ("import", &["Database", "Log"]),
    ("purge", &["Database", "Log"]),
    ("help", &[]),
];

const ELSEWHERE: &str =
    "Every command takes all settings, as flags or variables: `pic-portal --help` lists them.";

/// The whole command line. A command's help has the settings that matter to it.
pub(super) fn program() -> Command {
    let mut program = Cli::command().mut_args(|arg| {
        let is_setting = arg.get_env().is_some();
        arg.hide_short_help(is_setting)
    });
    let settings: Vec<Arg> = settings(&program).cloned().collect();
    let names: Vec<_> = program
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        let shown = SHOWN.iter().find(|(command, _)| *command == name);
        let shown = shown.map_or(&[][..], |(_, headings)| headings);
        let hidden = settings.iter().filter(|setting| {
            let heading = setting.get_help_heading();
            !heading.is_some_and(|heading| shown.contains(&heading))
        });
        let hidden: Vec<_> = hidden.map(|it| it.clone().hide(true)).collect();
        program =
            program.mut_subcommand(name, |command| command.args(hidden).after_help(ELSEWHERE));
    }
    program
}

fn settings(program: &Command) -> impl Iterator<Item = &Arg> {
    let all = program.get_arguments();
    all.filter(|arg| arg.get_env().is_some())
}

/// The variables that look like settings and are none, such as `PIC_TRUSTED_PROXYS`.
pub(super) fn unknown() -> Vec<OsString> {
    let program = Cli::command();
    let known: Vec<_> = settings(&program).filter_map(Arg::get_env).collect();
    let mut unknown: Vec<_> = env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| {
            name.as_encoded_bytes().starts_with(b"PIC_") && !known.contains(&name.as_os_str())
        })
        .collect();
    unknown.sort_unstable();
    unknown
}

/// A setting as it was given.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    variable: String,
    heading: String,
    /// `None`: not given, so the default counts.
    given: Option<String>,
    default: String,
    from: &'static str,
}

/// All settings, with where each has its value from.
pub(super) fn given(matches: &ArgMatches) -> Vec<Setting> {
    settings(&Cli::command())
        .map(|arg| {
            let id = arg.get_id().as_str();
            let text = |arg: Option<OsString>| arg?.into_string().ok();
            let given = matches.get_raw(id).and_then(|mut raw| raw.next());
            let given = text(given.map(Into::into)).filter(|text| !text.trim().is_empty());
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let default = help.split_once("[default: ").map(|(_, rest)| rest);
            let from = match matches.value_source(id) {
                _ if given.is_none() => "default",
                Some(ValueSource::CommandLine) => "flag",
                _ => "environment",
            };
            Setting {
                variable: text(arg.get_env().map(Into::into)).unwrap_or_default(),
                heading: arg.get_help_heading().unwrap_or_default().to_owned(),
                given,
                default: default
                    .and_then(|rest| rest.rsplit_once(']'))
                    .map_or("unset", |(default, _)| default)
                    .replace('\n', " "),
                from,
            }
        })
        .collect()
}

impl Setting {
    /// What is in force, and where it comes from. Never a password.
    fn in_force(&self, config: &Config) -> (String, &'static str) {
        let from = self.from;
        match (self.variable.as_str(), &config.source) {
            ("DATABASE_URL", Source::Url(servers)) => {
                let from = if self.given.is_some() { from } else { "file" };
                (servers.to_string(), from)
            }
            ("DATABASE_URL", Source::Private(_)) => ("unset: the private PostgreSQL".into(), from),
            ("PIC_DATA_DIR", Source::Private(dir)) => (dir.display().to_string(), from),
            ("PIC_DATA_DIR", Source::Url(_)) if self.given.is_none() => {
                (default_dir().display().to_string(), from)
            }
            ("PIC_CHECKS", _) => (config.checks.as_str().into(), from),
            ("PIC_PUBLIC_URL", _) if self.given.is_none() => {
                (format!("http://{}", config.listen), from)
            }
            ("PIC_OIDC_CLIENT_SECRET", _) if self.given.is_some() => {
                ("set, and not shown".into(), from)
            }
            ("PIC_CONSUMER_ACCOUNTS", _) => (config.about.consumer_accounts.to_string(), from),
            _ => (
                self.given.clone().unwrap_or_else(|| self.default.clone()),
                from,
            ),
        }
    }
}

/// The command `config`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Show {
    /// Print one JSON object, for machines
    #[arg(long)]
    json: bool,
}

impl Show {
    /// Prints all settings that are in force.
    pub(super) fn run(self, settings: &[Setting], config: &Config) {
        let unknown = unknown();
        if self.json {
            let settings: Vec<_> = settings
                .iter()
                .map(|it| {
                    let (value, from) = it.in_force(config);
                    json!({ "variable": it.variable, "value": value, "from": from })
                })
                .collect();
            let unknown: Vec<_> = unknown.iter().map(|it| it.to_string_lossy()).collect();
            return say(&json!({ "settings": settings, "unknown": unknown }).to_string());
        }
        let mut heading = "";
        for setting in settings {
            if setting.heading != heading {
                let gap = if heading.is_empty() { "" } else { "\n" };
                heading = &setting.heading;
                say(&format!("{gap}{heading}"));
            }
            let (value, from) = setting.in_force(config);
            say(&format!("  {:<26} {from:<12} {value}", setting.variable));
        }
        if !unknown.is_empty() {
            say("\nNo settings, and ignored");
        }
        for name in unknown {
            say(&format!("  {}", name.display()));
        }
    }
}
