//! A self-service portal for SIP federation: a map of the code.
//!
//! An administrator of an organisation asks in a browser that its SIP domains be federated. The
//! request is stored in PostgreSQL as **pending**; a background task checks whether DNS and
//! certificates are ready, moves it to **provisioned** and puts its **routes** in force; the status
//! page shows how it stands and what needs fixing. No contact information is asked for, stored or
//! logged.
//!
//! # The modules
//!
//! One module for each feature; the layers are file names inside it. the file of the module and its `form.rs` do no
//! I/O, only `store.rs` uses SQL, only `pages` knows HTTP and templates. `tests/portal/house.rs`
//! checks the imports.
//!
//! | module | what it is for |
//! |---|---|
//! | [`names`], [`agreement`], [`base32`] | what a person typed, parsed: names of hosts and domains, agreement numbers, random codes |
//! | [`request`] | a request: its state machine, form, storage and pages; [`request::live`] reports its changes by stream, JSON, feed, calendar and support bundle |
//! | [`service`] | the service of an agreement: signing in with its management key, changing it, cancelling it |
//! | [`readiness`] | the readiness checks of DNS and certificates: facts, judgement, words |
//! | [`staff`] | the support desk: accounts, single sign-on, the queue, search, acting for an administrator |
//! | [`provisioning`] | the background task: claims due requests, checks them, settles them; checks again what is in force |
//! | [`gateway`] | publishing the routes in force to the operator's gateways, and what each has loaded |
//! | [`retention`] | deleting what is no longer needed: the rule, the sweep, `/privacy`, purging an old portal's tables, importing its export |
//! | [`backup`] | backing a database up into a file, restoring it, moving it to a newer PostgreSQL |
//! | [`help`], [`topic`] | the help, a page for each topic; the address tool |
//! | [`db`] | opening and migrating the database, its connections with a limit for each statement, batched queries, errors without values; the private PostgreSQL |
//! | [`web`] | what every response needs: routes, headers, error pages, page frame, assets, forms, sessions, limits |
//! | [`app`], [`server`] | what handlers share; the HTTP server |
//! | [`meter`], [`metrics`] | what Prometheus reads: the counters of the modules, the database's gauges |
//! | [`demo`] | a demonstration: name server and Access Edges in the process, two weeks of requests |
//! | [`config`], [`cli`], [`telemetry`], [`clock`], [`error`] | settings, commands, the log, time, errors |
//!
//! `templates/` mirrors `src/`. `migrations/` is the schema: requests leave the state pending in
//! `pic_end`, and routes change in `pic_provision` (`0003_settling.sql`), for settling and import
//! alike. `static/` holds built assets and their sources.
//!
//! # A submission, from end to end
//!
//! `request::pages` receives the fields, [`request::form::RequestForm::check`] makes a
//! [`request::Wanted`] of them or says for each field what is wrong, [`request::queue::Queue`]
//! stores it by one statement with those that come in at the same time; before that, the review
//! page shows as advice what a short check by [`readiness::engine::Checker`] found. The
//! [`db::notify::Notifier`] wakes the [`provisioning::worker::Worker`], which claims what is due.
//! [`provisioning::checking`] checks it with the same checker, outside any transaction;
//! [`provisioning::store::settle`] stores the findings and, if none blocks the request, puts its
//! routes in force, in one transaction. Otherwise the request waits for its next check. Where
//! checks are off, one statement takes and settles a batch ([`provisioning::store::settle_due`]).
//! [`request::Standing`] says how it stands, on the page and everywhere else; [`request::live`]
//! reports every change to those who follow it.
//!
//! # Two runtimes
//!
//! Connections are served on all cores by one runtime. The writers of the queue have another, of
//! one thread ([`cli`] starts both), which the background task shares where checks are off: under
//! overload it takes long to poll all connections once, and requests that were accepted are stored
//! and settled all the same.
//!
//! # Words and sources
//!
//! The words (programme, agreement number, Access Edge, SIP domain, route, service, request,
//! reference, management key, finding, event) mean in code, tables and pages what
//! `docs/design.md#words` says. The documents in `docs/` are the contract and its sources:
//! `docs/field.md` on the field, `docs/design.md` on the design, `docs/pages.md` on the pages,
//! `docs/performance.md` on what was measured, `docs/decisions/README.md` on why it is built like
//! this. Comments refer to them by file and section, as in `docs/field.md#edges-and-domains`;
//! `tests/portal/papers.rs` follows each reference.

// A module with parts is `request.rs` beside `request/`.
#![warn(clippy::mod_module_files)]

pub mod agreement;
pub mod app;
pub mod backup;
pub mod base32;
pub mod cli;
pub mod clock;
pub mod column;
pub mod config;
pub mod db;
pub mod demo;
pub mod error;
pub mod gateway;
pub mod help;
pub mod meter;
pub mod metrics;
pub mod names;
pub mod provisioning;
pub mod readiness;
pub mod request;
pub mod retention;
pub mod routes;
pub mod secret;
pub mod server;
pub mod service;
pub mod session;
pub mod staff;
pub mod telemetry;
mod text_enum;
pub mod topic;
pub mod web;
