//! Makes the first account of the support desk, by the set-up link.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{session::DOOR, sign_in::Door, view::SetUpPage};
use crate::{
    db::PgPool,
    error::{Error, Problem},
    secret::SetUpToken,
    staff::{
        Name,
        password::{Lane, Password},
        store,
    },
    web::{
        client::Client, form::Fields, page, page_with, parts::Field, shell::Section, site::Site,
    },
};

/// The query of the set-up link.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Link {
    token: String,
}

impl Link {
    /// The token, if the link is valid.
    async fn open(&self, site: &Site, pool: &PgPool) -> Result<SetUpToken, Error> {
        // A request without any token is no guess, and where no passwords are used none is right.
        let token = SetUpToken::parse(&self.token).ok_or(Error::SetUpOver)?;
        if site.sign_in.passwords && store::set_up_is_open(pool, &token).await? {
            return Ok(token);
        }
        Err(Error::SetUpOver)
    }
}

/// `GET /staff/set-up?token=`: the form for the first account.
pub(crate) async fn set_up(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    link: Result<Query<Link>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(link) = link.map_err(|_| Error::OtherQuery)?;
    let token = link.open(&site, &pool).await?;
    set_up_page(&site, &token, "", [None, None])
}

/// The fields of `POST /staff/set-up`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SetUpForm {
    name: String,
    password: String,
}

/// `POST /staff/set-up?token=`: makes the first account, an agent, and signs it in.
pub(crate) async fn send_set_up(
    door: Door,
    Client(network): Client,
    link: Result<Query<Link>, QueryRejection>,
    Fields(form): Fields<SetUpForm>,
) -> Result<Response, Error> {
    let Query(link) = link.map_err(|_| Error::OtherQuery)?;
    let token = link.open(&door.site, &door.pool).await?;
    let name = match Name::parse(&form.name) {
        Ok(name) => name,
        Err(problem) => {
            return set_up_page(
                &door.site,
                &token,
                &form.name,
                [Some(problem.to_string()), None],
            );
        }
    };
    let password = match Password::new(form.password, &name) {
        Ok(password) => password,
        Err(problem) => {
            return set_up_page(
                &door.site,
                &token,
                &form.name,
                [None, Some(problem.to_string())],
            );
        }
    };
    let lane = Lane::Of(network);
    let hashed = door.gate.hasher.hash(password, lane).await?;
    let staff = store::set_up(&door.pool, &token, &name, &hashed).await?;
    let staff = staff.ok_or(Error::SetUpOver)?;
    let opened = door.open(staff, &name, &hashed, "", None).await?;
    Ok(opened.unwrap_or_else(|| Redirect::to(DOOR).into_response()))
}

/// The form, with what is wrong with name and password.
fn set_up_page(
    site: &Site,
    token: &SetUpToken,
    typed: &str,
    problems: [Option<String>; 2],
) -> Result<Response, Error> {
    let wrong: Vec<_> = ["name", "password"]
        .into_iter()
        .zip(&problems)
        .filter_map(|(field, message)| Some((field, message.clone()?)))
        .collect();
    let mut shell = site.shell(Section::Staff);
    shell.error = !wrong.is_empty();
    let [name, password] = problems.map(|problem| problem.into_iter().collect());
    let view = SetUpPage {
        shell,
        token: token.reveal(),
        name: Field {
            // An address is not shown again, so that it is not in the page's source.
            value: if typed.contains('@') { "" } else { typed }.into(),
            errors: name,
            ..Field::new("name")
        },
        password: Field {
            errors: password,
            ..Field::new("password")
        },
    };
    if wrong.is_empty() {
        return page(StatusCode::OK, &view);
    }
    page_with(Problem::form(wrong), &view)
}
