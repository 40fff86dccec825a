//! Tests the portal as a whole, on a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod background;
mod bounds;
mod canary;
mod check;
mod checks;
mod costs;
mod crash;
mod faults;
mod front_door;
mod help;
mod house;
mod import;
mod journey;
mod live;
mod metrics;
mod model;
mod numbers;
mod overload;
mod ownership;
mod papers;
mod plain;
mod private_postgres;
mod process;
mod purge;
mod readiness_dns;
mod readiness_tls;
mod reads;
mod retention;
mod round_trips;
mod rules;
mod schema;
mod schema_guard;
mod service;
mod sessions;
mod staff;
mod standards;
mod submits;
mod support;
mod swaps;
mod test_databases;
mod tries;
mod typed;
mod words;
