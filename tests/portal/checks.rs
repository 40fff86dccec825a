//! Checks that a request waits for its checks, and how their findings are stored.

mod asked;
mod limits;
mod looked;
mod proof;
mod shared;
mod sip;
mod spared;
mod turns;
mod verdicts;
