//! Caches pages that are the same for every client, rendered and compressed once.
//!
//! Settings do not change while the portal runs, so neither do the start page and the help: each is
//! rendered at the first request for it, and compressed at the first request for that coding. Its
//! tag names its contents, so a client that has the page gets a `304`.
//!
//! The size of the cache is bounded by the route table: the key is the literal address, and
//! handlers know each page by exactly one.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{assets::Coding, conditional::Tag};
use crate::error::Problem;

/// Larger than any page, in bytes.
const LONGEST: usize = 1024 * 1024;
/// Brotli's highest quality, and its widest usual window: a page is compressed once.
const BROTLI: (u32, u32) = (11, 22);

/// The cached pages by their addresses. Cheap to clone; clones share the cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Constants(Arc<RwLock<HashMap<String, Arc<Constant>>>>);

/// A page in each coding that was requested so far.
#[derive(Debug)]
struct Constant {
    /// The headers that the handler set.
    headers: HeaderMap,
    tag: Tag,
    plain: Bytes,
    gzip: OnceLock<Bytes>,
    brotli: OnceLock<Bytes>,
}

/// Answers for the handler of an [`Open`](super::routes::Kind::Open) page once the handler has run.
pub(super) async fn answer(
    State(pages): State<Constants>,
    mut request: Request,
    next: Next,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    if let Some(page) = pages.get(request.uri().path()) {
        return page.answer(request.headers());
    }
    let path = request.uri().path().to_owned();
    // With percent-encoding the same page has countless addresses: such an address is not cached.
    if path.contains('%') {
        return next.run(request).await;
    }
    let asked = request.headers().clone();
    *request.method_mut() = Method::GET;
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(plain) = to_bytes(body, LONGEST).await else {
        return Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    };
    let page = Arc::new(Constant::new(parts.headers, plain));
    let answer = page.answer(&asked);
    pages.keep(path, page);
    answer
}

impl Constants {
    fn get(&self, path: &str) -> Option<Arc<Constant>> {
        let pages = self.0.read().unwrap_or_else(PoisonError::into_inner);
        pages.get(path).cloned()
    }

    fn keep(&self, path: String, page: Arc<Constant>) {
        let mut pages = self.0.write().unwrap_or_else(PoisonError::into_inner);
        pages.insert(path, page);
    }
}

impl Constant {
    fn new(mut headers: HeaderMap, plain: Bytes) -> Self {
        headers.remove(header::CONTENT_LENGTH);
        Self {
            headers,
            tag: Tag::weak(&plain),
            plain,
            gzip: OnceLock::new(),
            brotli: OnceLock::new(),
        }
    }

    /// The page in the coding that the client prefers, or a `304`. One tag serves all codings,
    /// since they mean the same, so it is a weak one.
    fn answer(&self, asked: &HeaderMap) -> Response {
        const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
        const BY_CODING: HeaderValue = HeaderValue::from_static("accept-encoding");
        let fixed: [(HeaderName, HeaderValue); 2] =
            [(header::CACHE_CONTROL, NO_CACHE), (header::VARY, BY_CODING)];
        let tag = self.tag.clone();
        if tag.is_known(asked) {
            return tag.not_modified(fixed);
        }
        let coding = Coding::preferred(asked);
        let body = match coding {
            Coding::Identity => &self.plain,
            Coding::Gzip => self.gzip.get_or_init(|| gzip(&self.plain)),
            Coding::Brotli => self.brotli.get_or_init(|| brotli(&self.plain)),
        };
        let mut response = Response::new(Body::from(body.clone()));
        let headers = response.headers_mut();
        headers.clone_from(&self.headers);
        headers.extend(fixed);
        if let Some(name) = coding.name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        tag.put(&mut response);
        response
    }
}

/// Writing to memory does not fail.
const MEMORY: &str = "memory takes all that is written";

fn gzip(plain: &[u8]) -> Bytes {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(plain).expect(MEMORY);
    gzip.finish().expect(MEMORY).into()
}

fn brotli(plain: &[u8]) -> Bytes {
    let mut packed = Vec::new();
    let (quality, window) = BROTLI;
    let mut brotli =
        brotli::CompressorWriter::new(&mut packed, plain.len().max(1), quality, window);
    brotli.write_all(plain).expect(MEMORY);
    drop(brotli);
    packed.into()
}
