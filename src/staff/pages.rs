//! The pages and forms of the support desk.

mod account;
mod audit;
mod bulk;
mod export;
mod gateways;
mod list;
mod live;
mod marks;
mod oidc;
mod overview;
mod queue;
mod request;
mod service;
mod session;
mod set_up;
mod sign_in;
mod told;
pub mod view;
mod words;

pub(crate) use self::{
    account::{account, send_password, sign_out_everywhere},
    audit::audit,
    bulk::bulk,
    export::export,
    gateways::gateways,
    live::{queue_stream, request_stream},
    marks::mark,
    oidc::{back, leave, log_out},
    overview::overview,
    queue::queue,
    request::{check_again, refuse, request, withdraw},
    service::{cancel, service},
    set_up::{send_set_up, set_up},
    sign_in::{send_sign_in, sign_in, sign_out},
};
use self::{session::SignedIn, view::Desk};
use crate::{db, error::Error, staff::Role};

/// The page that staff get after signing in.
const QUEUE: &str = "/staff/requests";

/// The header of every page of the desk.
fn desk(signed_in: &SignedIn, tab: view::Tab) -> Desk {
    Desk {
        name: signed_in.account.name.to_string(),
        is_agent: signed_in.account.role == Role::Agent,
        tab,
    }
}

/// Maps the result of an agent's action: the account may have lost the role since the page was
/// requested.
fn map_forbidden<T>(done: Result<T, db::Error>) -> Result<T, Error> {
    done.map_err(|error| {
        if error.breaks("staff_may") {
            Error::NotAgent
        } else {
            Error::Database(error)
        }
    })
}
