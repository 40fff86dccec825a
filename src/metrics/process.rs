//! Reads what the operating system knows of this process, under the names that Prometheus' own client
//! libraries use. Where there is no `/proc`, what stands there is left out.

use std::fs;

use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage},
    time::{TimeVal, TimeValLike as _},
};

use crate::meter::{Collectors, reading, total};

/// The ticks of `/proc` in a second, on every Linux (`proc_pid_stat(5)`, `sysconf(3)`).
const TICKS: u64 = 100;

/// The numbers of this process.
pub(super) fn collectors() -> Collectors {
    let most_files = getrlimit(Resource::RLIMIT_NOFILE).ok();
    let numbers = [
        memory().map(|bytes| {
            reading(
                "process_resident_memory_bytes",
                "Memory that this process has.",
                bytes,
            )
        }),
        open_files().map(|open| {
            reading(
                "process_open_fds",
                "Files and connections that are open.",
                open,
            )
        }),
        most_files.map(|(most, _)| {
            reading(
                "process_max_fds",
                "The most files and connections that may be open.",
                most,
            )
        }),
        started().map(|at| {
            reading(
                "process_start_time_seconds",
                "When this process started, in seconds since 1970.",
                at,
            )
        }),
        processors().map(|used| {
            total(
                "process_cpu_seconds_total",
                "Time of processors that this process has used.",
                used,
            )
        }),
    ];
    numbers.into_iter().flatten().collect()
}

fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn open_files() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(open).ok()
}

/// From the ticks since the machine was booted: field 22, where the second is the name of the program
/// in brackets, which may have spaces in it.
fn started() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks = own.rsplit_once(") ")?.1.split(' ').nth(19)?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let booted = machine
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    Some(booted.parse::<u64>().ok()? + ticks.parse::<u64>().ok()? / TICKS)
}

fn processors() -> Option<f64> {
    let used = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let milliseconds = |time: TimeVal| u32::try_from(time.num_milliseconds()).unwrap_or(u32::MAX);
    let all = [used.user_time(), used.system_time()].map(milliseconds);
    Some(all.into_iter().map(f64::from).sum::<f64>() / 1000.0)
}
