//! Recognises names that nobody can have federated: servers of the online service, domains of
//! personal accounts, and endings that public DNS never has.
//!
//! Which names are on the lists, and by which source: `docs/field.md#names-that-are-refused`.

use super::problem::NameProblem;

/// Zones of Microsoft's online service: `sipfed`, `sipdir` and the like, each of its clouds, and the
/// gateway to the network of personal accounts.
const ONLINE_SERVICE: &[&str] = &[
    "lync.com",
    "lync.cn",
    "lync.de",
    "skypeforbusiness.com",
    "skypeforbusiness.de",
    "skypeforbusiness.us",
    "messenger.msn.com",
    "pstnhub.microsoft.com",
    "teams.microsoft.com",
    "teams.microsoft.us",
];

/// Zones of the online service's mail servers. A record for SIP that leads there is a slip, and does not
/// say that the domain is homed online.
const ONLINE_MAIL: &[&str] = &["mx.microsoft", "protection.outlook.com"];

/// What each tenant of the online service gets as its first domain, in each of its clouds.
const ONLINE_TENANTS: &[&str] = &[
    "onmicrosoft.com",
    "onmicrosoft.de",
    "onmicrosoft.us",
    "onmschina.cn",
];

/// Where providers give addresses to anybody.
const PERSONAL: &[&str] = &[
    // Microsoft
    "hotmail.at",
    "hotmail.be",
    "hotmail.ca",
    "hotmail.ch",
    "hotmail.co.jp",
    "hotmail.co.th",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.com.ar",
    "hotmail.com.br",
    "hotmail.de",
    "hotmail.dk",
    "hotmail.es",
    "hotmail.fi",
    "hotmail.fr",
    "hotmail.gr",
    "hotmail.hu",
    "hotmail.it",
    "hotmail.nl",
    "hotmail.no",
    "hotmail.se",
    "live.at",
    "live.be",
    "live.ca",
    "live.cn",
    "live.co.uk",
    "live.co.za",
    "live.com",
    "live.com.au",
    "live.com.mx",
    "live.com.sg",
    "live.de",
    "live.dk",
    "live.fi",
    "live.fr",
    "live.hk",
    "live.ie",
    "live.in",
    "live.it",
    "live.jp",
    "live.nl",
    "live.no",
    "live.ru",
    "live.se",
    "msn.cn",
    "msn.com",
    "outlook.at",
    "outlook.be",
    "outlook.cl",
    "outlook.co.id",
    "outlook.co.il",
    "outlook.co.th",
    "outlook.com",
    "outlook.com.ar",
    "outlook.com.au",
    "outlook.com.br",
    "outlook.com.gr",
    "outlook.com.tr",
    "outlook.com.vn",
    "outlook.cz",
    "outlook.de",
    "outlook.dk",
    "outlook.es",
    "outlook.fr",
    "outlook.hu",
    "outlook.ie",
    "outlook.in",
    "outlook.it",
    "outlook.jp",
    "outlook.kr",
    "outlook.lv",
    "outlook.my",
    "outlook.ph",
    "outlook.pt",
    "outlook.sa",
    "outlook.sg",
    "outlook.sk",
    "passport.com",
    "skype.com",
    "webtv.net",
    "windowslive.com",
    // Others
    "126.com",
    "163.com",
    "aim.com",
    "aol.com",
    "fastmail.com",
    "free.fr",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "naver.com",
    "orange.fr",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "rocketmail.com",
    "t-online.de",
    "web.de",
    "yahoo.ca",
    "yahoo.co.in",
    "yahoo.co.jp",
    "yahoo.co.nz",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.com.au",
    "yahoo.com.br",
    "yahoo.de",
    "yahoo.es",
    "yahoo.fr",
    "yahoo.ie",
    "yahoo.it",
    "yandex.com",
    "yandex.ru",
    "ymail.com",
];

/// Endings for names inside a network (RFC 6762, 3 and appendix G; RFC 8375; ICANN on `internal`, and
/// on `corp`, `home` and `mail`).
const INSIDE: &[&str] = &[
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "mail",
    "private",
];

/// Endings that public DNS has no hosts under (RFC 6761, 6.3 and 6.4; RFC 7686; RFC 9476; RFC 3172).
const NEVER: &[&str] = &["alt", "arpa", "invalid", "localhost", "onion"];

/// Endings that software must not treat as special, although no registry has them (RFC 6761, 6.2 and
/// 6.5): test networks and documentation use them as any other.
const FOR_TESTS: &[&str] = &["example", "test"];

/// Whether `name` is `zone` or lies below it.
fn lies_in(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone)
        .is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn zone_of(name: &str, zones: &[&'static str]) -> Option<&'static str> {
    zones.iter().copied().find(|zone| lies_in(name, zone))
}

/// Why nobody can have a name federated, if so.
pub(super) fn refused(name: &str) -> Option<NameProblem> {
    if is_online_service(name) || is_online_mail(name) {
        Some(NameProblem::OnlineService)
    } else if is_online_tenant(name) {
        Some(NameProblem::OnlineTenant)
    } else if zone_of(name, PERSONAL).is_some() {
        Some(NameProblem::PersonalAccounts)
    } else if let Some(ending) = zone_of(name, INSIDE) {
        Some(NameProblem::InsideOnly(ending))
    } else {
        zone_of(name, NEVER).map(NameProblem::NeverPublic)
    }
}

/// Whether a name is a server of the online service.
pub(super) fn is_online_service(name: &str) -> bool {
    zone_of(name, ONLINE_SERVICE).is_some()
}

/// Whether a name is a mail server of the online service.
fn is_online_mail(name: &str) -> bool {
    zone_of(name, ONLINE_MAIL).is_some()
}

/// Whether a name is a tenant's first domain, or lies below one.
pub(super) fn is_online_tenant(name: &str) -> bool {
    zone_of(name, ONLINE_TENANTS).is_some()
}

/// Whether public DNS never has the name.
pub(super) fn is_never_public(name: &str) -> bool {
    [INSIDE, NEVER]
        .iter()
        .any(|endings| zone_of(name, endings).is_some())
}

/// Whether the name is for tests and documentation.
pub(super) fn is_for_tests(name: &str) -> bool {
    zone_of(name, FOR_TESTS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_refused_ending_is_one_that_people_register_under() {
        // These are on the list of public suffixes, and nobody registers a name under them.
        let listed = ["arpa", "home.arpa", "onion"];
        for ending in INSIDE.iter().chain(NEVER).chain(FOR_TESTS) {
            let known = psl::suffix(ending.as_bytes()).is_some_and(|it| it.is_known());
            assert_eq!(known, listed.contains(ending), "{ending}");
        }
    }

    #[test]
    fn a_zone_has_itself_and_what_is_below_it() {
        assert!(lies_in("lync.com", "lync.com") && lies_in("a.b.lync.com", "lync.com"));
        assert!(!lies_in("notlync.com", "lync.com") && !lies_in("com", "lync.com"));
    }

    #[test]
    fn every_list_is_in_its_normal_form() {
        for name in [ONLINE_SERVICE, ONLINE_MAIL, ONLINE_TENANTS, PERSONAL].concat() {
            assert!(super::super::parse::is_normal(name), "{name}");
        }
    }
}
