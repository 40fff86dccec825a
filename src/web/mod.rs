//! What do all pages share?

pub mod assets;
pub mod shell;
