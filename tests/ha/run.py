"""Fails a database over under load, and checks that nothing acknowledged is lost, doubled or half there.

    sudo python3 run.py direct|haproxy|pgbouncer [FAULTS] [--keep]       50 faults by default

Three nodes of Patroni in synchronous mode and two portals. `direct`: DATABASE_URL names all nodes; `haproxy`:
deploy/haproxy-database.cfg is in between; `pgbouncer`: a PgBouncer too, in session mode before 1.21. Each fault hits
the leader: `crash` kills its PostgreSQL, `loss` its Patroni too, `freeze` stops both for a while, `switch` is a
switch-over. PIC_PORTAL and PGBOUNCER name other programs. Needs Debian's postgresql, patroni, python3-etcd,
etcd-server, haproxy, pgbouncer. Exit code 1 if a check failed; times are shown, and not judged.
"""
import asyncio, os, signal, statistics, sys, time
from load import Load, Postgres, Refused, Watcher
from world import PGBOUNCER, TOP, World, run, send

KINDS = ("crash", "loss", "freeze", "switch")
RATE, CLIENTS, GOAL = int(os.environ.get("PIC_RATE", "40")), 16, 1.0
BAD = []

def check(what, ok, seen=""):
    print(("ok    " if ok else "FAIL  ") + what + (f"   [{seen}]" if seen != "" else ""), flush=True)
    if not ok: BAD.append(what)

class Run:
    def __init__(self, way, faults):
        self.way, self.faults, self.rows = way, faults, []
        self.world = World(["etcd", "patroni", "patronictl", "setpriv", *([] if way == "direct" else ["haproxy"]), *([PGBOUNCER] if way == "pgbouncer" else [])])

    async def go(self):
        w = self.world
        w.cluster()
        await self.prepared()
        url = f"postgres://pic@{','.join(f'127.0.0.1:{p}' for p in w.pg.values())}/pic"
        if self.way != "direct": w.proxy(); url = await self.reached(w.proxy_port)
        if self.way == "pgbouncer": print(w.pooler(), flush=True); url = await self.reached(w.pooler_port)
        for name in w.http: w.portal(name, url); w.ready(name)
        self.load = Load(w.dir / "acknowledged.log", w.http, CLIENTS, RATE)
        self.watchers = {n: Watcher(p) for n, p in w.pg.items()}
        watching = [asyncio.create_task(x.run()) for x in self.watchers.values()]
        loading = asyncio.create_task(self.load.run())
        print(f"{'':>3} {'fault':<7} {'leader':<14} {'takes writes':>12}  {'first acknowledged after that':<30} {'longest gap':>11} {'load':>5}")
        for i in range(self.faults):
            await self.whole()
            await self.fault(i, KINDS[i % len(KINDS)])
        await self.whole()
        self.load.over = True
        await asyncio.wait_for(loading, 60)
        for task in watching: task.cancel()
        self.figures()
        await self.checked()

    async def prepared(self):
        door = await Postgres().open(self.world.pg[self.world.leader()], "postgres")
        for sql in ("CREATE TABLE beat (at timestamptz DEFAULT now())", "CREATE ROLE pic LOGIN", "CREATE DATABASE pic OWNER pic"): await door.ask(sql)
        door.close()

    async def reached(self, port):
        """Waits until the leader alone answers through what listens there: HAProxy takes all for leaders until it has asked.
        -> its URL"""
        async def asked():
            in_turn = 0
            while in_turn < 20:
                try:
                    door = await Postgres().open(port, "pic", "pic")
                    in_turn = in_turn + 1 if await door.ask("SELECT pg_is_in_recovery()") == [["f"]] else 0
                    door.close()
                except (OSError, Refused, asyncio.IncompleteReadError): in_turn = 0
                await asyncio.sleep(0.1)
        await asyncio.wait_for(asked(), 60)
        return f"postgres://pic@127.0.0.1:{port}/pic"

    async def whole(self):
        """Until both others stream from the leader, a commit waits for one of them, and both portals acknowledge."""
        end, since = time.monotonic() + 180, time.monotonic()
        while True:
            try:
                leader = await asyncio.to_thread(self.world.leader)
                roles = sorted(m["role"] for m in (await asyncio.to_thread(self.world.state, leader))["members"])
                door = await asyncio.wait_for(Postgres().open(self.world.pg[leader], "postgres"), 2)
                (streaming, waited), = await asyncio.wait_for(door.ask("SELECT count(*), count(*) FILTER (WHERE sync_state = 'sync') FROM pg_stat_replication WHERE state = 'streaming'"), 2)
                door.close()
                acknowledge = all(self.load.first(name, since) for name in self.world.http)
                if (streaming, waited) == ("2", "1") and roles == ["leader", "replica", "sync_standby"] and acknowledge: break
            except (OSError, KeyError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError) as e: streaming = repr(e)
            if time.monotonic() > end: raise RuntimeError(f"the cluster is not whole after three minutes: {streaming}; see --keep")
            await asyncio.sleep(0.3)
        self.leader = leader
        await asyncio.sleep(1)

    async def fault(self, i, kind):
        w, old = self.world, self.leader
        pids = [w.procs[old].pid, *w.postgres(old)]
        for x in self.watchers.values(): x.keen = True
        told, load, at = sum(self.load.told.values()), os.getloadavg()[0], time.monotonic()
        if kind == "crash": send(pids[1:], signal.SIGKILL)
        if kind == "loss": send(pids, signal.SIGKILL); w.stop(old)
        if kind == "freeze": send(pids, signal.SIGSTOP)
        if kind == "switch": switching = asyncio.create_task(asyncio.to_thread(w.switch, old))
        def accepted():
            """By another node; or by the same one, on a connection that is newer than its crash."""
            return [(x.wrote, n) for n, x in self.watchers.items() if x.wrote > at and (n != old or kind == "crash" and x.opened > at)]
        while not accepted():
            if time.monotonic() > at + 120: raise RuntimeError(f"nobody takes writes two minutes after {kind}")
            await asyncio.sleep(0.001)
        accepts, new = min(accepted())
        for x in self.watchers.values(): x.keen = False
        while not all(self.load.first(name, accepts) for name in w.http):
            if time.monotonic() > accepts + 120: raise RuntimeError(f"nothing was acknowledged within two minutes after {kind}")
            await asyncio.sleep(0.01)
        first = {name: self.load.first(name, accepts) - accepts for name in w.http}
        gap = accepts + min(first.values()) - (self.load.last(accepts) or at)
        self.rows.append((kind, accepts - at, first, gap))
        print(f"{i + 1:>3} {kind:<7} {old + ' > ' + new:<14} {accepts - at:>10.2f} s  {', '.join(f'{n}: {t:.3f} s' for n, t in first.items()):<30} {gap:>9.2f} s {load:>5.1f}"
              f"  {sum(self.load.told.values()) - told} told to wait", flush=True)
        if kind == "freeze": send(reversed(pids), signal.SIGCONT)
        if kind == "loss": w.patroni(old)
        if kind == "switch" and (done := await switching).returncode: print(done.stdout, done.stderr)

    def figures(self):
        print(f"\nfirst acknowledged after the new leader takes writes, by the slower of both portals (goal: {GOAL:.0f} s)")
        for kind in (*KINDS, "all"):
            slower = [max(first.values()) for k, _, first, _ in self.rows if kind in (k, "all")]
            sooner = [min(first.values()) for k, _, first, _ in self.rows if kind in (k, "all")]
            accepts = [accepts for k, accepts, _, _ in self.rows if kind in (k, "all")]
            if slower: print(f"  {kind:<7} n={len(slower):<3} median {statistics.median(slower):.3f} s, max {max(slower):.3f} s, beyond the goal {sum(t > GOAL for t in slower)};"
                             f" by the sooner: median {statistics.median(sooner):.3f} s, max {max(sooner):.3f} s; takes writes after: median {statistics.median(accepts):.1f} s, max {max(accepts):.1f} s")
        print(f"  told to wait or cut off: {dict(self.load.told)}")

    async def checked(self):
        door = await Postgres().open(self.world.pg[self.leader], "pic")
        end = time.monotonic() + 180
        while (pending := int((await door.ask("SELECT count(*) FROM request WHERE state = 'pending'"))[0][0])) and time.monotonic() < end: await asyncio.sleep(0.2)
        stored, doubled = {}, []
        for domain, edge, reference in await door.ask("SELECT d.sip_domain, e.access_edge, r.reference FROM request r LEFT JOIN request_route d ON d.request_id = r.id"
                                                      " LEFT JOIN request_edge e ON e.request_id = d.request_id AND e.ordinal = d.edge"):
            if domain in stored: doubled.append(domain)
            stored[domain] = (edge, reference)
        acked = self.load.acked
        lost = [d for d, reference in acked.items() if stored.get(d) != (f"sip.{d}", reference)]
        check(f"{len(acked)} acknowledged, none lost", acked and not lost, lost[:5] or "")
        check("nothing twice", not doubled and len(set(acked.values())) == len(acked), doubled[:5] or "")
        check("nothing that nobody was told of", not stored.keys() - acked.keys(), list(stored.keys() - acked.keys())[:5] or "")
        check("nothing left undone", not pending, pending or "")
        await door.ask("ANALYZE")
        broken = await door.ask((TOP / "tests/portal/support/consistency.sql").read_text())
        check("nothing half there (tests/portal/support/consistency.sql)", not broken, broken[:5] or "")

def main():
    way = sys.argv[1] if len(sys.argv) > 1 else ""
    if way not in ("direct", "haproxy", "pgbouncer"): raise SystemExit(__doc__)
    failovers = Run(way, int(next((a for a in sys.argv[2:] if a.isdigit()), 50)))
    run(failovers.world, failovers.go())
    return 1 if BAD else 0

if __name__ == "__main__": sys.exit(main())
