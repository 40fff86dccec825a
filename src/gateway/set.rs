//! Writes what gateways get: the whole set of routes as JSON, CSV and PowerShell, and differences as JSON.
//!
//! The same version has the same bytes, in each of them. The names are of letters, digits, dots and
//! hyphens (`dns_name`), so nothing has to be escaped.

use std::{fmt::Write as _, io::Write as _, sync::OnceLock};

use axum::body::Bytes;
use chrono::SecondsFormat;
use data_encoding::BASE64;
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    Version,
    store::{Changes, Whole},
};

/// One form of the set, with its digest for `Repr-Digest` (RFC 9530).
#[derive(Clone, Debug)]
pub struct Written {
    /// The bytes.
    pub bytes: Bytes,
    /// `sha-256=:...:`.
    pub digest: String,
}

impl From<Vec<u8>> for Written {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            digest: format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(&bytes))),
            bytes: bytes.into(),
        }
    }
}

/// In which form the set is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/gateway/routes`.
    Json,
    /// `/gateway/routes.csv`.
    Csv,
    /// `/gateway/routes.ps1`.
    PowerShell,
}

/// All routes of one publication.
#[derive(Debug)]
pub struct Set {
    /// The publication.
    pub version: Version,
    whole: Whole,
    json: Written,
    packed: OnceLock<Written>,
}

impl Set {
    /// The set of these routes.
    #[must_use]
    pub fn of(whole: Whole) -> Self {
        Self {
            version: whole.version.clone(),
            json: json(&whole).into_bytes().into(),
            packed: OnceLock::new(),
            whole,
        }
    }

    /// The set in this form.
    #[must_use]
    pub fn written(&self, form: Form) -> Written {
        match form {
            Form::Json => self.json.clone(),
            Form::Csv => csv(&self.whole).into_bytes().into(),
            Form::PowerShell => power_shell(&self.whole).into_bytes().into(),
        }
    }

    /// The JSON, compressed by gzip.
    ///
    /// # Panics
    ///
    /// Never: writing to memory cannot fail.
    #[must_use]
    pub fn packed(&self) -> Written {
        let pack = || {
            let mut pack = GzEncoder::new(Vec::new(), Compression::fast());
            let packed = pack
                .write_all(&self.json.bytes)
                .and_then(|()| pack.finish());
            packed.expect("writing to memory cannot fail").into()
        };
        self.packed.get_or_init(pack).clone()
    }
}

/// What has changed between two publications.
#[derive(Debug)]
pub struct Differences {
    from: Version,
    head: Version,
    /// The publication to which they lead, and the JSON; `None`: only the whole set tells.
    pub told: Option<(Version, Written)>,
}

/// A route that was set.
#[derive(Debug, Serialize)]
struct Routed {
    sip_domain: String,
    access_edge: String,
}

/// The JSON of differences.
#[derive(Debug, Serialize)]
struct Changed {
    from: String,
    version: String,
    expires: String,
    /// How many routes there are then; `null`: ask again from `version`, there is more.
    count: Option<i32>,
    set: Vec<Routed>,
    gone: Vec<String>,
}

impl Differences {
    /// What has changed since `from`, where `head` was the newest publication that was known; or a later one is.
    #[must_use]
    pub fn of(from: &Version, head: &Version, changes: Option<Changes>) -> Self {
        let newest = changes.as_ref().map_or(head, |changes| &changes.head);
        Self {
            from: from.clone(),
            head: newest.clone(),
            told: changes.map(|changes| {
                let version = changes.version.clone();
                let bytes = serde_json::to_vec(&Changed::of(from, changes));
                let bytes = bytes.unwrap_or_default();
                (version, bytes.into())
            }),
        }
    }

    /// Whether they are those from `from` to `head`.
    #[must_use]
    pub fn is_between(&self, from: &Version, head: &Version) -> bool {
        self.from == *from && self.head == *head
    }
}

impl Changed {
    fn of(from: &Version, changes: Changes) -> Self {
        let mut told = Self {
            from: from.to_string(),
            version: changes.version.to_string(),
            expires: changes.expires.to_rfc3339_opts(SecondsFormat::Secs, true),
            count: changes.count,
            set: Vec::new(),
            gone: Vec::new(),
        };
        for (sip_domain, access_edge) in changes.routes {
            match access_edge {
                Some(access_edge) => told.set.push(Routed {
                    sip_domain,
                    access_edge,
                }),
                None => told.gone.push(sip_domain),
            }
        }
        told
    }
}

fn json(whole: &Whole) -> String {
    let Version { epoch, serial } = &whole.version;
    let mut text = format!(
        r#"{{"version":"{epoch}.{serial}","epoch":"{epoch}","serial":{serial},"count":{},"expires":"{}","routes":["#,
        whole.routes.len(),
        whole.expires.to_rfc3339_opts(SecondsFormat::Secs, true),
    );
    for (place, (domain, edge)) in whole.routes.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _ = write!(
            text,
            r#"{comma}{{"sip_domain":"{domain}","access_edge":"{edge}"}}"#
        );
    }
    text.push_str("]}\n");
    text
}

fn csv(whole: &Whole) -> String {
    let mut text = String::from("sip_domain,access_edge\r\n");
    for (domain, edge) in &whole.routes {
        let _ = write!(text, "{domain},{edge}\r\n");
    }
    text
}

/// The commands that make the allowed domains of a Lync Server or Skype for Business Server equal to
/// the set; run again, it changes nothing. It touches no domain that it has not added itself, which
/// it knows by the comment.
fn power_shell(whole: &Whole) -> String {
    let mut text = format!(
        "# Version {}: {} routes.\n$ErrorActionPreference = 'Stop'\n$want = @{{}}\n",
        whole.version,
        whole.routes.len()
    );
    for (domain, edge) in &whole.routes {
        let _ = writeln!(text, "$want['{domain}'] = '{edge}'");
    }
    text.push_str(APPLY);
    text
}

/// What the script does with `$want`.
const APPLY: &str = r"$mark = 'pic-portal'
$have = @{}
Get-CsAllowedDomain | ForEach-Object { $have[$_.Identity.ToLower()] = $_ }
$gone = @($have.Keys | Where-Object { $have[$_].Comment -eq $mark -and -not $want.ContainsKey($_) })
$ours = @($have.Keys | Where-Object { $have[$_].Comment -eq $mark })
if ($gone.Count * 2 -gt $ours.Count -and $ours.Count -gt 0 -and -not $env:PIC_SHRINK) {
  throw ('{0} of {1} domains would go: set PIC_SHRINK=1 if that is right' -f $gone.Count, $ours.Count)
}
foreach ($domain in ($want.Keys | Sort-Object)) {
  $edge = $want[$domain]
  if (-not $have.ContainsKey($domain)) {
    New-CsAllowedDomain -Identity $domain -ProxyFqdn $edge -Comment $mark
  } elseif ($have[$domain].Comment -ne $mark) {
    Write-Warning ('{0} was allowed by hand and stays as it is' -f $domain)
  } elseif ($have[$domain].ProxyFqdn -ne $edge) {
    Set-CsAllowedDomain -Identity $domain -ProxyFqdn $edge
  }
}
foreach ($domain in ($gone | Sort-Object)) { Remove-CsAllowedDomain -Identity $domain }
";
