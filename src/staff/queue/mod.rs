//! Which requests are there, and which of them are meant?
