//! Reads the settings about the gateway in whose name the checks ask by SIP.

use std::path::PathBuf;

use clap::Args;

use super::{Wrong, wrong};
use crate::names::Fqdn;

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Readiness checks")]
pub struct ProbeGiven {
    /// PEM file of the gateways' certificate, with those above it: checks show it to an Access Edge and
    /// then ask by SIP (OPTIONS). It has to name the server of `PIC_PROXY_FQDN` [default: none, and no
    /// SIP]
    #[arg(long, env = "PIC_PROBE_CERTIFICATE", value_name = "FILE")]
    pub probe_certificate: Option<PathBuf>,
    /// PEM file of its key, without a password
    #[arg(long, env = "PIC_PROBE_KEY", value_name = "FILE")]
    pub probe_key: Option<PathBuf>,
}

/// The gateway in whose name the checks ask by SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub name: Fqdn,
    /// PEM file of its certificate and those above it.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
}

impl ProbeGiven {
    /// Checks these settings, where the gateway is named `proxy`.
    pub(super) fn probe(&self, proxy: Option<Fqdn>) -> Result<Option<Probe>, Wrong> {
        let alone = |variable, other| {
            let fault = format!("is set without {other}");
            wrong(variable, fault, "/etc/pic-portal/gateway.pem")
        };
        let certificate = named(self.probe_certificate.as_ref());
        match (certificate, named(self.probe_key.as_ref()), proxy) {
            (None, None, _) => Ok(None),
            (None, Some(_), _) => Err(alone("PIC_PROBE_KEY", "PIC_PROBE_CERTIFICATE")),
            (Some(_), None, _) => Err(alone("PIC_PROBE_CERTIFICATE", "PIC_PROBE_KEY")),
            (Some(_), Some(_), None) => Err(alone("PIC_PROBE_CERTIFICATE", "PIC_PROXY_FQDN")),
            (Some(certificate), Some(key), Some(name)) => Ok(Some(Probe {
                name,
                certificate,
                key,
            })),
        }
    }
}

/// The path in a setting, where there is one.
pub(super) fn named(file: Option<&PathBuf>) -> Option<PathBuf> {
    file.filter(|file| !file.as_os_str().is_empty()).cloned()
}
