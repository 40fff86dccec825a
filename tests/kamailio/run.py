"""Proves deploy/kamailio with a real Kamailio and the portal. `sudo python3 run.py [--short] [--keep]`: prints one line a
check, then the figures; exit code 1 if a check failed. PIC_PORTAL names the portal's program. `--short`: without 100,000
routes, and quietly nothing where a program that it needs is missing, unless CI is set."""
import asyncio, hashlib, json, os, signal, statistics, subprocess, sys, time
import sip
from world import PORTAL, World, children, missing, rss

DNS = {"edge.contoso.com": "127.0.0.11", "edge2.contoso.com": "127.0.0.13", "edge.fabrikam.com": "127.0.0.12", "edge.mallory.example": "127.0.0.14"}
BASE = {"contoso.com": "edge.contoso.com", "fabrikam.com": "edge.fabrikam.com", "mallory.example": "edge.mallory.example"}
KEPT = {f"kept{i}.example": ("edge.contoso.com", "edge.fabrikam.com")[i % 2] for i in range(20)}
BAD, FIGURES = [], {}

def check(what, ok, seen=""):
    print(("ok    " if ok else "FAIL  ") + what + (f"   [{seen}]" if seen != "" else ""), flush=True)
    if not ok: BAD.append(what)

def figure(name, value): FIGURES[name] = value; print(f"      {name}: {value}", flush=True)

def spread(xs, unit="ms"):
    xs = sorted(xs); at = lambda q: xs[min(len(xs) - 1, int(q * len(xs)))]
    return f"p50 {at(.5):.1f}, p99 {at(.99):.1f}, max {xs[-1]:.1f} {unit} (n={len(xs)})"

W = None    # the world of this run

async def loaded(limit=30):
    """Waits until the portal knows that gw1 has loaded its newest publication. -> seconds"""
    t, end = time.monotonic(), time.monotonic() + limit
    while True:
        a = await asyncio.to_thread(W.live)
        if a["gateways"]["gw1"]["version"] == a["version"] and not a["waiting"]: return time.monotonic() - t
        if time.monotonic() > end: return float("inf")
        await asyncio.sleep(0.005)

async def turn(*a, **k): return await asyncio.to_thread(W.change, *a, **k)

def ram(w):
    main = w.procs["kamailio"].pid
    return {"pss_mb": round(sum(rss(p) for p in [main, *children(main)]), 1), "shm_used_mb": round(int(w.rpc("core.shmmem")["used"]) / 1048576, 1)}

async def behaviour(w, inside, edges):
    print("# who may call, and where calls go")
    certs = str(w.dir / "certs"); c = await sip.Client().connect(certs, "contoso")
    bob = "sip:bob@home.example"
    async def knock(cert, from_):
        try:
            p = await sip.Client().connect(certs, cert); a = (await p.ask("OPTIONS", bob, from_, bob[4:], timeout=3))[0][8:]; p.close(); return a
        except Exception as e: return f"no TLS: {type(e).__name__}"
    r = await sip.call(c, bob, "ann@contoso.com"); check("in: call of contoso.com through its Access Edge (third, mixed-case name of the SAN)", r[:2] == ["200 OK", "200 OK"], r[:2])
    a = (await c.ask("OPTIONS", bob, "ann@CONTOSO.com", bob[4:]))[0][8:]; check("in: From in capitals", a == "200 OK", a)
    a = (await c.ask("INVITE", bob, "ann@fabrikam.com", bob[4:]))[0][8:]; check("in: From of another's domain -> 403", a.startswith("403 Certificate does not name edge.fabrikam.com"), a)
    a = (await c.ask("INVITE", bob, "ann@nobody.example", bob[4:]))[0][8:]; check("in: From without a route -> 403", a.startswith("403 No federation route"), a)
    for cert, what, want in (("mallory", "another edge's certificate", "403"), ("cn-only", "name in the subject alone", "403"), ("wildcard", "wildcard", "403"),
                             ("foreign", "certificate of a foreign CA", "no TLS"), (None, "no certificate", "no TLS")):
        a = await knock(cert, "ann@contoso.com"); check(f"in: {what} -> {want}", a.startswith(want), a)
    a = (await c.ask("INFO", "sip:x@192.0.2.99:5060", "ann@contoso.com", "<sip:bob@home.example>;tag=t"))[0][8:]; check("in: within a dialog, target that is not inside -> 403", a == "403 Target is not inside", a)
    r = await sip.call(inside, "sip:ann@contoso.com", "alice@home.example"); check("out: call to contoso.com", r[:3] == ["200 OK", "200 OK", "edge.contoso.com"], r[:3])
    check("out: SNI is the Access Edge", edges["contoso"].sni[-1:] == ["edge.contoso.com"], edges["contoso"].sni)
    a = (await inside.ask("INVITE", "sip:ann@nowhere.example"))[0][8:]; check("out: domain without a route -> 404", a.startswith("404"), a)
    await turn({"noaddress.example": "edge.noaddress.example", "imp.example": "edge.imp.example", "dead.example": "edge.dead.example"}); await loaded()
    w.dns(DNS | {"edge.imp.example": "127.0.0.15", "edge.dead.example": "127.0.0.16"})
    imp = sip.Edge("127.0.0.15", "mallory", "impostor"); await imp.start(certs)
    a = (await inside.ask("INVITE", "sip:ann@noaddress.example"))[0][8:]; check("out: Access Edge without an address -> 404", a.startswith("404"), a)
    t = time.monotonic(); a = (await inside.ask("INVITE", "sip:ann@imp.example", timeout=9))[0][8:]
    check("out: server whose certificate has another name -> 403, and it saw no SIP", a.startswith("403") and not imp.seen and imp.sni, f"{a}; {time.monotonic()-t:.1f} s; SIP seen: {len(imp.seen)}")
    a = (await inside.ask("INVITE", "sip:ann@dead.example", timeout=9))[0][8:]; check("out: nobody listens -> 503", a.startswith("503"), a)
    await imp.stop()
    # two edges on one address: 5.6 finds connections by address, so the second must not ride on the first one's
    w.dns(DNS | {"edge.shared.example": DNS["edge.mallory.example"]}); await turn({"shared.example": "edge.shared.example"}); await loaded()
    await inside.ask("OPTIONS", "sip:x@mallory.example"); n = len(edges["mallory"].seen)
    a = (await inside.ask("INVITE", "sip:ann@shared.example", timeout=9))[0][8:]
    check("out: an open connection of another edge on the same address is not used -> 403", a.startswith("403") and len(edges["mallory"].seen) == n, a)
    # a call that is up while its domain moves ends at the edge it was set up with
    async def move(): await turn({"contoso.com": "edge2.contoso.com"}); await loaded()
    r = await sip.call(inside, "sip:ann@contoso.com", "alice@home.example", between=move)
    check("out: route moves during a call: its BYE reaches the old edge", r[1:4] == ["200 OK", "edge.contoso.com", "edge.contoso.com"], r[1:4])
    r = await sip.call(inside, "sip:ann@contoso.com", "alice@home.example"); check("out: the next call goes to the new edge", r[2] == "edge2.contoso.com", r[2])
    a = (await c.ask("INVITE", bob, "ann@contoso.com", bob[4:]))[0][8:]; check("in: the old edge may no longer call for contoso.com -> 403", a.startswith("403 Certificate does not name edge2"), a)
    c2 = await sip.Client().connect(certs, "contoso2", source="127.0.0.13")
    a = (await c2.ask("OPTIONS", bob, "ann@contoso.com", bob[4:]))[0][8:]; check("in: the new edge may", a == "200 OK", a)
    await turn({"contoso.com": "edge.contoso.com"}, ["noaddress.example", "imp.example", "dead.example", "shared.example"]); await loaded()
    w.dns(DNS); c.close(); c2.close()

async def latency(inside, n, name):
    """From the portal's commit to the first request that goes the new way; asked every 2 ms."""
    took, seen = [], []
    for i in range(n):
        to = ("edge.fabrikam.com", "edge.contoso.com")[i % 2]
        at = (await turn({"contoso.com": to}))["at"]
        while True:
            asked = time.monotonic()
            first, h = await inside.ask("OPTIONS", "sip:x@contoso.com")
            if sip.get(h, "x-edge") == to: break
            if asked - at > 20: break
            await asyncio.sleep(0.002)
        took.append((asked - at) * 1000)
        await loaded(); seen.append((time.monotonic() - at) * 1000)
        await asyncio.sleep(0.03)
    figure(f"{name}: change -> next call goes the new way", spread(took))
    figure(f"{name}: change -> portal knows it is in force", spread(seen))
    return max(took)

async def under_traffic(w, certs, rate, changes, every, name):
    """rate/2 calls/s out by sipp, rate/2 in by TLS, all of kept domains, while other routes come, go and move."""
    seconds = changes * every + 2; n = int(rate / 2 * seconds)
    (w.dir / "domains.csv").write_text("SEQUENTIAL\n" + "".join(d + ";\n" for d in KEPT))
    p = await asyncio.create_subprocess_exec("sipp", "127.0.0.2:5060", "-sf", os.path.join(os.path.dirname(os.path.abspath(__file__)), "out.xml"), "-inf", "domains.csv",
        "-i", "127.0.0.6", "-p", "5080", "-r", str(rate // 2), "-m", str(n), "-nostdin", "-timeout", f"{seconds + 30:.0f}s", "-trace_stat", "-fd", "1s", "-stf", "sipp.csv",
        cwd=w.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peers = {e: await sip.Client().connect(certs, c, source=s) for e, c, s in (("edge.contoso.com", "contoso", "127.0.0.11"), ("edge.fabrikam.com", "fabrikam", "127.0.0.12"))}
    results = []
    async def one(i):
        d = f"kept{i % 20}.example"
        try: results.append(await sip.call(peers[KEPT[d]], "sip:bob@home.example", f"ann@{d}", hold=1))
        except Exception as e: results.append([repr(e), None, None, None, 9])
    async def inbound():
        tasks, t0 = [], time.monotonic()
        for i in range(n):
            await asyncio.sleep(max(0, t0 + i / (rate / 2) - time.monotonic())); tasks.append(asyncio.create_task(one(i)))
        await asyncio.gather(*tasks)
    async def changing():
        t0, late = time.monotonic(), []
        for i in range(changes):
            await asyncio.sleep(max(0, t0 + i * every - time.monotonic()))
            at = (await turn({f"new{i}.example": "edge.contoso.com", "contoso.com": ("edge.fabrikam.com", "edge.contoso.com")[i % 2], "kept0.example": KEPT["kept0.example"]}, [f"new{i-5}.example"]))["at"]
        await loaded(60)
    before = w.logs["agent"].read_text().count("loaded ")
    await asyncio.gather(inbound(), changing()); await p.wait()
    rows = [l.split(";") for l in (w.dir / "sipp.csv").read_text().splitlines()]
    last = dict(zip(rows[0], rows[-1])); (w.dir / "sipp.csv").unlink()
    failed = [r for r in results if r[0] != "200 OK" or r[1] != "200 OK"]
    ok_out, bad_out = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
    check(f"{name}: {changes} changes, {rate} calls/s: no call of a kept domain failed", not failed and bad_out == 0 and ok_out == n and len(results) == n and p.returncode == 0,
          f"in {len(results) - len(failed)}/{n}, out {ok_out}/{n}" + (f", e.g. {failed[0]}" if failed else ""))
    figure(f"{name}: loads for {changes} changes", w.logs["agent"].read_text().count("loaded ") - before)
    figure(f"{name}: INVITE -> 200, inbound", spread([r[4] * 1000 for r in results]))
    figure(f"{name}: retransmissions seen by sipp", int(last["Retransmissions(C)"]))
    for q in peers.values(): q.close()

async def away(w, inside):
    print("# the portal is away")
    before = W.live()["version"]
    w.stop("portal", signal.SIGKILL)
    r = await sip.call(inside, "sip:ann@contoso.com", "alice@home.example"); check("portal killed: calls go on", r[:2] == ["200 OK", "200 OK"], r[:3])
    w.stop("kamailio"); took = w.kamailio(); figure("Kamailio restarted without a portal, ready after", f"{took:.2f} s")
    v = w.rpc("htable.get", "published", "version")["item"]["value"]; check("it loaded the last good set from its own file", v.endswith(f".{before}"), v)
    r = await sip.call(inside, "sip:ann@contoso.com", "alice@home.example"); check("and calls go on", r[:2] == ["200 OK", "200 OK"], r[:3])
    w.portal(); w.database.restore("only.example", "edge.contoso.com"); w.stop("portal"); w.portal()
    end = time.monotonic() + 40
    while "would become 1" not in w.logs["agent"].read_text() and time.monotonic() < end: await asyncio.sleep(0.1)
    r = await sip.call(inside, "sip:ann@contoso.com", "alice@home.example")
    check("a portal that comes back nearly empty (restored, new epoch): the set is refused, calls go on", r[:2] == ["200 OK", "200 OK"] and "would become 1" in w.logs["agent"].read_text(), r[:3])
    a = W.live(); check("and the portal does not count this gateway as live", a["live"] == 0, a)
    await turn(BASE | KEPT, ["only.example"]); took = await loaded(60); check("portal whole again: in force without a restart", took < 60, f"{took:.1f} s")

async def large(w, inside, certs):
    print("# 100,000 routes")
    figure("memory with 23 routes", ram(w))
    t = time.monotonic(); await turn(fill=100_000); await loaded(120); figure("from 23 to 100,023 routes: change -> in force", f"{time.monotonic()-t:.2f} s")
    figure("the agent's own words", [l for l in w.logs["agent"].read_text().splitlines() if l.startswith("loaded")][-1])
    figure("memory with 100,023 routes", ram(w)); figure("agent", f"{rss(w.procs['agent'].pid):.0f} MB")
    figure("size of the file", f"{(w.dir / 'routes.db').stat().st_size / 1e6:.1f} MB")
    took = []
    for _ in range(10): t = time.monotonic(); await asyncio.to_thread(w.rpc, "htable.reload", "routes"); took.append((time.monotonic() - t) * 1000)
    figure("htable.reload alone", spread(took)); figure("memory after 10 reloads", ram(w))
    await latency(inside, 10, "100,023 routes")
    await under_traffic(w, certs, 50, 40, 0.5, "100,023 routes")
    w.stop("kamailio"); took = w.kamailio(); figure("Kamailio's start with 100,023 routes, ready after", f"{took:.2f} s")
    r = await sip.call(inside, "sip:ann@contoso.com", "alice@home.example"); check("calls after that start", r[:2] == ["200 OK", "200 OK"], r[:3])

async def waiting(w, many):
    """So many gateways more, which wait for news all at once."""
    print(f"# {many} gateways wait")
    token = lambda n: f"{n:032}"    # 160 bits in base 32, of which SQL has the hash
    hashed = lambda n: hashlib.sha256(int(token(n), 32).to_bytes(20, "big")).hexdigest()
    rows = ",".join(f"('many{n}','\\x{hashed(n)}',pic_now())" for n in range(1, many + 1))
    w.database.ask(f"INSERT INTO gateway (name, token_hash, created_at) VALUES {rows};")
    version = w.database.ask("SELECT epoch || '.' || serial FROM publication ORDER BY serial DESC LIMIT 1;").strip()
    before, came = rss(w.procs["portal"].pid), []
    async def one(n):
        r, out = await asyncio.open_connection("127.0.0.1", PORTAL)
        out.write(f"GET /gateway/changes?since={version} HTTP/1.1\r\nHost: portal\r\nAuthorization: Bearer {token(n)}\r\nPrefer: wait=60\r\nConnection: close\r\n\r\n".encode())
        raw = await r.read(); came.append(time.monotonic()); out.close()
        return raw.split(b" ", 2)[1], b"waited.example" in raw
    asked = [asyncio.create_task(one(n)) for n in range(1, many + 1)]
    heard = lambda: int(w.database.ask("SELECT count(*) FROM gateway WHERE name LIKE 'many%' AND serial IS NOT NULL;"))
    while await asyncio.to_thread(heard) < many: await asyncio.sleep(0.05)
    figure(f"{many} gateways that wait: the portal's memory", f"+{rss(w.procs['portal'].pid) - before:.1f} MB")
    at = (await turn({"waited.example": "edge.contoso.com"}))["at"]
    answers = await asyncio.gather(*asked)
    check(f"a change reaches all {many}", answers == [(b"200", True)] * many, sorted(set(answers)))
    figure(f"a change -> all {many} have it", f"{max(came) - at:.2f} s")
    w.database.ask("DELETE FROM gateway WHERE name LIKE 'many%';"); await turn({}, ["waited.example"]); await loaded()

async def unguarded(w, inside, certs):
    print("# what plain Kamailio would do")
    w.stop("kamailio"); w.kamailio(preload=False); w.dns(DNS | {"edge.imp.example": "127.0.0.15"})
    imp = sip.Edge("127.0.0.15", "mallory", "impostor"); await imp.start(certs); await turn({"imp.example": "edge.imp.example"}); await loaded(60)
    a = (await inside.ask("INVITE", "sip:ann@imp.example"))[0][8:]; check("without hostcheck.so the impostor gets the call (so the check is needed)", a == "200 OK" and imp.seen, a)
    await imp.stop()

async def main():
    global W
    short, lacking = "--short" in sys.argv, missing()
    if lacking:
        print(f"not run, since this machine lacks: {', '.join(lacking)} (deploy/kamailio/README.md names the packages)")
        return 0 if short and not os.environ.get("CI") else 1
    W = w = World()
    try:
        w.dns(DNS); w.portal(); await turn(BASE | KEPT)
        figure("Kamailio's first start, empty tables, ready after", f"{w.kamailio():.2f} s"); w.agent()
        figure("agent started -> set in force", f"{await loaded():.2f} s"); certs = str(w.dir / "certs")
        a = W.live(); check("the portal says: live on 1 of 2", (a["live"], a["of"]) == (1, 2), {k: a[k] for k in ("version", "live", "of")})
        edges = {}
        for n, ip in (("contoso", "127.0.0.11"), ("contoso2", "127.0.0.13"), ("fabrikam", "127.0.0.12"), ("mallory", "127.0.0.14")):
            edges[n] = sip.Edge(ip, n, {"contoso2": "edge2.contoso.com", "mallory": "edge.mallory.example"}.get(n, f"edge.{n}.com")); await edges[n].start(certs)
        inside = await sip.Inside.open()
        await behaviour(w, inside, edges)
        print("# changes")
        worst = await latency(inside, 20 if short else 60, "23 routes")
        limit = 10 if short else 1
        check(f"a change is used within {limit} s", worst < limit * 1000, f"{worst:.0f} ms")
        await under_traffic(w, certs, 50, 40 if short else 200, 0.1, "23 routes")
        await away(w, inside)
        if not short:
            await large(w, inside, certs)
            await unguarded(w, inside, certs)
            await waiting(w, 1_000)
    finally:
        for n in "kamailio", "agent":
            if n in w.logs and BAD: print(f"--- {n}\n" + w.logs[n].read_text()[-3000:])
        w.close("--keep" in sys.argv)
        await asyncio.sleep(0.2)
    print(json.dumps({"failed": BAD, "figures": FIGURES}, indent=1))
    return 1 if BAD else 0

if __name__ == "__main__": sys.exit(asyncio.run(main()))
