//! Which agreement is meant?
