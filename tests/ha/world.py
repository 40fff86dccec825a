"""Starts and stops what the runs need: etcd, three Patroni nodes, HAProxy, PgBouncer, nginx, two portals. Everything is
below one temporary directory and on loopback; PostgreSQL, etcd and PgBouncer run as the user postgres. Every process is
stopped by its pid, those of PostgreSQL by what stands in their node's directory. etcd, Patroni and PostgreSQL go before
others on a busy machine, as they would on machines of their own; TMPDIR=/dev/shm spares them its disk.
"""
import asyncio, glob, json, os, pathlib, pwd, re, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("PIC_PORTAL", TOP / "target" / "debug" / "pic-portal")).resolve()
PGBOUNCER = os.environ.get("PGBOUNCER", "pgbouncer")
NODES = ("one", "two", "three")

def free_ports(n):
    """Ports below those that the kernel gives to connections, so that none of these takes one meanwhile."""
    found = []
    for port in range(15000 + os.getpid() % 500 * 20, 32000):
        with socket.socket() as s:
            try: s.bind(("127.0.0.1", port)); found.append(port)
            except OSError: continue
        if len(found) == n: return found
    raise SystemExit("no free ports")

def postgres_bin():
    return pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: float(p.split("/")[4]))[-1])

def tree(pid):
    """The process and all below it, parents first."""
    below = {}
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try: below.setdefault(int((p / "stat").read_text().rpartition(")")[2].split()[1]), []).append(int(p.name))
        except (OSError, IndexError): pass
    out = [pid]
    for p in out: out += below.get(p, [])
    return out

def send(pids, how):
    for pid in pids:
        try: os.kill(pid, how)
        except ProcessLookupError: pass

def run(world, work):
    """Does the work and ends all that was started, also where this program is told to stop."""
    async def told():
        task = asyncio.current_task()
        for how in signal.SIGTERM, signal.SIGHUP: asyncio.get_running_loop().add_signal_handler(how, task.cancel)
        await work
    try: asyncio.run(told())
    except asyncio.CancelledError: sys.exit("stopped")
    finally:
        for how in signal.SIGTERM, signal.SIGHUP, signal.SIGINT: signal.signal(how, signal.SIG_IGN)
        world.close("--keep" in sys.argv)

class World:
    def __init__(self, needs):
        if os.geteuid(): raise SystemExit("it starts servers as the user postgres: run it as root")
        lacking = [n for n in needs if not shutil.which(n)] + ([] if PROGRAM.exists() else [str(PROGRAM)])
        if lacking: raise SystemExit("missing: " + ", ".join(lacking))
        self.procs, self.logs = {}, {}
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pic-ha-")); os.chmod(self.dir, 0o755)
        self.who = pwd.getpwnam("postgres")
        self.data = self.dir / "postgres"; self.data.mkdir(mode=0o700); os.chown(self.data, self.who.pw_uid, self.who.pw_gid)
        ports = iter(free_ports(24))
        self.etcd_port, self.etcd_peer, self.proxy_port, self.pooler_port = (next(ports) for _ in range(4))
        self.pg, self.rest = {n: next(ports) for n in NODES}, {n: next(ports) for n in NODES}
        self.http = {n: next(ports) for n in ("a", "b")}
        self.spare = ports

    def start(self, name, argv, postgres=False, nice=0, **kw):
        """It gets SIGTERM if this program ends without having stopped it."""
        self.logs[name] = self.dir / f"{name}.log"
        user = ["--reuid=postgres", "--regid=postgres", "--init-groups"] if postgres else []
        self.procs[name] = subprocess.Popen(["nice", "-n", str(nice), "setpriv", *user, "--pdeathsig", "TERM", *map(str, argv)], cwd=self.data if postgres else self.dir,
                                            stdin=subprocess.DEVNULL, stdout=open(self.logs[name], "ab"), stderr=subprocess.STDOUT, **kw)
        return self.procs[name]

    def stop(self, name, how=signal.SIGTERM, limit=20):
        p = self.procs.pop(name, None)
        if p and p.poll() is None:
            p.send_signal(how)
            try: p.wait(limit)
            except subprocess.TimeoutExpired: p.kill(); p.wait()

    def wait(self, what, name, limit=60):
        end, last = time.monotonic() + limit, "not yet"
        while True:
            try:
                if name in self.procs and self.procs[name].poll() is not None: raise OSError("has ended")
                if what(): return
            except Exception as e: last = e
            if time.monotonic() > end or (name in self.procs and self.procs[name].poll() is not None):
                raise SystemExit(f"{name}: {last}\n" + (self.logs[name].read_text()[-3000:] if name in self.logs else ""))
            time.sleep(0.02)

    # The cluster

    def cluster(self):
        self.start("etcd", ["etcd", "--name", "e", "--data-dir", self.data / "etcd", "--listen-client-urls", f"http://127.0.0.1:{self.etcd_port}",
            "--advertise-client-urls", f"http://127.0.0.1:{self.etcd_port}", "--listen-peer-urls", f"http://127.0.0.1:{self.etcd_peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{self.etcd_peer}", "--initial-cluster", f"e=http://127.0.0.1:{self.etcd_peer}",
            "--enable-v2", "--heartbeat-interval", "500", "--election-timeout", "5000"], postgres=True, nice=-10)
        self.wait(lambda: b"true" in urllib.request.urlopen(f"http://127.0.0.1:{self.etcd_port}/health", timeout=2).read(), "etcd")
        for node in NODES:
            # Version 2 of etcd's protocol: by version 3 a leader of Patroni 3.0.2 that was frozen takes its key back from
            # the new one, which then gives up what it acknowledged (_update_leader in patroni/dcs/etcd3.py).
            # JSON is YAML. Times are short, so that fifty failovers end within the hour.
            (self.dir / f"{node}.yml").write_text(json.dumps({
                "scope": "pic", "name": node,
                "restapi": {"listen": f"127.0.0.1:{self.rest[node]}", "connect_address": f"127.0.0.1:{self.rest[node]}"},
                "etcd": {"host": f"127.0.0.1:{self.etcd_port}"},
                "bootstrap": {
                    "dcs": {"ttl": 15, "loop_wait": 2, "retry_timeout": 6, "synchronous_mode": True, "master_start_timeout": 0, "maximum_lag_on_failover": 1048576,
                        "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": {"wal_log_hints": "on", "max_connections": 100, "shared_buffers": "64MB", "log_min_messages": "log"}}},
                    "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}]},
                "postgresql": {
                    "listen": f"127.0.0.1:{self.pg[node]}", "connect_address": f"127.0.0.1:{self.pg[node]}", "bin_dir": str(postgres_bin()),
                    "data_dir": str(self.data / node), "pgpass": str(self.data / f"pgpass-{node}"), "remove_data_directory_on_rewind_failure": True,
                    "basebackup": [{"checkpoint": "fast"}],
                    "authentication": {"superuser": {"username": "postgres", "password": "p"}, "replication": {"username": "replicator", "password": "p"}},
                    "parameters": {"unix_socket_directories": str(self.data)},
                    "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]},
                "watchdog": {"mode": "off"}}))
        for node in NODES: self.patroni(node)
        self.wait(lambda: self.leader(), "one", 120)

    def patroni(self, node):
        self.start(node, ["/usr/bin/patroni", self.dir / f"{node}.yml"], postgres=True, nice=-10)

    def state(self, node):
        """What Patroni's REST says of a node."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest[node]}/cluster", timeout=3) as answer: return json.load(answer)

    def leader(self):
        for node in NODES:
            try:
                for m in self.state(node)["members"]:
                    if m["role"] == "leader" and m["state"] == "running": return m["name"]
            except (OSError, ValueError): pass

    def postgres(self, node):
        """The pids of a node's PostgreSQL, the first of them the postmaster's."""
        try:
            pid = int((self.data / node / "postmaster.pid").read_text().split()[0])
            return tree(pid) if str(self.data) in pathlib.Path(f"/proc/{pid}/cmdline").read_text() else []
        except (OSError, ValueError, IndexError): return []

    def switch(self, leader):
        return subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "/usr/bin/patronictl", "-c", self.dir / f"{leader}.yml",
            "switchover", "pic", "--master", leader, "--force"], cwd=self.data, capture_output=True, text=True)

    def server(self):
        """A PostgreSQL alone. -> its URL"""
        made = subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", postgres_bin() / "initdb", "-D", self.data / "one", "-A", "trust",
                               "-E", "UTF8", "--locale=C.UTF-8"], cwd=self.data, capture_output=True, text=True)
        if made.returncode: raise SystemExit(made.stderr)
        self.start("postgres", [postgres_bin() / "postgres", "-D", self.data / "one", "-h", "127.0.0.1", "-p", self.pg["one"], "-k", self.data], postgres=True)
        self.wait(lambda: socket.create_connection(("127.0.0.1", self.pg["one"]), 1).close() is None, "postgres")
        return f"postgres://postgres@127.0.0.1:{self.pg['one']}/postgres"

    # In front of it

    def deployed(self, name, change):
        """A file of deploy/, with each text of `change` in place of another: it has to be there."""
        text = (TOP / "deploy" / name).read_text()
        for old, new in change.items():
            if old not in text: raise SystemExit(f"deploy/{name} has no {old!r}")
            text = text.replace(old, new)
        (self.dir / name).write_text(text)
        return self.dir / name

    def proxy(self):
        told = {"global\n": "global\n    log stdout format timed local0 notice\n", "defaults\n": "defaults\n    log global\n"}
        there = told | {f"10.0.0.1{i + 1}:5432 check port 8008": f"127.0.0.1:{self.pg[n]} check port {self.rest[n]}" for i, n in enumerate(NODES)}
        self.start("haproxy", ["haproxy", "-db", "-f", self.deployed("haproxy-database.cfg", there | {"bind :5432": f"bind 127.0.0.1:{self.proxy_port}"})])
        self.wait(lambda: socket.create_connection(("127.0.0.1", self.proxy_port), 1).close() is None, "haproxy")

    def pooler(self):
        version = re.search(r"[\d.]+", subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True).stdout)[0]
        mode = "transaction" if tuple(map(int, version.split(".")[:2])) >= (1, 21) else "session"
        # server_login_retry: 15 s would pass before it asks a server again that once refused it.
        (self.dir / "pgbouncer.ini").write_text(f"""[databases]
pic = host=127.0.0.1 port={self.proxy_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.pooler_port}
unix_socket_dir =
auth_type = trust
auth_file = {self.dir}/users.txt
pool_mode = {mode}
default_pool_size = 40
ignore_startup_parameters = extra_float_digits
server_login_retry = 0.2
""" + ("max_prepared_statements = 200\n" if mode == "transaction" else ""))
        (self.dir / "users.txt").write_text('"pic" ""\n')
        self.start("pgbouncer", [PGBOUNCER, self.dir / "pgbouncer.ini"], postgres=True)
        self.wait(lambda: socket.create_connection(("127.0.0.1", self.pooler_port), 1).close() is None, "pgbouncer")
        return f"PgBouncer {version}, {mode} mode"

    def portal(self, name, url, **settings):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PIC_", "PG", "DATABASE_"))}
        env |= {"DATABASE_URL": url, "PIC_LISTEN": f"127.0.0.1:{self.http[name]}", "PIC_CHECKS": "off", "PIC_SUBMIT_LIMIT": "0"} | settings
        self.start(f"portal-{name}", [PROGRAM], env=env)

    def ready(self, name):
        self.wait(lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.http[name]}/readyz", timeout=5).status == 200, f"portal-{name}")

    def close(self, keep=False):
        for name in [n for n in self.procs if n not in NODES and n != "etcd"]: self.stop(name)
        for node in NODES:
            if node in self.procs: send([self.procs[node].pid, *self.postgres(node)], signal.SIGCONT); self.procs[node].terminate()
        for node in NODES: self.stop(node)
        for node in NODES: send(self.postgres(node), signal.SIGKILL)
        self.stop("etcd")
        if keep: print(f"kept: {self.dir}")
        else: shutil.rmtree(self.dir, ignore_errors=True)
