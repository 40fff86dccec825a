//! Decides whether the client prefers a page or JSON.

use axum::http::{HeaderMap, header::ACCEPT};

use super::assets::weighted;

/// Whether JSON weighs more than a page in `Accept` (RFC 9110, 12.5.1). A page wins a tie: browsers
/// and clients that name neither get it. `application/problem+json` asks for JSON too.
#[must_use]
pub fn prefers_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(ACCEPT) {
        return false;
    }
    let stated = |range: &str| {
        headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(weighted)
            .find(|(stated, _)| stated.eq_ignore_ascii_case(range))
            .map(|(_, weight)| weight)
    };
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

#[cfg(test)]
mod tests {
    use super::*;

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
