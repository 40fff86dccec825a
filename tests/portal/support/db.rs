//! Gives each test a database of its own.
//!
//! [`TestDb::fresh`] clones a migrated template on a throw-away server that all test processes
//! of a checkout share (`docs/design.md#the-private-postgresql`); `DATABASE_URL` names another server to use. One
//! background thread of each process creates and drops the databases. Its connection has the
//! process's token in its name, and so have its databases: a later process drops the databases of
//! processes whose connection is gone.

use std::{
    collections::HashSet,
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use nix::{sys::statvfs::statvfs, unistd::geteuid};
use pic_portal::db::PgPool;
use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, migrate::Migrator,
    postgres::PgConnectOptions,
};
use tokio::sync::{mpsc, oneshot};

use super::server::{CLIENTS_LOCK, START_LOCK, lock_file, running_server};

/// How long the server outlives the last test process, in seconds.
const LINGER_SECONDS: &str = "10";
/// How many templates of other schemas are kept in addition to those in use, for branches tested in
/// turn.
const OTHER_TEMPLATES: i64 = 4;
/// The lock with which one process at a time creates or drops templates; an arbitrary number.
const TEMPLATE_LOCK: i64 = 0x7069_6370;
/// What the application name of each process's connection begins with.
const APPLICATION: &str = "pic-portal tests ";

/// A migrated database of its own, dropped when this value is.
pub(crate) struct TestDb {
    database: Database,
    pool: PgPool,
}

impl TestDb {
    /// Clones a database with all migrations of `migrator`.
    ///
    /// # Panics
    /// If there is no server, with how to get one.
    pub(crate) async fn fresh(migrator: &'static Migrator) -> Self {
        let database = order(migrator)
            .await
            .expect("the thread lives as long as the process")
            .unwrap_or_else(|reason| panic!("no database for this test: {reason}"));
        let options = database.options.clone();
        // A test may run queries that take longer than the limit of a page.
        let pool = PgPool::new(options, 5).within(Duration::from_mins(1));
        Self { database, pool }
    }

    /// Connections to the database.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The options for connecting to the database.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.database.options.clone()
    }

    /// The database as a `DATABASE_URL` for another process.
    pub(crate) fn url(&self) -> String {
        self.database.options.to_url_lossy().into()
    }

    /// The database's name on the server.
    pub(crate) fn name(&self) -> &str {
        &self.database.name
    }
}

/// A database that was made for a test, whether or not the test still waits for it.
struct Database {
    name: String,
    options: PgConnectOptions,
    drops: mpsc::UnboundedSender<String>,
}

impl Drop for Database {
    fn drop(&mut self) {
        // Sending fails only if the server is gone, and the database with it.
        let _ = self.drops.send(std::mem::take(&mut self.name));
    }
}

type Reply = Result<Database, String>;
type Order = (&'static Migrator, oneshot::Sender<Reply>);

/// Requests a database from the background thread.
fn order(migrator: &'static Migrator) -> oneshot::Receiver<Reply> {
    static ORDERS: LazyLock<mpsc::UnboundedSender<Order>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("test-databases".into())
            .spawn(|| fulfil(orders))
            .expect("a thread can be started");
        sender
    });
    let (sender, reply) = oneshot::channel();
    // Sending fails only after a panic of that thread, which the reply reports.
    let _ = ORDERS.send((migrator, sender));
    reply
}

/// Carries out requests, one after the other, until the process ends.
fn fulfil(mut orders: mpsc::UnboundedReceiver<Order>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let mut server = Server::attach().await;
        while let Some((migrator, reply)) = orders.recv().await {
            let made = match &mut server {
                Ok(server) => server
                    .clone_template(migrator)
                    .await
                    .map_err(|error| error.to_string()),
                Err(reason) => Err(reason.clone()),
            };
            // If the test no longer waits, the database is dropped.
            let _ = reply.send(made);
        }
    });
}

/// Drops databases as their names come in. With a connection of its own: PostgreSQL waits for a
/// tenth of a second if another session is still connected.
async fn drop_databases(mut connection: PgConnection, mut names: mpsc::UnboundedReceiver<String>) {
    while let Some(name) = names.recv().await {
        // A database that cannot be dropped is left to the next process.
        let _ = drop_database(&mut connection, &name).await;
    }
}

async fn drop_database(connection: &mut PgConnection, name: &str) -> Attempt<()> {
    run(
        connection,
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
    )
    .await
}

/// Runs a statement made from this module's own names.
async fn run(connection: &mut PgConnection, statement: String) -> Attempt<()> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}

/// SQL for the advisory lock that a process shares for as long as it uses this template.
fn key(template: &str) -> String {
    format!("hashtextextended('{template}', 0)")
}

type Attempt<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// This process's connection to the server.
struct Server {
    connection: PgConnection,
    options: PgConnectOptions,
    token: String,
    databases: u64,
    drops: mpsc::UnboundedSender<String>,
    templates: HashSet<String>,
    /// Tells the server's supervisor that the server is needed; `None` for `DATABASE_URL`.
    _share: Option<File>,
}

impl Server {
    async fn attach() -> Result<Self, String> {
        let attached = async {
            let (share, options) = match env::var("DATABASE_URL") {
                Ok(url) => (None, url.parse()?),
                Err(_) => shared_server().map(|(share, options)| (Some(share), options))?,
            };
            let token = format!("{:032x}", uuid::Uuid::new_v4().as_u128())[..12].to_owned();
            let application = format!("{APPLICATION}{token}");
            let (drops, names) = mpsc::unbounded_channel();
            tokio::spawn(drop_databases(options.connect().await?, names));
            let mut server = Self {
                connection: options
                    .clone()
                    .application_name(&application)
                    .connect()
                    .await?,
                options,
                token,
                databases: 0,
                drops,
                templates: HashSet::new(),
                _share: share,
            };
            server.drop_left_databases().await?;
            Attempt::Ok(server)
        };
        attached.await.map_err(|error| error.to_string())
    }

    async fn clone_template(&mut self, migrator: &'static Migrator) -> Attempt<Database> {
        let template = self.template(migrator).await?;
        self.databases += 1;
        let name = format!("test_{}_{}", self.token, self.databases);
        let clone = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY");
        run(&mut self.connection, clone).await?;
        let options = self.options.clone().database(&name);
        Ok(Database {
            name,
            options,
            drops: self.drops.clone(),
        })
    }

    /// Name of the template for `migrator`, which is created if no process has created it yet.
    async fn template(&mut self, migrator: &'static Migrator) -> Attempt<String> {
        let mut sum = Sha256::new();
        for migration in migrator.iter() {
            sum.update(migration.version.to_be_bytes());
            sum.update(&migration.checksum);
        }
        let sum = data_encoding::HEXLOWER.encode(&sum.finalize()[..8]);
        let template = format!("migrated_{sum}");
        if !self.templates.contains(&template) {
            run(
                &mut self.connection,
                format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"),
            )
            .await?;
            let made = self.make_template(&template, migrator).await;
            run(
                &mut self.connection,
                format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})"),
            )
            .await?;
            made?;
            self.templates.insert(template.clone());
        }
        Ok(template)
    }

    /// Creates `template` unless it exists. It stays as long as this process uses it.
    async fn make_template(&mut self, template: &str, migrator: &Migrator) -> Attempt<()> {
        let used = format!("SELECT pg_advisory_lock_shared({})", key(template));
        run(&mut self.connection, used).await?;
        let made: Option<bool> =
            sqlx::query_scalar("SELECT datistemplate FROM pg_database WHERE datname = $1")
                .bind(template)
                .fetch_optional(&mut self.connection)
                .await?;
        if made == Some(true) {
            return Ok(());
        }
        // A database that is not yet a template was left unfinished.
        drop_database(&mut self.connection, template).await?;
        self.drop_old_templates().await?;
        run(&mut self.connection, format!("CREATE DATABASE {template}")).await?;
        let mut connection = self.options.clone().database(template).connect().await?;
        migrator.run_direct(None, &mut connection, false).await?;
        connection.close().await?;
        let finish = format!("ALTER DATABASE {template} IS_TEMPLATE true ALLOW_CONNECTIONS false");
        run(&mut self.connection, finish).await
    }

    async fn drop_old_templates(&mut self) -> Attempt<()> {
        let old: Vec<String> = sqlx::query_scalar(
            "SELECT datname::text FROM pg_database WHERE datname LIKE 'migrated\\_%'
             ORDER BY oid DESC OFFSET $1",
        )
        .bind(OTHER_TEMPLATES)
        .fetch_all(&mut self.connection)
        .await?;
        for name in old {
            // A session is not blocked by its own locks.
            if self.templates.contains(&name) {
                continue;
            }
            let key = key(&name);
            let unused = format!("SELECT pg_try_advisory_lock({key})");
            if sqlx::query_scalar(AssertSqlSafe(unused))
                .fetch_one(&mut self.connection)
                .await?
            {
                let no_template = format!("ALTER DATABASE {name} IS_TEMPLATE false");
                run(&mut self.connection, no_template).await?;
                drop_database(&mut self.connection, &name).await?;
                let done = format!("SELECT pg_advisory_unlock({key})");
                run(&mut self.connection, done).await?;
            }
        }
        Ok(())
    }

    async fn drop_left_databases(&mut self) -> Attempt<()> {
        let left: Vec<String> = sqlx::query_scalar(
            "SELECT datname::text FROM pg_database WHERE datname LIKE 'test\\_%' AND NOT EXISTS (
                 SELECT FROM pg_stat_activity
                 WHERE application_name = $1 || split_part(pg_database.datname, '_', 2))",
        )
        .bind(APPLICATION)
        .fetch_all(&mut self.connection)
        .await?;
        for name in left {
            drop_database(&mut self.connection, &name).await?;
        }
        Ok(())
    }
}

/// The shared throw-away server, started if it does not run, and this process's share in it.
fn shared_server() -> Attempt<(File, PgConnectOptions)> {
    let dir = server_dir()?;
    let start = lock_file(&dir.join(START_LOCK))?;
    start.lock()?;
    let share = lock_file(&dir.join(CLIENTS_LOCK))?;
    share.lock_shared()?;
    let options = running_server(&dir).map_or_else(|| start_server(&dir), Ok)?;
    Ok((share, options))
}

/// A program of the PostgreSQL that the tests run on: the first that the `PATH` has with its server,
/// or the newest package; `None` where only the server is installed.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .filter_map(|dir| {
            Some(
                fs::canonicalize(dir.join("initdb"))
                    .ok()?
                    .with_file_name(name),
            )
        })
        .find(|path| path.exists());
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    on_path.or_else(|| {
        packaged
            .filter_map(|dir| Some(dir.ok()?.path().join("bin").join(name)))
            .filter(|path| path.exists())
            .max()
    })
}

/// In memory if there is a gigabyte free, otherwise where temporary files go. Each checkout has a server
/// of its own: one that is built anew ends the server that its program holds; and so has each PostgreSQL.
fn server_dir() -> Attempt<PathBuf> {
    let memory = Path::new("/dev/shm");
    let roomy =
        statvfs(memory).is_ok_and(|fs| fs.blocks_available() * fs.fragment_size() >= 1 << 30);
    let base = if roomy {
        memory.to_owned()
    } else {
        env::temp_dir()
    };
    let mut checkout = DefaultHasher::new();
    env!("CARGO_BIN_EXE_test-postgres").hash(&mut checkout);
    tool("initdb").hash(&mut checkout);
    let checkout = checkout.finish();
    let dir = base.join(format!("pic-portal-test-{}-{checkout:016x}", geteuid()));
    // When run as root, the server's own user must be able to enter it.
    match DirBuilder::new().mode(0o755).create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    if fs::symlink_metadata(&dir)?.uid() != geteuid().as_raw() {
        return Err(format!("{} belongs to somebody else: remove it", dir.display()).into());
    }
    Ok(dir)
}

/// Starts the supervisor independently of this process: it outlives it, does not get its Ctrl-C,
/// and must not hold the streams that `cargo test | tee` waits for.
fn start_server(dir: &Path) -> Attempt<PgConnectOptions> {
    let said = dir.join("supervisor.log");
    let log = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&said)?;
    let mut supervisor = Command::new(env!("CARGO_BIN_EXE_test-postgres"))
        .arg(dir)
        .arg(LINGER_SECONDS)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .current_dir("/")
        .spawn()?;
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(options) = running_server(dir) {
            return Ok(options);
        }
        if let Some(status) = supervisor.try_wait()? {
            let reason = fs::read_to_string(&said).unwrap_or_default();
            return Err(format!("the test server ended ({status}): {}", reason.trim_end()).into());
        }
        if Instant::now() > deadline {
            return Err("the test server does not take connections after 60 seconds".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}
