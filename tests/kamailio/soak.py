"""Changes routes at random, kills what can be killed, and checks that gateways have what is in force.

    sudo python3 soak.py [CHANGES]     10,000 changes by default

Three gateways, of which the third is killed too, and the agents of all; the portal and its PostgreSQL are killed beside.
25 calls a second go out by the first gateway and 25 come in by the second, all of domains that do not change. Each
change gives a domain an Access Edge that no domain had before, so that a route of the past is known when it is met.
"""
import asyncio, json, os, random, signal, subprocess, sys, time
import sip, witness
from run import BASE, DNS, KEPT
from world import HERE, World, children

CHANGES = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
SEED = int(os.environ.get("PIC_SEED") or random.randrange(2**32))
DOMAINS, EVERY, RATE = 120, float(os.environ.get("PIC_EVERY", "0.02")), 25
dice = random.Random(SEED)
BAD = []

def check(what, ok, seen=""):
    print(("ok    " if ok else "FAIL  ") + what + (f"   [{seen}]" if seen != "" else ""), flush=True)
    if not ok: BAD.append(what)

class History:
    """The routes in force, one state after the other."""
    def __init__(self): self.now, self.states, self.began = {}, {}, {}
    def became(self, routes):
        for route in routes.items() - self.now.items(): self.began.setdefault(route, time.monotonic())
        self.now = dict(routes); self.states.setdefault(witness.digest(routes), len(self.states))

class Soak:
    def __init__(self):
        self.base = World(); self.history = History(); self.failed, self.calls, self.kills, self.over = [], 0, {}, False
        self.nodes = [self.base] + [World(f"127.0.0.{i}2", f"gw{i}", self.base) for i in (2, 3)]
        self.strangers, self.looks = [], 0

    def in_force(self):
        rows = self.base.database.ask("SELECT sip_domain || ' ' || access_edge FROM route;")
        return dict(row.split() for row in rows.splitlines())

    def back(self):
        """The portal and its database, whatever is left of them. What a change that was cut off became is read."""
        while True:
            try:
                if self.base.procs["portal"].poll() is not None:
                    self.base.stop("portal"); self.base.portal()
                else: self.base.connect()
                self.history.became(self.in_force()); return
            except (OSError, RuntimeError, SystemExit, IndexError, subprocess.CalledProcessError): time.sleep(0.1)

    async def changing(self):
        began = time.monotonic()
        for i in range(CHANGES):
            await asyncio.sleep(max(0, began + i * EVERY - time.monotonic()))
            domain = f"d{dice.randrange(DOMAINS)}.example"
            routes, put, gone = dict(self.history.now), {}, []
            if domain in routes and dice.random() < 0.3: gone.append(domain); del routes[domain]
            else: put[domain] = routes[domain] = f"edge{i}.example"
            # Before the commit, so that nobody can have it earlier.
            for route in put.items(): self.history.began.setdefault(route, time.monotonic())
            try:
                await asyncio.to_thread(self.base.change, put, gone)
                self.history.became(routes)
            except (RuntimeError, OSError): began += await self.recovered()
        self.over = True

    async def recovered(self):
        at = time.monotonic(); await asyncio.to_thread(self.back); return time.monotonic() - at

    async def killing(self):
        """Every few seconds one of them dies, and is started again."""
        while not self.over:
            await asyncio.sleep(dice.uniform(1, 4))
            if self.over: return
            what = dice.choice(["portal", "postgres", "kamailio", "agent", "agent"])
            self.kills[what] = self.kills.get(what, 0) + 1
            if what == "agent":
                node = dice.choice(self.nodes)
                node.stop("agent", signal.SIGKILL); node.agent(HERE / "witness.py")
            elif what == "kamailio":
                node = self.nodes[2]
                main = node.procs["kamailio"].pid
                for pid in [main, *children(main)]: os.kill(pid, signal.SIGKILL)
                node.stop("kamailio", signal.SIGKILL)
                await asyncio.to_thread(self.started, node)
            elif what == "portal": self.base.procs["portal"].kill()
            else:
                try:
                    main = int((self.base.dir / "data/pgdata/postmaster.pid").read_text().split()[0])
                    for pid in [main, *children(main)]: os.kill(pid, signal.SIGKILL)
                except (OSError, ValueError, IndexError): pass    # it is about to start

    def started(self, node):
        """As systemd does it: again, should it have met the file while the agent was writing it."""
        while True:
            try: node.kamailio(); return
            except SystemExit: self.kills["started again"] = self.kills.get("started again", 0) + 1

    async def looking(self):
        """What is in Kamailio's tables at any moment was in force at some moment before."""
        while not self.over:
            await asyncio.sleep(0.05)
            for node in self.nodes:
                try: rows = await asyncio.to_thread(lambda: witness.table(witness.agent.Kamailio(f"{node.dir}/gateway.rpc")))
                except (OSError, ValueError, witness.agent.Refused): continue
                now = time.monotonic(); self.looks += 1
                self.strangers += [route for route in rows.items() if self.history.began.get(route, now + 1) > now]

    async def calling(self, peer, to, from_):
        began, waiting, i = time.monotonic(), [], 0
        async def one(domain):
            self.calls += 1; at = time.strftime("%H:%M:%S ") + from_(domain)
            try:
                answer = await sip.call(peer(domain), to(domain), from_(domain), hold=0.5)
                if answer[:2] != ["200 OK", "200 OK"]: self.failed.append((at, domain, answer[:2]))
            except Exception as fault: self.failed.append((at, domain, repr(fault)))
        while not self.over:
            await asyncio.sleep(max(0, began + i / RATE - time.monotonic())); i += 1
            waiting.append(asyncio.create_task(one(f"kept{i % len(KEPT)}.example")))
        await asyncio.gather(*waiting)

    def receipts(self):
        """Each was true when it was given: the tables were one state of the routes, for one version the same at all, and in order."""
        of_version, given, wrong = {}, 0, []
        for node in self.nodes:
            last = -1
            for line in (node.dir / "receipts.log").read_text().splitlines():
                _, version, seen = json.loads(line); given += 1
                state = self.history.states.get(seen)
                if state is None or of_version.setdefault(version, seen) != seen or state < last: wrong.append((node.name, version, state, last))
                last = state if state is not None else last
        return given, wrong

    async def run(self):
        base, certs = self.base, str(self.base.dir / "certs")
        base.dns(DNS); base.portal(("gw1", "gw2", "gw3")); base.change(BASE | KEPT); self.history.became(self.in_force())
        for node in self.nodes: node.kamailio(); node.agent(HERE / "witness.py")
        for n, ip in (("contoso", "127.0.0.11"), ("fabrikam", "127.0.0.12")): await sip.Edge(ip, n, f"edge.{n}.com").start(certs)
        inside = await sip.Inside.open()
        peers = {e: await sip.Client().connect(certs, c, ip="127.0.0.22", source=s) for e, c, s in (("edge.contoso.com", "contoso", "127.0.0.11"), ("edge.fabrikam.com", "fabrikam", "127.0.0.12"))}
        await self.settled(60)
        began = time.monotonic()
        await asyncio.gather(self.changing(), self.killing(), self.looking(),
                             self.calling(lambda _: inside, lambda d: f"sip:ann@{d}", lambda _: "alice@home.example"),
                             self.calling(lambda d: peers[KEPT[d]], lambda _: "sip:bob@home.example", lambda d: f"ann@{d}"))
        took = time.monotonic() - began
        await self.recovered()
        print(f"      {CHANGES} changes in {took:.0f} s, seed {SEED}; killed: {self.kills}", flush=True)
        await self.settled(60)
        right = self.in_force()
        for node in self.nodes:
            rows = witness.table(witness.agent.Kamailio(f"{node.dir}/gateway.rpc"))
            check(f"{node.name}: its table is what is in force", rows == right, f"{len(rows)} of {len(right)} routes, {len(rows.items() ^ right.items())} differ")
        given, wrong = self.receipts()
        check("every receipt was true when it was given", given and not wrong, f"{given} receipts, {len(wrong)} wrong" + (f", e.g. {wrong[0]}" if wrong else ""))
        check("no domain was at an Access Edge that was not in force", self.looks and not self.strangers, f"{self.looks} looks, {len(self.strangers)} strangers" + (f", e.g. {self.strangers[0]}" if self.strangers else ""))
        check("no call of a kept domain failed", self.calls and not self.failed, f"{self.calls} calls, {len(self.failed)} failed" + (f", the first and the last: {self.failed[0]} {self.failed[-1]}" if self.failed else ""))

    async def settled(self, limit):
        """Until the portal knows that all three have loaded its newest publication."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            state = await asyncio.to_thread(self.base.live)
            if state["live"] == 3 and not state["waiting"]: return
            await asyncio.sleep(0.05)
        check("all gateways have loaded the newest publication", False, state)

async def main():
    soak = Soak()
    try: await soak.run()
    finally:
        for node in reversed(soak.nodes):
            for name in "agent", "kamailio":
                if BAD: print(f"--- {node.name}: {name}\n" + node.logs[name].read_text()[-3000:])
            node.close("--keep" in sys.argv)
    return 1 if BAD else 0

if __name__ == "__main__": sys.exit(asyncio.run(main()))
