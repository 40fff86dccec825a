//! How does a pending request become a provisioned one?
//!
//! [`store`] has the steps, each one statement; [`worker`] is the loop that takes them
//! (`design.md`, The background task).

pub mod store;
pub mod worker;
