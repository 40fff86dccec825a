//! The command `demo`: runs a portal with a made-up world, for looking at it.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tokio::{runtime::Handle, time::sleep};

use super::{
    Failure, say,
    serve::{self, start_private},
};
use crate::{
    config::{Config, Given, Wrong},
    db::{Database, private},
    demo::{
        MENDED, TO_TYPE, World,
        past::{self, Past},
    },
};

/// The file that says that a directory is a demonstration's.
const MARK: &str = "demonstration";
/// What stands on every page.
const BANNER: &str = "Demonstration. All organisations and records are made up, nothing is looked up outside this machine, and all of it is gone at the next start.";

/// Show the portal with made-up organisations in every state, on a loopback address, with a database of
/// its own that is made anew at each start; other settings than `PIC_LISTEN` and `PIC_LOG` do not count
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Where its database lives [default: pic-portal-demo, beside the ordinary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// When the record of one organisation is put right
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    mend_after: Duration,
}

impl Demo {
    pub(super) async fn run(self, given: &Given, writer_runtime: &Handle) -> Result<(), Failure> {
        let dir = match &self.dir {
            Some(dir) => std::path::absolute(dir)?,
            None => private::default_dir().with_file_name("pic-portal-demo"),
        };
        let listen = listen(given)?;
        let mut world = World::start().await.map_err(past::Error::from)?;
        clear(&dir)?;
        let roots = dir.join("roots.pem");
        fs::write(&roots, world.roots()?)?;
        let config = config(given, &world, &dir, &roots)?;
        world.add_those_to_type().await.map_err(past::Error::from)?;
        say("making two weeks of requests: this takes ten seconds or so");
        let (options, mut server) = start_private(dir.clone()).await?;
        let filled = async {
            let db = Database::open(options, &config.opening).await?;
            let told = past::tell(&db, &config, world, &roots).await;
            db.pool.close().await;
            Ok::<_, Failure>(told?)
        };
        let filled = filled.await;
        tokio::task::spawn_blocking(move || server.stop())
            .await
            .map_err(io::Error::other)?;
        let (world, past) = filled?;
        say(&text(listen, &past));
        tokio::spawn(async move {
            sleep(self.mend_after).await;
            world.publish(MENDED);
        });
        serve::serve(config, writer_runtime).await
    }
}

/// The address to listen on, which must be a loopback address.
fn listen(given: &Given) -> Result<SocketAddr, Failure> {
    let mut only = Given::default();
    only.door.listen.clone_from(&given.door.listen);
    let address = only.config()?.listen;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Wrong {
        variable: "PIC_LISTEN",
        fault: "is not a loopback address, and a demonstration is for this machine alone".into(),
        example: "127.0.0.1:8080",
    }
    .into())
}

/// Empties the directory of an earlier demonstration, or makes a new one. What is no demonstration's is
/// refused.
fn clear(dir: &Path) -> Result<(), Failure> {
    let refused = |why: &str| {
        Err(Failure::Refused(format!(
            "{} {why}: name another directory by --dir",
            dir.display()
        )))
    };
    match fs::read_dir(dir).map(|mut entries| entries.next().is_some()) {
        Ok(true) if !dir.join(MARK).is_file() => {
            return refused("is not empty, and no demonstration made it");
        }
        Ok(true) if private::is_in_use(dir) => {
            return refused("is in use by another demonstration");
        }
        Ok(_) => fs::remove_dir_all(dir)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    fs::create_dir_all(dir)?;
    fs::write(
        dir.join(MARK),
        "All of this is removed by the next `pic-portal demo`.\n",
    )?;
    Ok(())
}

fn config(given: &Given, world: &World, dir: &Path, roots: &Path) -> Result<Config, Wrong> {
    let set = |text: &str| Some(text.to_owned());
    let mut demo = Given::default();
    demo.door.listen.clone_from(&given.door.listen);
    demo.database.data_dir = Some(dir.to_owned());
    demo.about.notice = set(BANNER);
    demo.about.provider = set("Demonet");
    demo.checks.checks = set("enforce");
    demo.checks.dns = Some(world.names.address.to_string());
    demo.checks.check_private = set("true");
    demo.checks.check_ca = Some(roots.to_owned());
    demo.times.recheck_first = set("5s");
    demo.times.recheck_max = set("1m");
    demo.config()
}

/// What there is to see, and to type.
fn text(listen: SocketAddr, past: &Past) -> String {
    let base = if listen.port() == 0 {
        String::new()
    } else {
        format!("http://{listen}")
    };
    let mut lines = vec!["\nRequests to look at:".to_owned()];
    lines.extend(past.shown.iter().map(|shown| {
        let (domain, how) = (shown.domain, shown.how);
        format!("  {base}/requests/{}  {domain}: {how}", shown.reference)
    }));
    lines.push(format!(
        "\nNames to type at {base}/requests/new, with any agreement number such as 7654321 (Access Edge, SIP domain):"
    ));
    lines.extend(
        TO_TYPE
            .iter()
            .map(|(domain, how)| format!("  sip.{domain}, {domain}  {how}")),
    );
    lines.push(format!(
        "\nUpdate service, {base}/service: agreement number {}, management key {}",
        past.service.0, past.service.1
    ));
    lines.push(format!("\nSupport desk, {base}/staff:"));
    lines.extend(
        past.accounts
            .iter()
            .map(|(name, password)| format!("  {name}, password {password}")),
    );
    lines.push(String::new());
    lines.join("\n")
}
