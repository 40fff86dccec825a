//! Turns a line of the route table into a route with everything it needs.
//!
//! The table (`src/routes.rs`) is data: a test requests every route and checks its headers and
//! limits, so a new one cannot be forgotten. Only this module adds routes to a router.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{from_fn_with_state, map_response},
    response::{IntoResponse as _, Redirect, Response},
    routing::{MethodFilter, MethodRouter, on},
};

use super::{
    Around,
    conditional::ASK_AGAIN,
    constant::{self, Constants},
    tries,
};

/// What kind of response a route gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page that is the same for every client, rendered and compressed once. No other page is
    /// compressed: next to something secret, the length reveals what was typed (BREACH).
    Open,
    /// A page or text with what was typed or stored, and forms.
    Page,
    /// A file of `static/`, compressed when it was built.
    File,
    /// A plain-text answer for monitoring programs.
    Probe,
}

/// A line of the route table.
#[derive(Debug)]
pub struct Route<S> {
    path: &'static str,
    kind: Kind,
    methods: Vec<Method>,
    handlers: MethodRouter<S>,
    guarded: bool,
    kept: bool,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// A route without methods yet. `path` is axum's pattern.
    #[must_use]
    pub fn new(kind: Kind, path: &'static str) -> Self {
        Self {
            path,
            kind,
            methods: Vec::new(),
            handlers: MethodRouter::new(),
            guarded: false,
            kept: false,
        }
    }

    /// Adds `GET`, and with it `HEAD`.
    #[must_use]
    pub fn get<T: 'static>(mut self, handler: impl Handler<T, S>) -> Self {
        self.methods.extend([Method::GET, Method::HEAD]);
        self.handlers = self.handlers.get(handler);
        self
    }

    /// Adds `POST`.
    #[must_use]
    pub fn post<T: 'static>(mut self, handler: impl Handler<T, S>) -> Self {
        self.methods.push(Method::POST);
        self.handlers = self.handlers.post(handler);
        self
    }

    /// Limits attempts: a `POST` tries a key or password, so an attempt is counted before the
    /// handler runs, and over the limit the handler does not run.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }

    /// Lets the browser that was answered keep its forms and reviews, so that Back and Forward show
    /// them with what was typed. Never for pages with a key.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Pattern of the address.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// What kind of response it gives.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The methods of the route, except `OPTIONS`, which every route has.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Whether attempts are limited there.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Adds the route to `router`, with the middleware `around` its handlers; the address of a page
    /// with a slash at its end redirects to the page.
    pub(super) fn add_to(
        self,
        router: Router<S>,
        around: &Around,
        constants: &Constants,
    ) -> Router<S> {
        let names: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        let allow = format!("{}, OPTIONS", names.join(", "));
        let allow = HeaderValue::from_str(&allow).expect("names of methods are letters");
        let options = async move || (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]);
        let mut handlers = self.handlers.options(options);
        if self.kind == Kind::Open {
            handlers = handlers.layer(from_fn_with_state(constants.clone(), constant::answer));
        }
        if self.guarded {
            let site = Arc::clone(&around.0.site);
            handlers = handlers.layer(from_fn_with_state(site, tries::guard_tries));
        }
        if self.kept {
            handlers = handlers.layer(map_response(keep));
        }
        let is_page = matches!(self.kind, Kind::Open | Kind::Page);
        let counted = around.meter().of_route(self.path, &self.methods);
        let router = router.route(self.path, around.put(counted, handlers));
        if is_page && self.methods.contains(&Method::GET) && !self.path.ends_with('/') {
            let slashed = format!("{}/", self.path);
            let handlers = on(MethodFilter::GET, without_slash);
            return router.route(&slashed, around.put(around.meter().of_no_route(), handlers));
        }
        router
    }
}

/// Lets the browser keep a form or a review. What sets a cookie, redirects or reports a fault is not kept.
async fn keep(mut answered: Response) -> Response {
    let is_form = answered.status().is_success()
        || [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&answered.status());
    let headers = answered.headers_mut();
    if is_form && !headers.contains_key(header::SET_COOKIE) {
        headers.entry(header::CACHE_CONTROL).or_insert(ASK_AGAIN);
    }
    answered
}

/// `/status/?q=x` -> `/status?q=x`, on the same host whatever its name.
async fn without_slash(uri: Uri) -> Response {
    let path = uri.path().trim_end_matches('/');
    let query = uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    Redirect::permanent(&format!("{path}{query}")).into_response()
}
