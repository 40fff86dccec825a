//! Tells Prometheus of each gateway how far it is behind, and how long it has been silent.

use prometheus::Opts;

use super::store::Gateway;
use crate::meter::{Collectors, reading_of};

/// For a scrape; nothing while there is no gateway.
#[must_use]
pub fn collectors(gateways: &[Gateway]) -> Collectors {
    let reading = |name, help, gateway: &Gateway, value: f64| {
        reading_of(
            Opts::new(name, help).const_label("gateway", &gateway.name),
            value,
        )
    };
    let mut all = Collectors::new();
    for gateway in gateways {
        // Serials are far below 2^53.
        let behind = u32::try_from(gateway.behind()).unwrap_or(u32::MAX);
        all.push(reading(
            "pic_gateway_behind",
            "Publications after the one that the gateway has loaded.",
            gateway,
            behind.into(),
        ));
        all.push(reading(
            "pic_gateway_silent_seconds",
            "Seconds since the gateway last asked for routes, or was registered; less than a minute while it waits for news.",
            gateway,
            gateway.unheard_for().as_secs_f64(),
        ));
    }
    all
}
