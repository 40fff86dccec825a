//! The settings with which the private server runs.

use super::options::{Durability, PORT};

/// What a person typed must not reach the server's log. A log line could carry it in a statement,
/// in a parameter, in DETAIL or CONTEXT (`terse` drops both, `docs/performance.md#traps-met`, trap
/// 3), or in the message itself (`invalid input syntax for type integer: "..."`): so errors of
/// statements are not logged at all, the portal gets them anyway. Only the start, stop and errors
/// of the server itself are.
const PRIVACY: &[(&str, &str)] = &[
    ("log_min_messages", "log"),
    ("log_error_verbosity", "terse"),
    ("log_min_error_statement", "panic"),
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_transaction_sample_rate", "0"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
];

/// The log goes to the portal's file and stays small.
const LOG: &[(&str, &str)] = &[
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_line_prefix", "%m [%p] "),
    ("log_connections", "off"),
    ("log_disconnections", "off"),
    ("log_checkpoints", "off"),
    ("log_timezone", "UTC"),
];

/// The portal is the only client: a socket of its own, little memory.
const MODEST: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("ssl", "off"),
    ("cluster_name", "pic-portal"),
    ("timezone", "UTC"),
    ("max_connections", "60"),
    ("shared_buffers", "64MB"),
    ("max_wal_size", "512MB"),
    // A segment of the write-ahead log is removed when it is no longer needed, and not reused: what
    // `purge` has emptied is gone with it (`docs/performance.md#traps-met`, trap 2).
    ("wal_recycle", "off"),
    // So each segment is a new file. Filling it with zeros first, 16 MB for every 7,000 submits,
    // delayed all requests that were being stored: the slowest of a hundred took 35 to 95 ms, and
    // 20 to 35 without.
    ("wal_init_zero", "off"),
    ("jit", "off"),
];

/// The three settings that decide what a crash of the machine costs.
const DURABILITY: &[&str] = &["fsync", "full_page_writes", "synchronous_commit"];

/// The server's arguments; `extra` settings come last and take precedence.
pub(super) fn arguments(durability: Durability, extra: &[(String, String)]) -> Vec<String> {
    let switch = match durability {
        Durability::Durable => "on",
        Durability::ThrowAway => "off",
    };
    let own = PRIVACY.iter().chain(LOG).chain(MODEST).copied();
    let durable = DURABILITY.iter().map(|name| (*name, switch));
    let extra = extra
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let port = ["-p".to_owned(), PORT.to_string()];
    let settings = own.chain(durable).chain(extra);
    port.into_iter()
        .chain(settings.flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]))
        .collect()
}
