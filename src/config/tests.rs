use std::fs;

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

type Set = fn(&mut Given, Option<String>);

/// Each setting with values that are wrong.
const WRONG: &[(&str, Set, &[&str])] = &[
    (
        "DATABASE_URL",
        |g, v| g.database.database_url = v,
        &[
            "mysql://x",
            "postgres",
            "postgres://h:port/x",
            "postgres://a,b:port/x",
            "postgres://h/x?passfile=/etc/pgpass",
            "postgres://h/x?target_session_attrs=standby",
        ],
    ),
    (
        "PIC_LISTEN",
        |g, v| g.door.listen = v,
        &["8080", "localhost:8080", "127.0.0.1:99999"],
    ),
    (
        "PIC_METRICS_LISTEN",
        |g, v| g.door.metrics_listen = v,
        &["9464", "metrics.contoso.com:9464"],
    ),
    (
        "PIC_PUBLIC_URL",
        |g, v| g.door.public_url = v,
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
        |g, v| g.door.trusted_proxies = v,
        &["proxy.contoso.com", "10.0.0.0/33", "::/0", "10.1.2.3/8"],
    ),
    (
        "PIC_SUBMIT_LIMIT",
        |g, v| g.door.submit_limit = v,
        &["-1", "many", "10001"],
    ),
    (
        "PIC_TRY_LIMIT",
        |g, v| g.door.try_limit = v,
        &["none", "1.5"],
    ),
    (
        "PIC_PLAIN_DOMAINS",
        |g, v| g.about.plain_domains = v,
        &["msn", "ted@msn.com", "msn.com, co.uk", "127.0.0.1"],
    ),
    (
        "PIC_OPERATOR_URL",
        |g, v| g.about.operator_url = v,
        &[
            "contoso.com",
            "javascript:alert(1)",
            "https://",
            "https://a b",
        ],
    ),
    (
        "PIC_PROXY_FQDN",
        |g, v| g.about.proxy_fqdn = v,
        &[
            "proxy",
            "192.0.2.1",
            "sip.contoso.com:443",
            "ted@contoso.com",
        ],
    ),
    (
        "PIC_PROVIDER_DOMAIN",
        |g, v| g.about.provider_domain = v,
        &["contoso", "ted@contoso.com", "co.uk"],
    ),
    (
        "PIC_PROVIDER_NETWORKS",
        |g, v| g.about.provider_networks = v,
        &[
            "192.0.2.1/24",
            "contoso.com",
            "192.0.2.0/24;192.0.3.0/24",
            "0.0.0.0/0",
        ],
    ),
    (
        "PIC_TEST_CONTACT",
        |g, v| {
            g.about.test_contact = v;
            g.about.provider_domain = Some("contoso.com".into());
        },
        &[
            "echo",
            "echo@fabrikam.com",
            "echo@contoso.com, ted@contoso.com",
        ],
    ),
    (
        "PIC_CONSUMER_ACCOUNTS",
        |g, v| g.about.consumer_accounts = v,
        &["yes", "1"],
    ),
    ("PIC_CHECKS", |g, v| g.checks.checks = v, &["on", "Enforce"]),
    (
        "PIC_PROOF",
        |g, v| g.checks.proof = v,
        &["never", "Always", "txt"],
    ),
    (
        "PIC_DNS",
        |g, v| g.checks.dns = v,
        &["192.0.2.53", ":53", "dns.test:0"],
    ),
    (
        "PIC_CHECK_PRIVATE",
        |g, v| g.checks.check_private = v,
        &["yes", "1"],
    ),
    (
        "PIC_PROMISE",
        |g, v| g.times.promise = v,
        &["48", "two days", "-1s", "0s", "1000y", "60d"],
    ),
    ("PIC_DRAIN", |g, v| g.door.drain = v, &["5", "soon", "-1s"]),
    ("PIC_EXPIRY", |g, v| g.times.expiry = v, &["30", "1h"]),
    (
        "PIC_RECHECK_FIRST",
        |g, v| g.times.recheck_first = v,
        &["x"],
    ),
    (
        "PIC_SWEEP",
        |g, v| g.times.sweep = v,
        &["hourly", "0s", "60"],
    ),
    (
        "PIC_GATEWAY_SILENT",
        |g, v| g.times.gateway_silent = v,
        &["soon", "0s", "60"],
    ),
    (
        "PIC_RECHECK_MAX",
        |g, v| g.times.recheck_max = v,
        &["1s", "x"],
    ),
    (
        "PIC_DB_POOL",
        |g, v| g.database.db_pool = v,
        &["0", "2", "-1", "many", "1001"],
    ),
    (
        "PIC_ALLOW_UNSAFE_DATABASE",
        |g, v| g.database.allow_unsafe_database = v,
        &["yes", "1"],
    ),
];

#[test]
fn a_wrong_value_names_its_variable_and_an_example_that_is_right() {
    for (variable, set, values) in WRONG {
        for value in *values {
            let wrong = given(|g| set(g, Some((*value).into()))).expect_err(value);
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
                given(|g| set(g, Some(wrong.example.into()))).expect("the example is right");
            }
        }
        given(|g| set(g, Some(" ".into()))).expect("an empty value is none");
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
