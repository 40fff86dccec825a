//! The service of an agreement: signing in, changing it, cancelling it.

pub mod change;
pub mod pages;
pub mod store;
