//! A self-service portal for SIP federation.

pub mod agreement;
pub mod db;
pub mod names;
