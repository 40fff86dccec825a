//! Checks that the support desk finds requests, and that all accounts can do only what they may.

mod accounts;
mod actions;
mod live;
mod many;
mod matrix;
mod oidc;
mod overview;
mod plans;
mod races;
mod search;

pub(crate) use crate::support::desk::{PASSWORD, account, sign_in, signed_in};
