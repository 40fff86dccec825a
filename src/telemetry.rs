//! Sets up the log.
//!
//! It contains nothing that a person typed and no address of a client, at any level. The portal's
//! own modules log as `PIC_LOG` says; libraries only warnings and errors, because their traces may
//! contain data.

mod repeats;

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{self, FilterExt as _},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use self::repeats::Repeats;

use crate::config::LogFormat;

/// Writes log lines to standard error from now on. Standard output is only for the address.
///
/// # Panics
///
/// When called twice in a process.
pub fn init(filter: EnvFilter, format: LogFormat) {
    let own_or_grave = filter::filter_fn(|metadata| {
        metadata.target().starts_with("pic_portal")
            // What PostgreSQL says beside its answers is not the portal's to write down.
            || *metadata.level() <= Level::WARN && metadata.target() != "sqlx::postgres::notice"
    });
    let repeats = Repeats::default();
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(own_or_grave.and(repeats.clone())))
        .with(filter)
        .init();
    if let Err(error) = repeats.keep_telling() {
        tracing::warn!(%error, "lines that repeat will not be counted");
    }
}
