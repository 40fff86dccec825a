//! Does the portal stay up when PostgreSQL does not?
//!
//! A portal as a process, under traffic, and a fault between it and its database or in the database
//! itself. However it is at fault: an answer within 5 s with a page of the portal's own, whatever
//! needs no database answered as ever, good answers again as soon as it is over, and what was
//! acknowledged there exactly once.
//!
//! `PIC_TEST_ROUNDS` repeats what may be repeated (`make soak`).

mod messages;
mod network;
mod scene;
mod server;
mod start;
