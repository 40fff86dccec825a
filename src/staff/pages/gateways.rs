//! The page of the gateways: which routes each has loaded.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    desk,
    session::Reader,
    view::{Desk, Tab},
};
use crate::{
    db::PgPool,
    error::Error,
    gateway::store::{self, Gateway},
    web::{
        page,
        parts::{Tone, When},
        shell::{Section, Shell},
        site::Site,
        when::when,
    },
};

/// `GET /staff/gateways`.
#[derive(Debug, Template)]
#[template(path = "staff/gateways.html")]
struct GatewaysPage<'a> {
    shell: Shell<'a>,
    desk: Desk,
    gateways: Vec<Line>,
    /// The newest publication.
    head: i64,
}

#[derive(Debug)]
struct Line {
    name: String,
    tag: &'static str,
    tone: Tone,
    /// The publication that it has loaded.
    serial: Option<i64>,
    behind: i64,
    loaded: Option<When>,
    heard: Option<When>,
}

impl Line {
    fn of(gateway: &Gateway) -> Self {
        let behind = gateway.behind();
        let (tag, tone) = match (gateway.silent, gateway.heard_at) {
            (true, None) => ("Not heard yet", Tone::Waiting),
            (true, Some(_)) => ("Silent", Tone::Bad),
            (false, _) if behind > 0 => ("Behind", Tone::Action),
            (false, _) => ("Live", Tone::Good),
        };
        Self {
            name: gateway.name.clone(),
            tag,
            tone,
            serial: gateway.serial,
            behind,
            loaded: gateway.loaded_at.map(|at| when(at, gateway.now)),
            heard: gateway.heard_at.map(|at| when(at, gateway.now)),
        }
    }
}

/// `GET /staff/gateways`, for all accounts.
pub(crate) async fn gateways(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
) -> Result<Response, Error> {
    let gateways = store::list(&pool).await?;
    let view = GatewaysPage {
        shell: site.shell(Section::Staff),
        desk: desk(&signed_in, Tab::Overview),
        head: gateways.first().map_or(0, |gateway| gateway.head),
        gateways: gateways.iter().map(Line::of).collect(),
    };
    page(StatusCode::OK, &view)
}
