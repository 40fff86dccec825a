//! What the operator tells administrators: who runs the portal, and how the network is reached.

use ipnet::IpNet;

use crate::names::{Fqdn, SipDomain};

/// Stands in commands for the provider's server where `PIC_PROXY_FQDN` is not set.
const PROXY_UNKNOWN: &str = "PROXY-FQDN";

/// The operator and the network, as the settings tell. Nothing of it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Who runs the portal (`PIC_OPERATOR`).
    pub operator: Option<String>,
    /// Its imprint or terms (`PIC_OPERATOR_URL`).
    pub operator_url: Option<String>,
    /// The server that administrators add as a public provider (`PIC_PROXY_FQDN`).
    pub proxy: Option<Fqdn>,
    /// The provider's own SIP domain (`PIC_PROVIDER_DOMAIN`).
    pub domain: Option<SipDomain>,
    /// The networks that its servers connect from (`PIC_PROVIDER_NETWORKS`).
    pub networks: Vec<IpNet>,
    /// A SIP address at its domain that answers (`PIC_TEST_CONTACT`).
    pub test_contact: Option<String>,
    /// Whether people on the network sign in with consumer accounts of Microsoft
    /// (`PIC_CONSUMER_ACCOUNTS`).
    pub consumer_accounts: bool,
}

impl About {
    /// The name of who runs the portal, and the address to link it to or an empty text; `None`: not
    /// told.
    #[must_use]
    pub fn run_by(&self) -> Option<(&str, &str)> {
        let url = self.operator_url.as_deref();
        let name = self.operator.as_deref().or(url)?;
        Some((name, url.unwrap_or_default()))
    }

    /// Who runs the portal, inside a sentence.
    #[must_use]
    pub fn who(&self) -> &str {
        self.operator
            .as_deref()
            .unwrap_or("the organisation that runs this portal")
    }

    /// The provider's server for a command, or what stands in its place.
    #[must_use]
    pub fn proxy_fqdn(&self) -> &str {
        self.proxy.as_ref().map_or(PROXY_UNKNOWN, Fqdn::as_str)
    }

    /// Whether anything is known that administrators enter at their firewall or try out.
    #[must_use]
    pub fn tells_network(&self) -> bool {
        self.proxy.is_some()
            || self.domain.is_some()
            || !self.networks.is_empty()
            || self.test_contact.is_some()
    }
}
