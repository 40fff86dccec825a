//! Reads the settings of the addresses that the portal listens on, of proxies and of limits.

use std::net::SocketAddr;

use clap::Args;

use super::{Wrong, address, set, wrong};
use crate::{server::network::Proxies, web::origin::Origin};

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Addresses and limits")]
pub struct DoorGiven {
    /// Address to listen on; port 0 picks one [default: 127.0.0.1:8080]
    #[arg(long, env = "PIC_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// How long the portal goes on serving after SIGTERM while `/readyz` already says no, so that load
    /// balancers notice first; longer than the time between two of their checks [default: 0s]
    #[arg(long, env = "PIC_DRAIN", value_name = "TIME")]
    pub drain: Option<String>,
    /// Origin that people see, like `https://federation.contoso.com`; https sets Secure cookies and
    /// HSTS [default: http:// and the address listened on]
    #[arg(long, env = "PIC_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Networks of proxies whose X-Forwarded-For names the client, like 10.0.0.0/8 or
    /// 192.0.2.1, with commas between them
    /// [default: none]
    #[arg(long, env = "PIC_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
    /// Submits a minute and client network; 0: no limit [default: 30]
    #[arg(long, env = "PIC_SUBMIT_LIMIT", value_name = "N")]
    pub submit_limit: Option<String>,
    /// Failed attempts a minute and client network at anything that can be guessed, such as a
    /// management key; 0: no limit [default: 10]
    #[arg(long, env = "PIC_TRY_LIMIT", value_name = "N")]
    pub try_limit: Option<String>,
    /// Address of `/metrics`, for Prometheus; never the public one [default: none]
    #[arg(long, env = "PIC_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<String>,
}

impl DoorGiven {
    /// Address to listen on.
    pub(super) fn listen(&self) -> Result<SocketAddr, Wrong> {
        let default = "127.0.0.1:8080";
        address(
            "PIC_LISTEN",
            set(self.listen.as_ref()).unwrap_or(default),
            default,
        )
    }

    /// Address of `/metrics`.
    pub(super) fn metrics_listen(&self) -> Result<Option<SocketAddr>, Wrong> {
        set(self.metrics_listen.as_ref())
            .map(|text| address("PIC_METRICS_LISTEN", text, "127.0.0.1:9464"))
            .transpose()
    }

    /// Origin that people see.
    pub(super) fn public_url(&self) -> Result<Option<Origin>, Wrong> {
        let parse = |text| {
            Origin::parse(text).ok_or_else(|| {
                wrong(
                    "PIC_PUBLIC_URL",
                    "is not an origin: http or https, a host, perhaps a port, no path",
                    "https://federation.contoso.com",
                )
            })
        };
        set(self.public_url.as_ref()).map(parse).transpose()
    }

    /// Proxies whose `X-Forwarded-For` is trusted.
    pub(super) fn trusted_proxies(&self) -> Result<Proxies, Wrong> {
        let Some(text) = set(self.trusted_proxies.as_ref()) else {
            return Ok(Proxies::default());
        };
        let example = "10.0.0.0/8,2001:db8::1";
        Proxies::parse(text)
            .map_err(|fault| wrong("PIC_TRUSTED_PROXIES", fault.to_string(), example))
    }
}
