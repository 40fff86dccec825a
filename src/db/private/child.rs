//! Starts and ends the processes of the private cluster.

use std::{
    convert::Infallible,
    env, io,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::user::ServerUser;

/// The signals that end the server, and how long it gets after each: with a checkpoint, at once,
/// killed.
const SHUT_DOWN: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(30)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// Tells the supervising thread, wherever it waits, that the server is to be stopped.
pub(super) struct Stop(Receiver<Infallible>);

impl Stop {
    /// A stop that comes when the sender is dropped.
    pub(super) fn new(receiver: Receiver<Infallible>) -> Self {
        Self(receiver)
    }

    /// Waits for `time`; returns `true` as soon as the server is to be stopped.
    pub(super) fn within(&self, time: Duration) -> bool {
        matches!(
            self.0.recv_timeout(time),
            Err(RecvTimeoutError::Disconnected)
        )
    }
}

/// A command that runs `program` as `user` in `dir`, which the user must be able to enter: without
/// input, and without the variables of the portal's environment that name another PostgreSQL.
pub(super) fn command(program: &Path, dir: &Path, user: &ServerUser) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if [&b"PG"[..], b"PIC_"]
            .iter()
            .any(|p| name.as_encoded_bytes().starts_with(p))
        {
            command.env_remove(name);
        }
    }
    command
        // It would tell systemd that the portal is ready.
        .env_remove("NOTIFY_SOCKET")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir(dir)
        .stdin(Stdio::null());
    user.run(&mut command);
    command
}

/// Starts `command` so that it is interrupted when the portal ends, however it ends.
///
/// The kernel sends that signal when the *thread* that started the process ends; hence a thread
/// that starts them all and lives as long as the portal.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    type Birth = (Command, Sender<io::Result<Child>>);
    static NURSERY: LazyLock<Sender<Birth>> = LazyLock::new(|| {
        let (sender, births) = mpsc::channel::<Birth>();
        // Without the thread the receiver is dropped, and `send` below fails.
        let _ = thread::Builder::new()
            .name("postgres-nursery".into())
            .spawn(move || {
                for (mut command, reply) in births {
                    // If the receiver is gone, the child is dropped, and interrupted when the
                    // portal ends.
                    let _ = reply.send(command.spawn());
                }
            });
        sender
    });
    #[cfg(target_os = "linux")]
    interrupt_with_portal(&mut command);
    let (reply, child) = mpsc::channel();
    let gone = |_| io::Error::other("there is no thread to start it from");
    NURSERY
        .send((command, reply))
        .map_err(|_| gone(mpsc::RecvError))?;
    child.recv().map_err(gone)?
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "only `pre_exec` can ask for a signal at the parent's death"
)]
fn interrupt_with_portal(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;

    let portal = Pid::this();
    let ask = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGINT)?;
        // The portal may have ended before the signal was set up.
        if nix::unistd::getppid() == portal {
            Ok(())
        } else {
            Err(nix::errno::Errno::ESRCH.into())
        }
    };
    // SAFETY: the closure runs in the child between fork and exec. It makes two system calls,
    // allocates nothing, takes no lock and touches no memory but its own.
    unsafe { command.pre_exec(ask) };
}

/// The process id of a child, for signals.
pub(super) fn pid(child: &Child) -> Pid {
    // Process ids are positive `pid_t`; the cast only undoes the one in the standard library.
    Pid::from_raw(child.id().cast_signed())
}

/// Ends the server, with stronger signals as time passes.
pub(super) fn shut_down(child: &mut Child) {
    for (signal, patience) in SHUT_DOWN {
        // Until it is waited for, the id is still the child's, so no other process can be hit.
        let _ = kill(pid(child), signal);
        if eventually(patience, || !matches!(child.try_wait(), Ok(None))) {
            return;
        }
        tracing::warn!(%signal, "the private PostgreSQL does not stop");
    }
}

/// Polls until `condition` is true, for `patience` at most.
pub(super) fn eventually(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if began.elapsed() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The last lines of a program's output, in one line and without the log's prefix.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let mut lines: Vec<&str> = text
        .lines()
        .map(|line| match line.split_once("] ") {
            Some((prefix, message)) if prefix.starts_with(|c: char| c.is_ascii_digit()) => message,
            Some(_) | None => line,
        })
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.drain(..lines.len().saturating_sub(count));
    if lines.is_empty() {
        "nothing".to_owned()
    } else {
        lines.join(" / ")
    }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn last_lines_make_one_line() {
        let log = "2024-01-01 10:00:00.000 UTC [12] LOG:  first\n\
                   2024-01-01 10:00:00.000 UTC [12] FATAL:  second [x] y\n\n  third\n";
        assert_eq!(last_lines(log, 2), "FATAL:  second [x] y / third");
        assert_eq!(last_lines("", 3), "nothing");
    }
}
