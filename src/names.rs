//! Which name was typed?
