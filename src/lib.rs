//! A self-service portal for SIP federation.

pub mod agreement;
pub mod db;
pub mod names;
pub mod request;
pub mod web;
