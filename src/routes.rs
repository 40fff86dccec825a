//! The route table: which handler answers which address.

use std::time::Duration;

use axum::{
    Extension, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    gateway::pages as gateway,
    help::pages as help,
    request::{live, pages},
    retention::pages as retention,
    service::pages as service,
    staff::pages as staff,
    web::{
        self, Plain, assets,
        routes::{
            Kind::{File, Open, Page, Probe},
            Route,
        },
    },
};

/// All routes of the portal.
#[must_use]
pub fn table() -> Vec<Route<App>> {
    vec![
        Route::new(Open, "/").get(pages::start),
        Route::new(Page, "/requests/new")
            .get(pages::form)
            .post(pages::send_form)
            .kept(),
        Route::new(Page, "/requests/{reference}").get(pages::status),
        Route::new(Page, "/requests/{reference}/receipt").get(pages::receipt),
        Route::new(Page, "/requests/{reference}/receipt.txt").get(pages::receipt_text),
        Route::new(Page, "/requests/{reference}/stream").get(live::stream),
        Route::new(Page, "/requests/{reference}/feed.atom").get(live::feed),
        Route::new(Page, "/requests/{reference}/calendar.ics").get(live::calendar),
        Route::new(Page, "/requests/{reference}/support.txt").get(live::support),
        Route::new(Page, "/requests/{reference}/check-again").post(pages::check_again),
        Route::new(Page, "/requests/{reference}/withdraw")
            .post(pages::withdraw)
            .guarded(),
        Route::new(Page, "/status").get(pages::find).kept(),
        Route::new(Page, "/check")
            .get(pages::check_form)
            .post(pages::check)
            .kept(),
        Route::new(Open, "/help").get(help::contents),
        Route::new(Open, "/help/{topic}").get(help::topic),
        Route::new(Page, "/help/address")
            .get(help::address)
            .post(help::write_address)
            .kept(),
        Route::new(Open, "/help/reasons/{reason}").get(help::reason),
        Route::new(Open, "/help/findings/{code}").get(help::finding),
        Route::new(Page, "/service")
            .get(service::service)
            .post(service::sign_in)
            .guarded(),
        Route::new(Page, "/service/sign-out").post(service::sign_out),
        Route::new(Page, "/service/routes.csv").get(service::routes_csv),
        Route::new(Page, "/service/edit")
            .get(service::edit)
            .post(service::send_edit)
            .guarded()
            .kept(),
        Route::new(Page, "/service/cancel")
            .get(service::cancel)
            .post(service::send_cancel),
        Route::new(Page, "/service/key")
            .get(service::key)
            .post(service::send_key),
        Route::new(Page, "/service/watch")
            .get(service::watch)
            .post(service::send_watch),
        Route::new(Page, "/watch/{secret}/feed.atom").get(service::watch_feed),
        Route::new(Page, "/watch/{secret}/calendar.ics").get(service::watch_calendar),
        Route::new(Page, "/staff").get(staff::overview),
        Route::new(Page, "/staff/set-up")
            .get(staff::set_up)
            .post(staff::send_set_up)
            .guarded(),
        // Counts its attempts itself (`web::limit`).
        Route::new(Page, "/staff/sign-in")
            .get(staff::sign_in)
            .post(staff::send_sign_in),
        Route::new(Page, "/staff/sign-out").post(staff::sign_out),
        Route::new(Page, "/staff/account")
            .get(staff::account)
            .post(staff::send_password)
            .guarded(),
        Route::new(Page, "/staff/account/sign-out").post(staff::sign_out_everywhere),
        Route::new(Page, "/staff/requests").get(staff::queue),
        Route::new(Page, "/staff/requests/stream").get(staff::queue_stream),
        Route::new(Page, "/staff/requests/{reference}/stream").get(staff::request_stream),
        Route::new(Page, "/staff/requests.csv").get(staff::export),
        Route::new(Page, "/staff/requests/{reference}").get(staff::request),
        Route::new(Page, "/staff/requests/{reference}/check-again").post(staff::check_again),
        Route::new(Page, "/staff/requests/{reference}/refuse").post(staff::refuse),
        Route::new(Page, "/staff/requests/{reference}/withdraw").post(staff::withdraw),
        Route::new(Page, "/staff/services/{service}").get(staff::service),
        Route::new(Page, "/staff/services/{service}/cancel").post(staff::cancel),
        Route::new(Page, "/staff/audit").get(staff::audit),
        Route::new(Page, "/staff/gateways").get(staff::gateways),
        Route::new(Page, "/gateway/routes").get(gateway::routes),
        Route::new(Page, "/gateway/routes.csv").get(gateway::csv),
        Route::new(Page, "/gateway/routes.ps1").get(gateway::power_shell),
        Route::new(Page, "/gateway/changes").get(gateway::changes),
        Route::new(Page, "/privacy").get(retention::privacy),
        Route::new(File, "/static/{name}").get(assets::asset),
        Route::new(Probe, "/livez").get(async || "alive\n"),
        Route::new(Probe, "/readyz").get(ready),
    ]
}

/// All routes of the table on `app`, with the middleware around them.
pub fn router(app: &App) -> Router {
    web::router(table(), app, app.around())
}

async fn ready(State(app): State<App>) -> Response {
    const PATIENCE: Duration = Duration::from_secs(1);
    if app.is_ready(PATIENCE).await {
        return "ready\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "10")],
        Extension(Plain),
        "not ready\n",
    )
        .into_response()
}
