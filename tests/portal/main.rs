//! Does the portal as a whole do what it promises?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod journey;
mod model;
mod ownership;
mod private_postgres;
mod service;
mod sessions;
mod support;
mod swaps;
mod test_databases;
