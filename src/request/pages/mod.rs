//! What does a browser see of a request?

pub mod view;
