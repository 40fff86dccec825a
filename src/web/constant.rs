//! What of a page that is the same for everybody has to be done more than once?
//!
//! Only the answering. Settings do not change while the portal runs, so neither do the start page
//! and the help: each is rendered when it is first asked for, and packed when it is first asked
//! for in that coding. A tag names its contents, so whoever has it already gets nothing but that
//! word.
//!
//! What is kept is bounded by the route table: an address counts as it stands, and handlers know
//! each page by exactly one.

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

/// No page is longer, in bytes.
const LONGEST: usize = 1024 * 1024;
/// The best that brotli can do, and its widest usual window: a page is packed once.
const BROTLI: (u32, u32) = (11, 22);

/// The pages made so far, by their addresses. Cheap to clone; clones keep together.
#[derive(Clone, Debug, Default)]
pub(super) struct Constants(Arc<RwLock<HashMap<String, Arc<Constant>>>>);

/// A page in as many forms as somebody has asked for.
#[derive(Debug)]
struct Constant {
    /// Those of the handler.
    headers: HeaderMap,
    tag: Tag,
    plain: Bytes,
    gzip: OnceLock<Bytes>,
    brotli: OnceLock<Bytes>,
}

/// Answers for the handler of an [`Open`](super::routes::Kind::Open) page once it has been asked.
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
    // The same page can be written with escapes in endless ways: such an address is not kept.
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

    /// The page for who asks with these headers, in the coding they like best; or that they have
    /// it. One tag serves all codings, since they mean the same: it is a weak one.
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
