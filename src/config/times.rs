//! Reads the settings of times.

use clap::Args;

use super::{Wrong, duration, wrong};
use crate::{clock::Clocks, provisioning::store::Waits};

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Times")]
pub struct TimesGiven {
    /// First wait before a request that is held back is checked again; it doubles each time
    /// [default: 30s]
    #[arg(long, env = "PIC_RECHECK_FIRST", value_name = "TIME")]
    pub recheck_first: Option<String>,
    /// Longest such wait [default: 1h]
    #[arg(long, env = "PIC_RECHECK_MAX", value_name = "TIME")]
    pub recheck_max: Option<String>,
    /// A pending request is overdue after this [default: 48h]
    #[arg(long, env = "PIC_PROMISE", value_name = "TIME")]
    pub promise: Option<String>,
    /// A pending request is rejected as expired after this [default: 30d]
    #[arg(long, env = "PIC_EXPIRY", value_name = "TIME")]
    pub expiry: Option<String>,
    /// A gateway that has not asked for routes for this long is silent [default: 5m]
    #[arg(long, env = "PIC_GATEWAY_SILENT", value_name = "TIME")]
    pub gateway_silent: Option<String>,
    /// How often the retention sweep deletes expired data; it also runs at the start, before the
    /// first response [default: 1h]
    #[arg(long, env = "PIC_SWEEP", value_name = "TIME")]
    pub sweep: Option<String>,
}

impl TimesGiven {
    /// The promise and the expiry, and the waits of the background task.
    pub(super) fn clocks(&self) -> Result<(Clocks, Waits), Wrong> {
        let clocks = Clocks {
            promise: duration("PIC_PROMISE", self.promise.as_ref(), "48h")?,
            expiry: duration("PIC_EXPIRY", self.expiry.as_ref(), "30d")?,
        };
        let waits = Waits {
            expiry: clocks.expiry,
            first: duration("PIC_RECHECK_FIRST", self.recheck_first.as_ref(), "30s")?,
            longest: duration("PIC_RECHECK_MAX", self.recheck_max.as_ref(), "1h")?,
        };
        if waits.longest < waits.first {
            return Err(wrong(
                "PIC_RECHECK_MAX",
                "is shorter than PIC_RECHECK_FIRST",
                "1h",
            ));
        }
        if clocks.expiry < clocks.promise {
            return Err(wrong("PIC_EXPIRY", "is shorter than PIC_PROMISE", "30d"));
        }
        Ok((clocks, waits))
    }
}
