//! The limits of a connection: how long and how much it may take.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

/// The limits of the HTTP server. The defaults are those used in production; tests shorten them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the first byte of a connection or of a request to the end of the request's head. Also
    /// how long a client may send nothing at all. Default: 10 s.
    pub head: Duration,
    /// An idle connection, between two requests. Default: 75 s, longer than common proxies keep
    /// theirs.
    pub idle: Duration,
    /// From the end of a request's head to the end of its body; then `408`. Default: 30 s, for
    /// the largest form at 140 kbit/s.
    pub body: Duration,
    /// A client that reads nothing of what is sent to it. Default: 30 s.
    pub write: Duration,
    /// How long requests in progress may take once the portal stops. Default: 20 s.
    pub stop: Duration,
    /// Bytes of a request's head; then `431`. Over HTTP/2 of its header list. Default: 32 KiB.
    pub head_bytes: usize,
    /// Header fields of a request; then `431`. Default: 100.
    pub headers: usize,
    /// Requests at the same time on one HTTP/2 connection. Default: 100, which clients may start
    /// before they know the limit (RFC 9113, 6.5.2).
    pub streams: u32,
    /// Requests with a body at the same time on one HTTP/2 connection; then `503`. Peers in
    /// `exempt` have no such limit. Default: 16.
    pub uploads: u32,
    /// Streams that a client may open and reset before they are handled, and that we may reset,
    /// before the connection ends (CVE-2023-44487). Default: 32.
    pub resets: usize,
    /// Connections in total; then `503`. Lowered to what the limit of open files leaves. Default:
    /// 16,384.
    pub connections: usize,
    /// Connections of one client network (an IPv4 address, an IPv6 /64); then `503`. An IPv6 /56
    /// may have four times as many, a /48 sixteen times. Default: 256.
    pub per_network: usize,
    /// Bytes of all requests' bodies in memory; then `503`. Default: 48 MiB, the share of six
    /// networks: together with the connections the portal stays below 150 MB.
    pub body_bytes: usize,
    /// Bytes of bodies of one client network, counted like `per_network`; behind a proxy, by the
    /// client it names; then `429`. Default: 8 MiB, 16 forms of full length.
    pub body_bytes_per_network: usize,
    /// Networks without a limit of their own, because proxies serve many clients. Default:
    /// loopback, where proxies are even if they are not declared.
    pub exempt: Vec<IpNet>,
    /// Connections over a limit that get a response at the same time; more are closed without one.
    /// Default: 256.
    pub refusals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            stop: Duration::from_secs(20),
            head_bytes: 32 * 1024,
            headers: 100,
            streams: 100,
            uploads: 16,
            resets: 32,
            connections: 16_384,
            per_network: 256,
            body_bytes: 48 * 1024 * 1024,
            body_bytes_per_network: 8 * 1024 * 1024,
            exempt: vec![loopback_v4(), loopback_v6()],
            refusals: 256,
        }
    }
}

fn loopback_v4() -> IpNet {
    IpNet::new_assert([127, 0, 0, 0].into(), 8)
}

fn loopback_v6() -> IpNet {
    IpNet::new_assert(std::net::Ipv6Addr::LOCALHOST.into(), 128)
}

/// Open files that are not connections of clients: database, log, listener, DNS lookups.
const OTHER_FILES: usize = 256;

impl Limits {
    /// Whether `peer` has no limits of its own.
    pub(super) fn exempts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.exempt.iter().any(|net| net.contains(&peer))
    }

    /// Raises the process's limit of open files as far as possible, and lowers `connections` to
    /// what that leaves.
    #[must_use]
    pub fn within_open_files(mut self) -> Self {
        let files = raise_open_files();
        let most = files.saturating_sub(OTHER_FILES).max(16);
        if most < self.connections {
            tracing::warn!(
                files,
                connections = most,
                "the limit of open files leaves fewer connections than wanted"
            );
            self.connections = most;
        }
        self
    }
}

/// Raises the soft limit of open files to the hard one; returns the new limit.
fn raise_open_files() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    /// Every system allows this many; used only when the limit cannot be read.
    const LEAST: usize = 256;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return LEAST;
    };
    let now = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    usize::try_from(now).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_leave_room_for_the_database() {
        let limits = Limits {
            connections: usize::MAX,
            ..Limits::default()
        }
        .within_open_files();
        assert!(limits.connections <= raise_open_files().saturating_sub(OTHER_FILES).max(16));
    }
}
