"""Starts and stops what the run needs: certificates, name server, portal, agent, Kamailio. Everything in one folder.

Kamailio runs in a mount namespace of its own, where /etc/resolv.conf is another file: the machine's resolver is never
touched. Needs root for that. Every process is stopped by its pid.
"""
import glob, json, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.parse, urllib.request, uuid

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
DEPLOY = TOP / "deploy" / "kamailio"
PUT = (TOP / "tests" / "portal" / "support" / "put_routes.sql").read_text()
PROGRAM = pathlib.Path(os.environ.get("PIC_PORTAL", TOP / "target" / "debug" / "pic-portal"))
with socket.socket() as free: free.bind(("127.0.0.1", 0)); PORTAL = free.getsockname()[1]

def missing():
    """What a run needs and this machine lacks."""
    lacking = [program for program in ("kamailio", "sipp", "dnsmasq", "psql", "gcc", "openssl", "unshare", "setpriv") if not shutil.which(program)]
    modules = {"kamailio-tls-modules": "tls", "kamailio-lua-modules": "app_lua", "kamailio-sqlite-modules": "db_sqlite"}
    lacking += [package for package, module in modules.items() if not glob.glob(f"/usr/lib/*/kamailio/modules/{module}.so")]
    if not lacking and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode: lacking.append("the right to mount (root)")
    return lacking

class Database:
    """The portal's database, spoken to by psql: routes change as by settling, and the publisher is woken."""
    def __init__(self, data):
        directory = (data / "pgdata" / "postmaster.pid").read_text().splitlines()[4]
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self.turn = threading.Lock()
        self.psql = subprocess.Popen([*user, "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", directory, "-U", "portal", "portal"], cwd="/",
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Routes belong to a service and a request: one that was made as people do.
        if self.ask("SELECT count(*) FROM service;").strip() == "0":
            fields = {"programme": "volume_licensing", "number": "1234567", "edge": "sip.owner.example", "domains": "owner.example",
                      "deployment": "on_premises", "terms": "on", "submission_id": str(uuid.uuid4()), "action": "submit"}
            urllib.request.urlopen(f"http://127.0.0.1:{PORTAL}/requests/new", urllib.parse.urlencode(fields).encode(), timeout=10).close()
        while not (owner := self.ask("SELECT service_id FROM route LIMIT 1;").strip()): time.sleep(0.01)
        self.owner = owner
    def put(self, routes): return PUT.replace("{routes}", routes).replace("{service}", self.owner)
    def ask(self, sql):
        with self.turn:
            self.psql.stdin.write(sql + "\n\\echo .\n"); self.psql.stdin.flush()
            said = []
            for line in self.psql.stdout:
                if line == ".\n": return "".join(said)
                said.append(line)
        raise RuntimeError("psql has ended")
    def change(self, put=None, gone=(), fill=0):
        """-> the time after the commit, and the number of routes."""
        rows = ",".join(f"('{d}','{e}')" for d, e in (put or {}).items()) or "(NULL,NULL)"
        names = ",".join(f"'{d}'" for d in gone) or "NULL"
        self.ask(f"""
            BEGIN;
            {self.put(f"SELECT * FROM (VALUES {rows}) v (sip_domain, access_edge) WHERE sip_domain IS NOT NULL")};
            {self.put(f"SELECT 'd' || n || '.bulk.example' AS sip_domain, 'edge' || n % 5000 || '.bulk.example' AS access_edge FROM generate_series(1, {fill}) n")};
            DELETE FROM domain_in_force WHERE sip_domain IN ({names});
            COMMIT;""")
        at = time.monotonic()
        self.ask("NOTIFY pic_status;")
        return {"at": at}
    def live(self):
        """What the portal knows: the newest publication, and what each gateway has loaded."""
        return json.loads(self.ask("""
            SELECT json_build_object('version', h.serial, 'of', (SELECT count(*) FROM gateway),
                'waiting', (SELECT count(*) FROM to_publish),
                'live', (SELECT count(*) FROM gateway g WHERE NOT g.silent AND g.serial = h.serial),
                'gateways', (SELECT json_object_agg(g.name, json_build_object('version', g.serial)) FROM gateway g))
            FROM publication h ORDER BY h.serial DESC LIMIT 1;"""))
    def restore(self, domain, edge):
        """The database as it comes back from an old backup: another history, in which one route was in force."""
        self.ask(f"""
            BEGIN; ALTER TABLE domain_in_force DISABLE TRIGGER USER; DELETE FROM domain_in_force; {self.put(f"SELECT '{domain}' AS sip_domain, '{edge}' AS access_edge")};
            ALTER TABLE domain_in_force ENABLE TRIGGER USER; TRUNCATE publication, to_publish;
            INSERT INTO publication VALUES (1, pic_epoch(), pic_now() - interval '2 days', 1, 1); COMMIT;""")

def rss(pid):
    """Proportional memory in MB: shared pages are counted once over the processes."""
    try:
        return sum(int(l.split()[1]) for l in open(f"/proc/{pid}/smaps_rollup") if l.startswith("Pss:")) / 1024
    except OSError: return 0.0

def children(pid):
    out = []
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if int((p / "stat").read_text().rpartition(")")[2].split()[1]) == pid: out.append(int(p.name)); out += children(int(p.name))
        except (OSError, IndexError): pass
    return out

class World:
    """One gateway, with the portal and the name server; `beside` another world: one more gateway, which shares these."""
    def __init__(self, address="127.0.0.2", name="gw1", beside=None):
        self.address, self.name, self.procs, self.logs = address, name, {}, {}
        if beside:
            self.dir = beside.dir / name; self.dir.mkdir()
            for shared in "certs", "hostcheck.so", "tokens": (self.dir / shared).symlink_to(beside.dir / shared)
        else:
            self.dir = pathlib.Path(tempfile.mkdtemp(prefix="fedgw-")); os.chmod(self.dir, 0o755)
            subprocess.run([sys.executable, HERE / "certs.py", self.dir / "certs"], check=True)
            subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", self.dir / "hostcheck.so", DEPLOY / "hostcheck.c", "-lssl", "-ldl"], check=True)
        for f in "kamailio.cfg", "names.lua": shutil.copy(DEPLOY / f, self.dir)
        tls = (DEPLOY / "tls.cfg").read_text()
        for there, here in ("/etc/kamailio/gateway", "certs/gw"), ("/etc/ssl/certs/ca-certificates.crt", "certs/ca.pem"): tls = tls.replace(there, here)
        (self.dir / "tls.cfg").write_text(tls)
        site = {"OUTSIDE_NAME": "gw.fed.example", "OUTSIDE_ADDRESS": address, "INSIDE_ADDRESS": address, "INSIDE_SERVER": "sip:127.0.0.5:5070",
                "INSIDE_NETWORK": "127.0.0.4/30", "STATE_DIR": self.dir, "RUN_DIR": self.dir, "CONFIG_DIR": self.dir}
        (self.dir / "site.cfg").write_text("".join(f'#!substdef "!{name}!{value}!g"\n' for name, value in site.items()))
        (self.dir / "resolv.conf").write_text("nameserver 127.0.0.53\noptions timeout:1 attempts:2\n")
    def start(self, name, argv, **kw):
        self.logs[name] = self.dir / f"{name}.log"
        self.procs[name] = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, argv)], cwd=self.dir, stdout=open(self.logs[name], "ab"), stderr=subprocess.STDOUT, **kw)
        return self.procs[name]
    def stop(self, name, how=signal.SIGTERM):
        p = self.procs.pop(name, None)
        if p and p.poll() is None:
            p.send_signal(how)
            try: p.wait(10)
            except subprocess.TimeoutExpired: p.kill(); p.wait()
    def dns(self, names):
        """names: {FQDN: address}. dnsmasq re-reads its host file on SIGHUP."""
        (self.dir / "hosts").write_text("".join(f"{a} {n}\n" for n, a in names.items())); os.chmod(self.dir / "hosts", 0o644)
        if "dns" in self.procs: self.procs["dns"].send_signal(signal.SIGHUP); time.sleep(0.1); return
        self.start("dns", ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--listen-address=127.0.0.53",
            "--bind-interfaces", "--local=/#/", f"--addn-hosts={self.dir}/hosts", "--local-ttl=1", "--pid-file=", "--log-facility=-", "--user=root"])
    def portal(self, gateways=("gw1", "gw2")):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PIC_")} | {"PIC_LISTEN": f"127.0.0.1:{PORTAL}", "PIC_DATA_DIR": str(self.dir / "data"), "PIC_CHECKS": "off", "PIC_GATEWAY_SILENT": "90s"}
        env.pop("DATABASE_URL", None)
        self.start("portal", [PROGRAM], env=env)
        ready = lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORTAL}/readyz", timeout=5).status == 200
        self.wait(ready, "portal", 90)
        self.connect()
        if not (self.dir / "tokens").exists():
            (self.dir / "tokens").mkdir()
            for name in gateways:
                added = subprocess.run([PROGRAM, "gateway", "add", name], env=env, check=True, capture_output=True, text=True)
                (self.dir / "tokens" / name).write_text(added.stdout)
    def connect(self):
        self.database = Database(self.dir / "data")
    def change(self, *a, **k): return self.database.change(*a, **k)
    def live(self): return self.database.live()
    def agent(self, program=DEPLOY / "agent.py", **env):
        self.start("agent", [sys.executable, program, f"http://127.0.0.1:{PORTAL}", f"tokens/{self.name}", "routes.db", "gateway.rpc"], env=os.environ | env)
    def kamailio(self, config="kamailio.cfg", preload=True, shm=256, pkg=64, defs=()):
        if not (self.dir / "routes.db").exists(): subprocess.run([sys.executable, DEPLOY / "agent.py", "--init", "routes.db"], cwd=self.dir, check=True)
        for f in "gateway.rpc", "gateway.ctl": (self.dir / f).unlink(missing_ok=True)
        args = ["kamailio", "-f", config, "-DD", "-E", "-w", str(self.dir), "-P", "kamailio.pid", "-Y", str(self.dir), "-m", str(shm), "-M", str(pkg)]
        for d in defs: args += ["-A", d]
        pre = f"LD_PRELOAD={self.dir}/hostcheck.so " if preload else ""
        quoted = " ".join("'" + a.replace("'", "'\\''") + "'" for a in args)
        t = time.monotonic()
        self.start("kamailio", ["unshare", "-m", "sh", "-c", f"mount --bind {self.dir}/resolv.conf /etc/resolv.conf && exec env {pre}{quoted}"])
        self.wait(lambda: self.rpc("core.version"), "kamailio")
        return time.monotonic() - t
    def rpc(self, method, *params):
        here = f"{self.dir}/rpc.test{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            if os.path.exists(here): os.unlink(here)
            s.bind(here); s.settimeout(30)
            try:
                s.sendto(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode(), f"{self.dir}/gateway.rpc")
                a = json.loads(s.recv(65000))
            finally: os.unlink(here)
        if "error" in a: raise RuntimeError(a["error"])
        return a["result"]
    def wait(self, what, name, limit=30):
        end = time.monotonic() + limit
        while True:
            try:
                if name in self.procs and self.procs[name].poll() is not None: raise OSError("has ended")
                if what(): return
            except Exception as e: last = e
            else: last = "not yet"
            if time.monotonic() > end or (name in self.procs and self.procs[name].poll() is not None):
                raise SystemExit(f"{name}: {last}\n" + (self.logs[name].read_text()[-3000:] if name in self.logs else ""))
            time.sleep(0.01)
    def close(self, keep=False):
        for n in list(self.procs): self.stop(n)
        if not keep: shutil.rmtree(self.dir, ignore_errors=True)
