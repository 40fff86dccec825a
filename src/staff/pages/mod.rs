//! What does a browser see of the support desk?

mod account;
mod door;
mod session;
pub mod view;

use axum::response::Redirect;

pub(crate) use self::{
    account::{account, send_password, sign_out_everywhere},
    door::{send_set_up, send_sign_in, set_up, sign_in, sign_out},
};
use self::{session::SignedIn, view::Desk};
use crate::staff::Role;

/// `GET /staff`: where the work is.
pub(crate) async fn home() -> Redirect {
    Redirect::to(QUEUE)
}

/// Where everybody goes who has signed in.
const QUEUE: &str = "/staff/requests";

/// What stands above every page of the desk.
fn desk(signed_in: &SignedIn, tab: view::Tab) -> Desk {
    Desk {
        name: signed_in.account.name.to_string(),
        is_agent: signed_in.account.role == Role::Agent,
        tab,
    }
}
