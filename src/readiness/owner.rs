//! Judges proof of ownership: whether the owner of a zone names the service
//! (`docs/design.md#whose-domain`).
//!
//! The proof is a TXT record: `_pic-portal.<domain>` has `pic-service=<token of the service>`, and
//! names no other service.

use super::{
    Code, Finding, Severity,
    dns::{TOKEN_KEY, TOKEN_PREFIX, TokenFacts},
};
use crate::names::{Fqdn, SipDomain};

/// The name of the record for `domain`, without a dot at the end.
#[must_use]
pub fn record_name(domain: &Fqdn) -> String {
    format!("{TOKEN_PREFIX}.{domain}")
}

/// The text of the record: the same for all domains of the service with this token.
#[must_use]
pub fn record_value(token: &str) -> String {
    format!("{TOKEN_KEY}{token}")
}

/// The finding for `domain` and the service with `token`, where the lookup returned `said` and the
/// domain `is_held` by another service or by none.
#[must_use]
pub fn judge(domain: &SipDomain, token: &str, said: &TokenFacts, is_held: bool) -> Finding {
    let subject = domain.as_fqdn();
    let code = match (said, is_held) {
        (TokenFacts::Proven, _) => Code::DomainProven,
        (_, true) => Code::DomainHeld,
        (_, false) => Code::DomainUnproven,
    };
    let expected = format!("{}. TXT \"{}\"", record_name(subject), record_value(token));
    let mut finding = Finding::new(code, subject, &expected, said.lines());
    if let (TokenFacts::Unreachable(_), Code::DomainUnproven) = (said, code) {
        finding.severity = Severity::Unknown;
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readiness::dns::Trouble;

    #[test]
    fn only_the_own_token_alone_proves() {
        let domain = SipDomain::parse("contoso.com").unwrap();
        let told = |said, is_held| {
            let finding = judge(&domain, "T0KEN", &said, is_held);
            let expected = "_pic-portal.contoso.com. TXT \"pic-service=T0KEN\"";
            assert_eq!(finding.expected.as_str(), expected);
            (finding.code, finding.severity)
        };
        let other = |own| TokenFacts::Other {
            own,
            services: 1,
            near: 0,
            unrelated: 0,
        };
        let disagree = TokenFacts::Disagree {
            proving: 1,
            answering: 2,
        };
        let silent = TokenFacts::Unreachable(Trouble::Silent);
        for is_held in [true, false] {
            let proven = (Code::DomainProven, Severity::Ok);
            assert_eq!(told(TokenFacts::Proven, is_held), proven);
        }
        let place = ("contoso.com".to_owned(), "_pic-portal in front is missing");
        let misplaced = TokenFacts::Misplaced(vec![place]);
        let missing = TokenFacts::Missing;
        for said in [missing, misplaced, other(true), other(false), disagree] {
            let (held, unproven) = (told(said.clone(), true), told(said, false));
            assert_eq!(held, (Code::DomainHeld, Severity::Blocking));
            assert_eq!(unproven, (Code::DomainUnproven, Severity::Blocking));
        }
        assert_eq!(
            told(silent.clone(), true),
            (Code::DomainHeld, Severity::Blocking)
        );
        assert_eq!(
            told(silent, false),
            (Code::DomainUnproven, Severity::Unknown)
        );
    }
}
