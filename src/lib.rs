//! A self-service portal for SIP federation: the map of the house.
//!
//! An administrator of an organisation asks in a browser that its SIP domains be federated. The
//! request is stored in PostgreSQL as **pending**; a background task looks whether DNS and
//! certificates are ready, moves it to **provisioned** and puts its **routes** in force; the status
//! page tells how it stands and what is to be mended. No contact information is asked for, stored
//! or logged.
//!
//! # The rooms
//!
//! Feature slices; the layers are file names inside a slice. `mod.rs` and `form.rs` do no I/O,
//! `store.rs` alone speaks SQL, `pages` alone knows of HTTP and templates. `tests/portal/house.rs`
//! holds the imports to that.
//!
//! | room | what it is for |
//! |---|---|
//! | [`names`], [`agreement`], [`code`] | what a person typed, parsed: names of hosts and domains, agreement numbers, random codes |
//! | [`request`] | a request: its state machine, form, storage and pages; [`request::live`] tells of it by stream, JSON, feed, calendar and support bundle |
//! | [`service`] | what an agreement holds: signing in by its management key, changing it, cancelling it |
//! | [`readiness`] | will federation work: DNS and certificates, looked at, judged and put into words |
//! | [`staff`] | the support desk: accounts, the queue, looking up, acting for an administrator |
//! | [`provisioning`] | the background task: claim what is due, look at it, settle it; watch what is in force |
//! | [`retention`] | no contact information is kept: the rule, the sweep, `/privacy`, purging an old portal's tables, importing its export |
//! | [`help`], [`topic`] | what administrators have to know, a page a topic; the address tool |
//! | [`db`] | opening and migrating the database, its connections with a limit for each statement, questions asked together, its faults without values; the private PostgreSQL |
//! | [`web`] | what every answer has: the table's routes, headers, faces of errors, page shell, assets, forms, sessions, limits |
//! | [`app`], [`server`] | what handlers share and the route table; the front door |
//! | [`metrics`] | what Prometheus reads: the counters of the rooms, the database's gauges |
//! | [`config`], [`cli`], [`telemetry`], [`clock`], [`error`] | settings, commands, the log, time, what went wrong |
//!
//! `templates/` mirrors `src/`. `migrations/` is the schema: requests leave pending in `pic_end`, routes
//! change in `pic_provision` (`0003_settling.sql`), whoever settles or imports. `static/` holds built
//! assets and their sources.
//!
//! # A submission, from end to end
//!
//! `request::pages` takes the fields, [`request::form::RequestForm::check`] makes a
//! [`request::Wanted`] of them or says by the field what is wrong, [`request::queue::Queue`] stores
//! it by one statement with those that come in at the same time; before that, the page with the
//! answers shows what a short look by [`readiness::engine::Checker`] found, as advice. The [`db::notify::Notifier`] wakes the
//! [`provisioning::worker::Worker`], which claims what is due. [`provisioning::checking`] looks at
//! it with the same checker, outside any transaction; [`provisioning::store::settle`] stores the
//! findings and, where nothing holds the request back, puts its routes in force, in one
//! transaction. Else it waits and is looked at again. Where checks are off, one statement takes
//! and settles a batch ([`provisioning::store::settle_due`]). [`request::Standing`] says how it
//! stands, to the page and to everybody else; whoever follows it hears of every change by
//! [`request::live`].
//!
//! # Two runtimes
//!
//! Connections are served on all cores by one runtime. The writers of the queue have another, of one
//! thread ([`cli`] starts both), and with them the background task where it looks nothing up: when
//! more comes in than can be done, a turn of all connections takes long, and what was let in gets on
//! all the same.
//!
//! # Words and sources
//!
//! The words (programme, agreement number, Access Edge, SIP domain, route, service, request,
//! reference, management key, finding, event) mean in code, tables and pages what
//! `docs/design.md#words` says. The papers in `docs/` are the contract and its sources:
//! `docs/field.md` on the field, `docs/design.md` on the design, `docs/pages.md` on the pages,
//! `docs/performance.md` on what was measured, `docs/decisions/README.md` on why it is built like
//! this. Comments refer to them by file and section, as in `docs/field.md#edges-and-domains`;
//! `tests/portal/papers.rs` follows each reference.

pub mod agreement;
pub mod app;
pub mod cli;
pub mod clock;
pub mod code;
pub mod config;
pub mod db;
pub mod error;
pub mod help;
pub mod metrics;
mod named;
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
pub mod topic;
pub mod web;
