//! Which database, and how is it opened?
pub mod private;
