use std::fs;

use clap::FromArgMatches as _;
use sqlx::postgres::PgSslMode;

use super::*;

fn given(set: impl FnOnce(&mut Given)) -> Result<Config, Wrong> {
    let mut given = Given::default();
    set(&mut given);
    given.config()
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = given(|_| {}).unwrap();
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.provider, "Skype");
    assert!(config.about.consumer_accounts && config.about.run_by().is_none());
    assert_eq!(config.about.proxy_fqdn(), "PROXY-FQDN");
    let plain: Vec<_> = config.plain_domains.iter().map(SipDomain::as_str).collect();
    assert_eq!(plain, ["msn.com", "outlook.com", "live.com", "hotmail.com"]);
    assert_eq!(config.clocks.promise, Duration::from_hours(48));
    assert_eq!(config.clocks.expiry, Duration::from_hours(30 * 24));
    assert_eq!(config.waits.first, Duration::from_secs(30));
    assert_eq!(config.waits.longest, Duration::from_hours(1));
    assert_eq!(config.metrics_listen, None);
    assert_eq!(config.sweep, Duration::from_hours(1));
    assert_eq!((config.submit_limit, config.try_limit), (30, 10));
    assert!(config.trusted_proxies.networks().is_empty());
    assert_eq!(config.opening.pool, 10);
    assert!(!config.opening.allow_unsafe);
    assert!(matches!(config.source, Source::Private(_)));
}

/// Each setting with values that are wrong.
const WRONG: &[(&str, &[&str])] = &[
    (
        "DATABASE_URL",
        &[
            "mysql://x",
            "postgres",
            "postgres://h:port/x",
            "postgres://a,b:port/x",
            "postgres://h/x?passfile=/etc/pgpass",
            "postgres://h/x?target_session_attrs=standby",
        ],
    ),
    ("PIC_LISTEN", &["8080", "localhost:8080", "127.0.0.1:99999"]),
    ("PIC_METRICS_LISTEN", &["9464", "metrics.contoso.com:9464"]),
    (
        "PIC_PUBLIC_URL",
        &[
            "contoso.com",
            "ftp://a",
            "https://a/b",
            "https://u@a",
            "https://a?b",
            "https://",
        ],
    ),
    (
        "PIC_TRUSTED_PROXIES",
        &["proxy.contoso.com", "10.0.0.0/33", "::/0", "10.1.2.3/8"],
    ),
    ("PIC_SUBMIT_LIMIT", &["-1", "many", "10001"]),
    ("PIC_TRY_LIMIT", &["none", "1.5"]),
    (
        "PIC_PLAIN_DOMAINS",
        &["msn", "ted@msn.com", "msn.com, co.uk", "127.0.0.1"],
    ),
    (
        "PIC_OPERATOR_URL",
        &[
            "contoso.com",
            "javascript:alert(1)",
            "https://",
            "https://a b",
        ],
    ),
    (
        "PIC_PROXY_FQDN",
        &[
            "proxy",
            "192.0.2.1",
            "sip.contoso.com:443",
            "ted@contoso.com",
        ],
    ),
    (
        "PIC_PROVIDER_DOMAIN",
        &["contoso", "ted@contoso.com", "co.uk"],
    ),
    (
        "PIC_PROVIDER_NETWORKS",
        &[
            "192.0.2.1/24",
            "contoso.com",
            "192.0.2.0/24;192.0.3.0/24",
            "0.0.0.0/0",
        ],
    ),
    (
        "PIC_TEST_CONTACT",
        &[
            "echo",
            "echo@fabrikam.com",
            "echo@contoso.com, ted@contoso.com",
        ],
    ),
    ("PIC_CONSUMER_ACCOUNTS", &["yes", "1"]),
    ("PIC_STAFF_PASSWORDS", &["no", "false"]),
    (
        "PIC_OIDC_ISSUER",
        &[
            "login.contoso.com",
            "http://login.contoso.com",
            "https://login.contoso.com/?tenant=1",
            "ftp://login.contoso.com",
        ],
    ),
    ("PIC_OIDC_NAME_CLAIM", &["email"]),
    ("PIC_OIDC_STEP_UP", &["15", "0s"]),
    ("PIC_CHECKS", &["on", "Enforce"]),
    ("PIC_PROOF", &["never", "Always", "txt"]),
    ("PIC_DNS", &["192.0.2.53", ":53", "dns.test:0"]),
    ("PIC_CHECK_PRIVATE", &["yes", "1"]),
    (
        "PIC_PROMISE",
        &["48", "two days", "-1s", "0s", "1000y", "60d"],
    ),
    ("PIC_DRAIN", &["5", "soon", "-1s"]),
    ("PIC_EXPIRY", &["30", "1h"]),
    ("PIC_RECHECK_FIRST", &["x"]),
    ("PIC_SWEEP", &["hourly", "0s", "60"]),
    ("PIC_GATEWAY_SILENT", &["soon", "0s", "60"]),
    ("PIC_RECHECK_MAX", &["1s", "x"]),
    ("PIC_DB_POOL", &["0", "2", "-1", "many", "1001"]),
    ("PIC_ALLOW_UNSAFE_DATABASE", &["yes", "1"]),
];

/// A setting with this value, as the command line takes it, and what it needs beside it.
fn with(variable: &str, value: &str) -> Result<Config, Wrong> {
    let command = Given::augment_args(clap::Command::new("pic-portal").no_binary_name(true));
    let command = command.mut_args(|setting| setting.env(None::<&str>));
    let flag = variable.trim_start_matches("PIC_").to_lowercase();
    let flag = format!("--{}={value}", flag.replace('_', "-"));
    let mut given = Given::from_arg_matches(&command.get_matches_from([flag])).unwrap();
    if variable == "PIC_TEST_CONTACT" {
        given.about.provider_domain = Some("contoso.com".into());
    }
    if variable.starts_with("PIC_OIDC") {
        let issuer = given.sign_in.oidc_issuer.take();
        let needed = sign_in::tests::given();
        given.sign_in = sign_in::SignInGiven {
            oidc_issuer: issuer.or(needed.oidc_issuer),
            oidc_name_claim: given.sign_in.oidc_name_claim,
            oidc_step_up: given.sign_in.oidc_step_up,
            ..needed
        };
    }
    given.config()
}

#[test]
fn a_wrong_value_names_its_variable_and_an_example_that_is_right() {
    for (variable, values) in WRONG {
        for value in *values {
            let wrong = with(variable, value).expect_err(value);
            let named = if *value == "60d" {
                "PIC_EXPIRY"
            } else {
                variable
            };
            assert_eq!(wrong.variable, named, "{value}");
            let message = wrong.to_string();
            assert!(
                message.contains(wrong.example) && !message.contains('\n'),
                "{message}"
            );
            if named == *variable {
                with(variable, wrong.example).expect("the example is right");
            }
        }
        with(variable, " ").expect("an empty value is none");
    }
}

fn servers(url: &str) -> Servers {
    let config = given(|g| g.database.database_url = Some(url.into()));
    match config.unwrap().source {
        Source::Url(servers) => servers,
        Source::Private(_) => panic!("{url}"),
    }
}

#[test]
fn several_servers_may_be_named() {
    let several = servers(
        "postgres://pic:s%40cret@db1,db2:5433,[2001:db8::5]/pic?target_session_attrs=read-write&sslmode=require",
    );
    let places: Vec<_> = several
        .each()
        .iter()
        .map(|it| (it.get_host(), it.get_port()))
        .collect();
    assert_eq!(
        places,
        [("db1", 5432), ("db2", 5433), ("2001:db8::5", 5432)]
    );
    for one in several.each() {
        assert_eq!(one.get_database(), Some("pic"));
        assert!(matches!(one.get_ssl_mode(), PgSslMode::Require));
    }
    for told in [several.to_string(), format!("{several:?}")] {
        assert_eq!(
            told,
            "postgres://pic@db1:5432,db2:5433,2001:db8::5:5432/pic"
        );
    }
}

#[test]
fn the_url_may_stand_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    let with = |text: &str, url: Option<&str>| {
        fs::write(&file, text).unwrap();
        given(|g| {
            g.database.database_url_file = Some(file.clone());
            g.database.database_url = url.map(str::to_owned);
        })
    };
    let config = with(" postgres://pic:secret@db1/pic \n", None).unwrap();
    assert!(matches!(config.source, Source::Url(it) if it.last().get_host() == "db1"));
    for (text, url) in [
        ("\n", None),
        ("mysql://x", None),
        ("postgres://db1/pic", Some("postgres://db2/pic")),
    ] {
        let wrong = with(text, url).unwrap_err();
        assert!(
            wrong.variable.starts_with("DATABASE_URL"),
            "{text}: {wrong}"
        );
    }
    let gone = given(|g| g.database.database_url_file = Some(dir.path().join("gone")));
    assert_eq!(gone.unwrap_err().variable, "DATABASE_URL_FILE");
}

#[test]
fn a_gateway_that_asks_by_sip_has_a_name_a_certificate_and_a_key() {
    let probe = |certificate: Option<&str>, key: Option<&str>, name: Option<&str>| {
        let config = given(|g| {
            g.checks.probe.probe_certificate = certificate.map(Into::into);
            g.checks.probe.probe_key = key.map(Into::into);
            g.about.proxy_fqdn = name.map(Into::into);
        });
        config.map(|config| config.checking.probe)
    };
    let (certificate, key, name) = (Some("gw.pem"), Some("gw.key"), Some("gw.contoso.com"));
    assert_eq!(probe(None, None, name).unwrap(), None);
    assert_eq!(probe(Some(""), Some(""), None).unwrap(), None);
    let whole = probe(certificate, key, name).unwrap().unwrap();
    assert_eq!(whole.name.as_str(), "gw.contoso.com");
    for (wrong, variable) in [
        (probe(certificate, None, name), "PIC_PROBE_CERTIFICATE"),
        (probe(None, key, name), "PIC_PROBE_KEY"),
        (probe(certificate, key, None), "PIC_PROBE_CERTIFICATE"),
    ] {
        assert_eq!(wrong.unwrap_err().variable, variable);
    }
}

#[test]
fn a_database_is_named_as_libpq_takes_it() {
    let options = |url: &str| servers(url).last().clone();
    for (url, host, port) in [
        ("postgres://pic@[::1]/pic", "::1", 5432),
        (
            "postgresql://pic:a%40b@[2001:db8::5]:5433/pic?sslmode=require",
            "2001:db8::5",
            5433,
        ),
        ("postgres://pic@db.contoso.com/pic", "db.contoso.com", 5432),
    ] {
        let options = options(url);
        assert_eq!((options.get_host(), options.get_port()), (host, port));
        assert_eq!(options.get_database(), Some("pic"));
    }
    for url in [
        "postgres://pic@/pic?host=/run/postgresql",
        "postgres://pic@%2Frun%2Fpostgresql/pic",
        "postgres:///pic?user=pic&host=/run/postgresql",
    ] {
        let options = options(url);
        assert_eq!(options.get_socket().unwrap().as_os_str(), "/run/postgresql");
        assert_eq!(options.get_username(), "pic", "{url}");
        assert_eq!(options.get_database(), Some("pic"), "{url}");
    }
}

#[test]
fn a_drain_may_be_left_out() {
    let drain =
        |text: Option<&str>| given(|g| g.door.drain = text.map(str::to_owned)).map(|c| c.drain);
    for none in [None, Some("0"), Some("0s")] {
        assert_eq!(drain(none), Ok(Duration::ZERO));
    }
    assert_eq!(drain(Some("5s")), Ok(Duration::from_secs(5)));
}

#[test]
fn proof_is_always_asked_for_only_where_something_is_looked_up() {
    let with = |checks: Option<&str>, proof: Option<&str>| {
        given(|g| {
            g.checks.checks = checks.map(str::to_owned);
            g.checks.proof = proof.map(str::to_owned);
        })
    };
    let always = |checks| with(checks, Some("always")).map(|config| config.proof);
    for checks in [None, Some("advise"), Some("enforce")] {
        assert_eq!(always(checks), Ok(ProofMode::Always), "{checks:?}");
    }
    let message = always(Some("off")).unwrap_err().to_string();
    assert!(
        message.starts_with("PIC_PROOF: is always while PIC_CHECKS is off"),
        "{message}"
    );
    assert_eq!(with(Some("off"), None).unwrap().proof, ProofMode::Held);
}

#[test]
fn a_log_setting_is_looked_at_too() {
    let log = |filter: &str, format: &str| {
        let log = log::LogGiven {
            log: Some(filter.into()),
            log_format: Some(format.into()),
        };
        log.log()
    };
    assert_eq!(log("debug", "json").unwrap().1, LogFormat::Json);
    assert_eq!(
        log("pic_portal=nonsense", "text").unwrap_err().variable,
        "PIC_LOG"
    );
    assert_eq!(log("info", "xml").unwrap_err().variable, "PIC_LOG_FORMAT");
}

#[test]
fn an_origin_is_kept_without_its_slash() {
    let origin = Origin::parse("https://Federation.Contoso.com/").unwrap();
    assert_eq!(origin.as_str(), "https://federation.contoso.com");
    assert!(origin.is_https());
    assert!(!Origin::of("[::1]:80".parse().unwrap()).is_https());
}

#[test]
fn the_network_is_told_as_its_settings_say() {
    let config = given(|g| {
        g.about.provider = Some("Northwind".into());
        g.about.operator = Some(" Northwind Traders ".into());
        g.about.proxy_fqdn = Some("Federation.Northwind.example.".into());
        g.about.provider_domain = Some("northwind.example".into());
        g.about.provider_networks = Some("192.0.2.0/24, 2001:db8::1".into());
        g.about.test_contact = Some("sip:echo@northwind.example".into());
    });
    let about = config.unwrap().about;
    assert!(!about.consumer_accounts, "another network than Skype");
    assert_eq!(about.run_by(), Some(("Northwind Traders", "")));
    assert_eq!(about.proxy_fqdn(), "federation.northwind.example");
    assert_eq!(about.networks.len(), 2);
    let contact = about.test_contact.as_deref();
    assert_eq!(contact, Some("echo@northwind.example"));
    for (provider, accounts, told) in [
        ("Skype for Contoso", None, true),
        ("Skype", Some("false"), false),
        ("Northwind", Some("true"), true),
    ] {
        let config = given(|g| {
            g.about.provider = Some(provider.into());
            g.about.consumer_accounts = accounts.map(str::to_owned);
        });
        assert_eq!(config.unwrap().about.consumer_accounts, told, "{provider}");
    }
    // Nobody's address: not without a domain of the network's own.
    let alone = given(|g| g.about.test_contact = Some("ted@contoso.com".into()));
    assert_eq!(alone.unwrap_err().variable, "PIC_TEST_CONTACT");
}
