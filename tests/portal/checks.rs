//! Does a request wait for its checks, and what is kept of what they found?

mod limits;
mod looked;
mod proof;
mod spared;
mod turns;
mod verdicts;
