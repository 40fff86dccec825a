//! What did an administrator ask for?

pub mod pages;
