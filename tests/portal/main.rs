//! Does the portal as a whole do what it promises?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod background;
mod house;
mod journey;
mod private_postgres;
mod rules;
mod schema;
mod submits;
mod support;
mod test_databases;
