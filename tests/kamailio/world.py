"""Starts and stops what the run needs: certificates, name server, portal, agent, Kamailio. Everything in one folder.

Kamailio runs in a mount namespace of its own, where /etc/resolv.conf is another file: the machine's resolver is never
touched. Needs root for that. Every process is stopped by its pid.
"""
import json, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
DEPLOY = TOP / "deploy" / "kamailio"
PROGRAM = pathlib.Path(os.environ.get("PIC_PORTAL", TOP / "target" / "debug" / "pic-portal"))
PORTAL = 18080

class Database:
    """The portal's database, spoken to by psql: routes change as by settling, and the publisher is woken."""
    OWNER = """
        INSERT INTO service (created_at, programme, number, token, key_hash)
        SELECT pic_now(), 'volume_licensing', '1234567', '0000000000000001', sha256('1') WHERE NOT EXISTS (SELECT FROM service);
        WITH new AS (
            INSERT INTO request (service_id, submitted_at, ended_at, reference, kind, deployment, state, submission_hash, content_hash)
            SELECT 1, pic_now(), pic_now(), 'PIC-0000-0000-0000-0001', 'initiate', 'on_premises', 'provisioned', sha256('1'), sha256('1')
            WHERE NOT EXISTS (SELECT FROM request) RETURNING id),
        edge AS (INSERT INTO request_edge SELECT id, 1, 'sip.owner.example' FROM new)
        INSERT INTO request_route SELECT id, 1, 'owner.example' FROM new;"""
    def __init__(self, data):
        directory = (data / "pgdata" / "postmaster.pid").read_text().splitlines()[4]
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self.turn = threading.Lock()
        self.psql = subprocess.Popen([*user, "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", directory, "-U", "portal", "portal"], cwd="/",
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(self.OWNER)
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
            INSERT INTO route AS x SELECT d, e, 1, 1, pic_now() FROM (VALUES {rows}) v (d, e) WHERE d IS NOT NULL
            ON CONFLICT (sip_domain) DO UPDATE SET access_edge = EXCLUDED.access_edge WHERE x.access_edge <> EXCLUDED.access_edge;
            INSERT INTO route SELECT 'd' || n || '.bulk.example', 'edge' || n % 5000 || '.bulk.example', 1, 1, pic_now() FROM generate_series(1, {fill}) n;
            DELETE FROM route WHERE sip_domain IN ({names});
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
            BEGIN; ALTER TABLE route DISABLE TRIGGER USER; DELETE FROM route; INSERT INTO route VALUES ('{domain}', '{edge}', 1, 1, pic_now());
            ALTER TABLE route ENABLE TRIGGER USER; TRUNCATE publication, published, to_publish;
            INSERT INTO publication VALUES (1, pic_epoch(), pic_now() - interval '2 days', 1, 1); INSERT INTO published VALUES ('{domain}', '{edge}', 1); COMMIT;""")

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
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="fedgw-")); os.chmod(self.dir, 0o755)
        self.procs, self.logs = {}, {}
        subprocess.run([sys.executable, HERE / "certs.py", self.dir / "certs"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", self.dir / "hostcheck.so", DEPLOY / "hostcheck.c", "-lssl", "-ldl"], check=True)
        for f in "kamailio.cfg", "names.lua": shutil.copy(DEPLOY / f, self.dir)
        tls = (DEPLOY / "tls.cfg").read_text()
        for there, here in ("/etc/kamailio/gateway", "certs/gw"), ("/etc/ssl/certs/ca-certificates.crt", "certs/ca.pem"): tls = tls.replace(there, here)
        (self.dir / "tls.cfg").write_text(tls)
        site = {"OUTSIDE_NAME": "gw.fed.example", "OUTSIDE_ADDRESS": "127.0.0.2", "INSIDE_ADDRESS": "127.0.0.2", "INSIDE_SERVER": "sip:127.0.0.5:5070",
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
    def portal(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PIC_")} | {"PIC_LISTEN": f"127.0.0.1:{PORTAL}", "PIC_DATA_DIR": str(self.dir / "data"), "PIC_CHECKS": "off", "PIC_GATEWAY_SILENT": "90s"}
        env.pop("DATABASE_URL", None)
        self.start("portal", [PROGRAM], env=env)
        ready = lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORTAL}/readyz", timeout=5).status == 200
        self.wait(ready, "portal", 90)
        self.database = Database(self.dir / "data")
        if not (self.dir / "token").exists():
            token = lambda name: subprocess.run([PROGRAM, "gateway", "add", name], env=env, check=True, capture_output=True, text=True).stdout
            (self.dir / "token").write_text(token("gw1")); token("gw2")
    def change(self, *a, **k): return self.database.change(*a, **k)
    def live(self): return self.database.live()
    def agent(self, **env):
        self.start("agent", [sys.executable, DEPLOY / "agent.py", f"http://127.0.0.1:{PORTAL}", "token", "routes.db", "gateway.rpc"], env=os.environ | env)
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
