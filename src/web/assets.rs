//! Serves the files of `static/`, in the encoding that the browser prefers.
//!
//! The files are in the binary, in three forms each: as they are, gzip, brotli (made once by
//! `static/source/build.sh`). The address carries a hash of the contents, so browsers keep a file
//! for a year and never use an old one.

use std::sync::LazyLock;

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::accept;

/// Bytes of SHA-256 in an address: 48 bits tell two versions of a file apart.
const HASH_BYTES: usize = 6;

/// One file in its three forms.
struct Source {
    name: &'static str,
    stem: &'static str,
    extension: &'static str,
    content_type: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

macro_rules! source {
    ($stem:literal, $extension:literal, $content_type:literal) => {
        Source {
            name: concat!($stem, ".", $extension),
            stem: $stem,
            extension: $extension,
            content_type: $content_type,
            plain: include_bytes!(concat!("../../static/", $stem, ".", $extension)),
            gzip: include_bytes!(concat!("../../static/", $stem, ".", $extension, ".gz")),
            brotli: include_bytes!(concat!("../../static/", $stem, ".", $extension, ".br")),
        }
    };
}

static SOURCES: [Source; 3] = [
    source!("app", "css", "text/css; charset=utf-8"),
    source!("app", "js", "text/javascript; charset=utf-8"),
    source!("favicon", "svg", "image/svg+xml"),
];

/// A file and the address it is served under.
struct Asset {
    source: &'static Source,
    url: String,
}

const PREFIX: &str = "/static/";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    SOURCES
        .iter()
        .map(|source| {
            let digest = Sha256::digest(source.plain);
            let hash = HEXLOWER.encode(&digest[..HASH_BYTES]);
            Asset {
                source,
                url: format!("{PREFIX}{}.{hash}.{}", source.stem, source.extension),
            }
        })
        .collect()
});

/// The address of a file of `static/`, such as `/static/app.0123456789ab.css` for `app.css`.
///
/// # Panics
///
/// For a name that `static/` does not have: an error in a template, which shows when it is first
/// rendered.
#[must_use]
pub fn url(name: &'static str) -> &'static str {
    let asset = ASSETS.iter().find(|asset| asset.source.name == name);
    &asset.unwrap_or_else(|| panic!("static/ has no {name}")).url
}

/// The route of all files, to be merged into the portal's router.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/static/{name}", get(asset))
}

/// `GET /static/{name}`: a file by its hashed name, in the encoding that the browser prefers.
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.url.strip_prefix(PREFIX) == Some(name.as_str()));
    let Some(Asset { source, .. }) = asset else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let coding = Coding::preferred(&headers);
    let bytes = match coding {
        Coding::Brotli => source.brotli,
        Coding::Gzip => source.gzip,
        Coding::Identity => source.plain,
    };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(source.content_type));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(name) = coding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

/// Content codings, in the order of our own preference, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coding {
    /// The bytes as they are.
    Identity,
    /// The coding `gzip` (RFC 1952).
    Gzip,
    /// The coding `br` (RFC 7932).
    Brotli,
}

impl Coding {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Identity, "identity"),
        (Self::Gzip, "gzip"),
        (Self::Brotli, "br"),
    ];

    /// The name in `Content-Encoding`; uncompressed bytes have none.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The coding with the highest weight, ours first among equals (RFC 9110, 12.5.3).
    ///
    /// A client that accepts none of ours gets the uncompressed bytes, which is better than a 406.
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        let weight = |name| {
            accept::weight_of(headers, ACCEPT_ENCODING, name)
                .or_else(|| accept::weight_of(headers, ACCEPT_ENCODING, "*"))
        };
        Self::ALL
            .into_iter()
            .filter_map(|(coding, name)| match weight(name) {
                Some(0) => None,
                Some(weight) => Some((weight, coding)),
                // Not named: uncompressed bytes are acceptable, but anything named is better.
                None => (coding == Self::Identity).then_some((0, coding)),
            })
            .max()
            .map_or(Self::Identity, |(_, coding)| coding)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    fn preferred(accept: &[&'static str]) -> Coding {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        Coding::preferred(&headers)
    }

    #[test]
    fn the_weight_decides_and_our_order_among_equals() {
        use Coding::{Brotli, Gzip, Identity};
        for (accept, coding) in [
            (&[][..], Identity),
            (&[""], Identity),
            (&["gzip, deflate, br, zstd"], Brotli),
            (&["gzip", "br"], Brotli),
            (&["GZIP"], Gzip),
            (&["br;q=0, gzip"], Gzip),
            (&["br;q=0.5, gzip;q=0.8"], Gzip),
            (&["br; q=0.001"], Brotli),
            (&["identity, gzip;q=0.5"], Identity),
            (&["*"], Brotli),
            (&["*;q=0, gzip"], Gzip),
            (&["*;q=0"], Identity),
            (&["identity;q=0"], Identity),
            (&["zstd"], Identity),
            (&["br;q=2"], Brotli),
            (&["br;q=,gzip;q=x"], Brotli),
        ] {
            assert_eq!(preferred(accept), coding, "{accept:?}");
        }
    }

    async fn fetch(method: &str, path: &str, accept: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT_ENCODING, accept)
            .body(Body::empty())
            .unwrap();
        let (parts, body) = router::<()>().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        (parts.status, parts.headers, bytes)
    }

    #[tokio::test]
    async fn a_file_is_served_under_its_hash_for_a_year() {
        let (status, headers, body) = fetch("GET", url("app.css"), "identity").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, SOURCES[0].plain);
        assert_eq!(headers[CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(
            headers[CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[VARY], "accept-encoding");
        assert!(!headers.contains_key(CONTENT_ENCODING));

        let (_, headers, body) = fetch("GET", url("app.js"), "gzip, br").await;
        assert_eq!(headers[CONTENT_ENCODING], "br");
        assert_eq!(body, SOURCES[1].brotli);

        let (status, headers, body) = fetch("HEAD", url("favicon.svg"), "gzip").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["content-length"], SOURCES[2].gzip.len().to_string());
        assert_eq!(body, b"");
    }

    #[tokio::test]
    async fn other_names_are_not_found() {
        for path in [
            "/static/app.css",
            "/static/app.000000000000.css",
            "/static/x",
        ] {
            let (status, headers, _) = fetch("GET", path, "br").await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(!headers.contains_key(CACHE_CONTROL));
        }
    }

    #[test]
    fn addresses_tell_contents_apart() {
        let address = url("app.css");
        let hash = address
            .strip_prefix("/static/app.")
            .and_then(|rest| rest.strip_suffix(".css"));
        assert_eq!(hash.map(str::len), Some(2 * HASH_BYTES), "{address}");
        assert_ne!(address, url("app.js"));
    }
}
