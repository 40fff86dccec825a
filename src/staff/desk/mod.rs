//! What is known of one request or service at the desk, and what is done to it?

pub mod store;
