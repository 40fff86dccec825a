//! Does the portal as a whole do what it promises?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod background;
mod canary;
mod help;
mod house;
mod journey;
mod private_postgres;
mod process;
mod rules;
mod schema;
mod submits;
mod support;
mod test_databases;
