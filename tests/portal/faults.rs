//! Checks that the portal stays up when PostgreSQL does not.
//!
//! A portal as a process, under traffic, and a fault between it and its database or in the database
//! itself. Whatever the fault: a response within 5 s with an error page of the portal's own, pages
//! that need no database work as usual, requests succeed again as soon as it is over, and what was
//! acknowledged is stored exactly once.
//!
//! `PIC_TEST_ROUNDS` repeats what may be repeated (`make soak`).

mod messages;
mod network;
mod scene;
mod server;
mod servers;
mod start;
