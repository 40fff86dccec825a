//! What does an agreement hold, and who may change it?

pub mod change;
pub mod pages;
pub mod store;
