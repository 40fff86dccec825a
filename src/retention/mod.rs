//! How is the rule kept that no contact information is collected or retained, and how does an old
//! portal's data come in without any?

pub mod import;
pub mod purge;
