//! Does the portal as a whole do what it promises?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod background;
mod canary;
mod front_door;
mod help;
mod house;
mod import;
mod journey;
mod model;
mod ownership;
mod private_postgres;
mod process;
mod purge;
mod rules;
mod schema;
mod service;
mod sessions;
mod submits;
mod support;
mod swaps;
mod test_databases;
