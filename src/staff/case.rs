//! One request or service at the support desk: what staff see of it and can do to it.

pub mod store;
