//! Does the portal as a whole do what it promises?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod front_door;
mod journey;
mod private_postgres;
mod support;
mod test_databases;
