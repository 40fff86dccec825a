//! Reads what a client accepts: a page or JSON, compressed or not.

use axum::http::{
    HeaderMap, HeaderName,
    header::{ACCEPT, ACCEPT_ENCODING},
};

/// Whether JSON weighs more than a page in `Accept` (RFC 9110, 12.5.1). A page wins a tie: browsers
/// and clients that name neither get it. `application/problem+json` asks for JSON too.
#[must_use]
pub fn prefers_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(ACCEPT) {
        return false;
    }
    let stated = |range| weight_of(headers, ACCEPT, range);
    // The most specific range that matches a type decides.
    let weight = |kind, family| {
        [kind, family, "*/*"]
            .into_iter()
            .find_map(stated)
            .unwrap_or(0)
    };
    let json = weight("application/json", "application/*");
    let problem = weight("application/problem+json", "application/*");
    json.max(problem) > weight("text/html", "text/*")
}

/// Whether the client takes gzip (RFC 9110, 12.5.3).
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let stated = |coding| weight_of(headers, ACCEPT_ENCODING, coding);
    stated("gzip").or_else(|| stated("*")).unwrap_or(0) > 0
}

/// The weight of an item, in thousandths, if the header names it.
pub(super) fn weight_of(headers: &HeaderMap, header: HeaderName, item: &str) -> Option<u16> {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(weighted)
        .find(|(stated, _)| stated.eq_ignore_ascii_case(item))
        .map(|(_, weight)| weight)
}

/// Parses an item of a header with a weight: `gzip;q=0.5` is `("gzip", 500)`. A weight that cannot
/// be parsed counts as missing.
fn weighted(item: &str) -> (&str, u16) {
    let mut parts = item.split(';').map(str::trim);
    let coding = parts.next().unwrap_or_default();
    let weight = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .and_then(thousandths)
        .unwrap_or(1000);
    (coding, weight)
}

/// `0.5` is 500; at most three digits after the point, at most 1.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u16 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_and_has_a_weight() {
        for (accept, gzip) in [
            ("br, gzip;q=0.5", true),
            ("GZIP", true),
            ("*", true),
            ("gzip;q=0", false),
            ("*;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, accept.parse().unwrap())]);
            assert_eq!(takes_gzip(&headers), gzip, "{accept}");
        }
    }

    #[test]
    fn the_weight_decides_and_a_page_wins_a_tie() {
        for (accept, json) in [
            (&[][..], false),
            (&["*/*"], false),
            (&["text/html"], false),
            (&["application/json"], true),
            (&["application/problem+json"], true),
            (&["APPLICATION/JSON"], true),
            (&["application/json; charset=utf-8"], true),
            (&["application/*"], true),
            (&["application/json, */*"], false),
            (&["application/json, */*;q=0.8"], true),
            (&["application/json", "text/html;q=0.9"], true),
            (&["application/json, text/html"], false),
            (&["application/json;q=0.5, text/html;q=0.4"], true),
            (&["application/json;q=0.5, text/*;q=0.6"], false),
            (
                &["application/json;q=0.5, text/*;q=0.6, text/html;q=0.1"],
                true,
            ),
            (&["application/json;q=0"], false),
            (&["application/json;q=0, */*"], false),
            (
                &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
                false,
            ),
            (&["text/plain"], false),
            (&["nonsense"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in accept {
                headers.append(ACCEPT, line.parse().unwrap());
            }
            assert_eq!(prefers_json(&headers), json, "{accept:?}");
        }
    }
}
