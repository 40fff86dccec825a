//! A self-service portal for SIP federation: the map of the house.

pub mod agreement;
pub mod app;
pub mod cli;
pub mod clock;
pub mod code;
pub mod config;
pub mod db;
pub mod error;
pub mod names;
pub mod provisioning;
pub mod request;
pub mod server;
pub mod service;
pub mod telemetry;
pub mod web;
