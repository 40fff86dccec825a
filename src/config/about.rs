//! Reads the settings of what the pages say about the operator of the portal and about the network.

use axum::http::Uri;
use clap::Args;
use ipnet::IpNet;

use super::{Wrong, set, wrong, yes};
use crate::{
    help::address::Address,
    names::{Fqdn, SipDomain, split_names},
    server::network::Proxies,
    web::about::About,
};

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Words on the pages")]
pub struct AboutGiven {
    /// Name of the network that domains are provisioned for [default: Skype]
    #[arg(long, env = "PIC_PROVIDER", value_name = "NAME")]
    pub provider: Option<String>,
    /// Where administrators turn when a request is overdue: a text or a URL
    #[arg(long, env = "PIC_SUPPORT", value_name = "TEXT")]
    pub support: Option<String>,
    /// A notice on every page
    #[arg(long, env = "PIC_NOTICE", value_name = "TEXT")]
    pub notice: Option<String>,
    /// Domains that the address tool of the help pages leaves plain, with commas between them
    /// [default: msn.com,outlook.com,live.com,hotmail.com]
    #[arg(long, env = "PIC_PLAIN_DOMAINS", value_name = "DOMAINS")]
    pub plain_domains: Option<String>,
    /// Who runs the portal: the name in the footer and on the start page
    #[arg(long, env = "PIC_OPERATOR", value_name = "NAME")]
    pub operator: Option<String>,
    /// Imprint or terms of who runs the portal, like `https://contoso.com/imprint`
    #[arg(long, env = "PIC_OPERATOR_URL", value_name = "URL")]
    pub operator_url: Option<String>,
    /// Server of the network that administrators add as a public provider: it stands in the
    /// commands for their own servers
    #[arg(long, env = "PIC_PROXY_FQDN", value_name = "FQDN")]
    pub proxy_fqdn: Option<String>,
    /// The network's own SIP domain
    #[arg(long, env = "PIC_PROVIDER_DOMAIN", value_name = "DOMAIN")]
    pub provider_domain: Option<String>,
    /// Networks that its servers connect from, for the firewalls of administrators, like
    /// `192.0.2.0/24`, with commas between them [default: none]
    #[arg(long, env = "PIC_PROVIDER_NETWORKS", value_name = "NETWORKS")]
    pub provider_networks: Option<String>,
    /// An address of the network's own that answers, to try federation with, at
    /// `PIC_PROVIDER_DOMAIN`; never a person's
    #[arg(long, env = "PIC_TEST_CONTACT", value_name = "ADDRESS")]
    pub test_contact: Option<String>,
    /// Whether people on the network sign in with consumer accounts of Microsoft
    /// [default: true where the name of the network begins with Skype]
    #[arg(long, env = "PIC_CONSUMER_ACCOUNTS", value_name = "BOOL")]
    pub consumer_accounts: Option<String>,
}

impl AboutGiven {
    /// Checks these settings, for a network of the name `provider`.
    pub(super) fn about(&self, provider: &str) -> Result<About, Wrong> {
        let domain = self.domain()?;
        Ok(About {
            operator: set(self.operator.as_ref()).map(str::to_owned),
            operator_url: set(self.operator_url.as_ref()).map(url).transpose()?,
            proxy: self.proxy()?,
            networks: self.networks()?,
            test_contact: self.contact(domain.as_ref())?,
            domain,
            consumer_accounts: match set(self.consumer_accounts.as_ref()) {
                None => provider.to_lowercase().starts_with("skype"),
                Some(_) => yes("PIC_CONSUMER_ACCOUNTS", self.consumer_accounts.as_ref())?,
            },
        })
    }

    /// The server that administrators add as a public provider.
    pub(super) fn proxy(&self) -> Result<Option<Fqdn>, Wrong> {
        set(self.proxy_fqdn.as_ref()).map(proxy).transpose()
    }

    /// Domains whose addresses the address tool leaves as they are.
    pub(super) fn plain_domains(&self) -> Result<Vec<SipDomain>, Wrong> {
        const DEFAULT: &str = "msn.com,outlook.com,live.com,hotmail.com";
        split_names(set(self.plain_domains.as_ref()).unwrap_or(DEFAULT))
            .map(|name| {
                SipDomain::parse_any(name).map_err(|error| {
                    let fault = format!("has a name that is no domain ({})", error.problem());
                    wrong("PIC_PLAIN_DOMAINS", fault, DEFAULT)
                })
            })
            .collect()
    }

    fn domain(&self) -> Result<Option<SipDomain>, Wrong> {
        let text = set(self.provider_domain.as_ref());
        let parsed = text.map(|text| {
            SipDomain::parse_any(text).map_err(|error| {
                let fault = format!("is not a SIP domain ({})", error.problem());
                wrong("PIC_PROVIDER_DOMAIN", fault, "contoso.com")
            })
        });
        parsed.transpose()
    }

    fn networks(&self) -> Result<Vec<IpNet>, Wrong> {
        let Some(text) = set(self.provider_networks.as_ref()) else {
            return Ok(Vec::new());
        };
        let read = Proxies::parse(text).map(|it| it.networks().to_vec());
        read.map_err(|fault| {
            let example = "192.0.2.0/24,2001:db8::/48";
            wrong("PIC_PROVIDER_NETWORKS", fault.to_string(), example)
        })
    }

    /// Only at the network's own domain: so it is not an address that somebody typed.
    fn contact(&self, domain: Option<&SipDomain>) -> Result<Option<String>, Wrong> {
        let Some(text) = set(self.test_contact.as_ref()) else {
            return Ok(None);
        };
        let text = text.strip_prefix("sip:").unwrap_or(text);
        let at_domain = Address::parse(text).is_ok_and(|address| {
            domain.is_some_and(|domain| address.is_plain(std::slice::from_ref(domain)))
        });
        if at_domain {
            return Ok(Some(text.to_owned()));
        }
        Err(wrong(
            "PIC_TEST_CONTACT",
            "is not an address at the domain of PIC_PROVIDER_DOMAIN",
            "echo@contoso.com",
        ))
    }
}

fn url(text: &str) -> Result<String, Wrong> {
    let is_web = |url: &Uri| matches!(url.scheme_str(), Some("https" | "http"));
    if text.parse().is_ok_and(|url: Uri| is_web(&url)) {
        return Ok(text.to_owned());
    }
    Err(wrong(
        "PIC_OPERATOR_URL",
        "is not an address that begins with https:// or http://",
        "https://contoso.com/imprint",
    ))
}

fn proxy(text: &str) -> Result<Fqdn, Wrong> {
    Fqdn::parse(text).map_err(|error| {
        let fault = format!("is not the full name of a server ({})", error.problem());
        wrong("PIC_PROXY_FQDN", fault, "federation.contoso.com")
    })
}
