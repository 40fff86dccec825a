//! Reads the settings of the log.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::{Wrong, set, wrong};

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Log")]
pub struct LogGiven {
    /// Which log lines are written: error, warn, info, debug, trace, or a tracing filter
    /// [default: info]
    #[arg(long, env = "PIC_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines are written: text, or json for machines [default: text]
    #[arg(long, env = "PIC_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogGiven {
    /// The log's filter and format.
    ///
    /// # Errors
    ///
    /// The first [`Wrong`] setting.
    pub fn log(&self) -> Result<(EnvFilter, LogFormat), Wrong> {
        let filter = EnvFilter::try_new(set(self.log.as_ref()).unwrap_or("info"))
            .map_err(|_| wrong("PIC_LOG", "is not a level or a tracing filter", "info"))?;
        let format = match set(self.log_format.as_ref()) {
            None => LogFormat::Text,
            Some(text) => LogFormat::from_str(text, true)
                .map_err(|_| wrong("PIC_LOG_FORMAT", "is neither text nor json", "json"))?,
        };
        Ok((filter, format))
    }
}
