"""Restarts two portals behind a proxy under load, one after the other, and counts what fails.

    sudo python3 rolling.py haproxy|nginx [RESTARTS] [--plain] [--keep]       6 restarts by default

deploy/haproxy.cfg or deploy/nginx.conf as it stands, with other addresses, and PIC_DRAIN as it says. `--plain`: without
what those files say about trying again. Clients speak HTTP/1.1 over TLS and never send anything twice; some of them
open a connection for each request. Needs Debian's postgresql, openssl, haproxy, nginx-light. PIC_PORTAL names another
program. Exit code 1 if a request failed.
"""
import asyncio, collections, itertools, os, re, ssl, subprocess, sys, time, urllib.request, uuid
from load import Http, form
from world import World, run

HOST, CLIENTS, DRAIN = "federation.contoso.com", 24, "5s"
# What makes a proxy try again; without it, it is a plain one.
AGAIN = {"haproxy": ("option http-buffer-request", "option redispatch 1", "retries 3", "retry-on conn-failure empty-response 503"),
         "nginx": (" max_fails=0", "proxy_next_upstream error timeout http_502 http_503 non_idempotent;", "proxy_next_upstream_tries 3;")}

class Rolling:
    def __init__(self, way, restarts):
        self.way, self.restarts, self.over = way, restarts, False
        self.world, self.done, self.failed = World(["setpriv", "openssl", way]), collections.Counter(), collections.Counter()
        self.metrics = {name: next(self.world.spare) for name in self.world.http}

    def front(self):
        w, (a, b) = self.world, self.world.http.values()
        self.http, self.https = next(w.spare), next(w.spare)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
                        "-keyout", w.dir / f"{HOST}.key", "-out", w.dir / "cert.pem"], check=True, capture_output=True)
        (w.dir / f"{HOST}.pem").write_text((w.dir / "cert.pem").read_text() + (w.dir / f"{HOST}.key").read_text())
        there = {"10.0.0.1:8080": f"127.0.0.1:{a}", "10.0.0.2:8080": f"127.0.0.1:{b}", f"/etc/{self.way}/": f"{w.dir}/"}
        there |= {part: "" for part in AGAIN[self.way] if "--plain" in sys.argv}
        if self.way == "haproxy":
            file = w.deployed("haproxy.cfg", {"maxconn 20000": "maxconn 2000", "bind :80\n": f"bind 127.0.0.1:{self.http}\n", "bind :443 ": f"bind 127.0.0.1:{self.https} "} | there)
            w.start("haproxy", ["haproxy", "-db", "-f", file])
        else:
            file = w.deployed("nginx.conf", {"listen 80;": f"listen 127.0.0.1:{self.http};", "listen 443 ": f"listen 127.0.0.1:{self.https} "} | there)
            (w.dir / "main.conf").write_text(f"daemon off; pid {w.dir}/nginx.pid; error_log {w.dir}/nginx.log warn; events {{ worker_connections 2000; }}\n"
                + "http { access_log off; " + "".join(f"{t}_temp_path {w.dir}/{t}; " for t in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) + f"include {file}; }}\n")
            w.start("nginx", ["nginx", "-c", w.dir / "main.conf", "-e", w.dir / "nginx.log"])
        self.tls = ssl.create_default_context(cafile=w.dir / "cert.pem")

    async def client(self, i):
        """Each third request is a form; each third client opens a connection each time."""
        http = Http(self.https, self.tls, HOST)
        for n in itertools.count():
            if self.over: return http.close()
            ask = ("POST", "/requests/new", form(str(uuid.uuid4()), f"c{i}-{n}.example")) if n % 3 == 0 else ("GET", "/")
            try: status, _ = await http.ask(*ask)
            except OSError as e: status = type(e.__cause__ or e).__name__
            self.done[ask[0]] += 1
            if status != (303 if ask[0] == "POST" else 200):
                self.failed[ask[0]] += 1
                print(f"      {time.strftime('%H:%M:%S')} {ask[0]} {ask[1]}: {status}", flush=True)
            if i % 3 == 0: http.close()

    def served(self, name):
        """How many requests one portal has answered since its start, those of the load alone."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics[name]}/metrics", timeout=5).read().decode()
        return sum(float(n) for n in re.findall(r'^pic_http_requests_total\{.*path="/(?:requests/new)?".*\} (\S+)$', text, re.M))

    async def go(self):
        w = self.world
        url = await asyncio.to_thread(w.server)
        settings = {"PIC_PUBLIC_URL": f"https://{HOST}", "PIC_TRUSTED_PROXIES": "127.0.0.1", "PIC_DRAIN": DRAIN}
        def begin(name): w.portal(name, url, PIC_METRICS_LISTEN=f"127.0.0.1:{self.metrics[name]}", **settings); w.ready(name)
        for name in w.http: await asyncio.to_thread(begin, name)
        self.front()
        async def answers():
            while True:
                try:
                    if (await Http(self.https, self.tls, HOST).ask("GET", "/"))[0] == 200: return
                except OSError: pass
                await asyncio.sleep(0.1)
        await asyncio.wait_for(answers(), 20)
        async def shared(name): await asyncio.to_thread(w.wait, lambda: self.served(name) > 300, f"portal-{name}")
        loading = [asyncio.create_task(self.client(i)) for i in range(CLIENTS)]
        began = time.monotonic()
        for name in w.http: await shared(name)
        for i in range(self.restarts):
            name = list(w.http)[i % 2]
            at = time.monotonic()
            await asyncio.to_thread(w.stop, f"portal-{name}", limit=40)
            stopped = time.monotonic()
            await asyncio.to_thread(begin, name)
            await shared(name)
            print(f"{i + 1:>3} portal {name}: stopped in {stopped - at:.1f} s, takes its share again {time.monotonic() - stopped:.1f} s later; "
                  f"{sum(self.done.values())} answered, {sum(self.failed.values())} failed, load {os.getloadavg()[0]:.1f}", flush=True)
        self.over = True
        await asyncio.gather(*loading)
        print(f"{self.way}{' (plain)' if '--plain' in sys.argv else ''}, {self.restarts} restarts in {time.monotonic() - began:.0f} s: "
              + ", ".join(f"{self.failed[m]} of {n} {m} failed" for m, n in self.done.items()))

def main():
    way = sys.argv[1] if len(sys.argv) > 1 else ""
    if way not in AGAIN: raise SystemExit(__doc__)
    rolling = Rolling(way, int(next((a for a in sys.argv[2:] if a.isdigit()), 6)))
    run(rolling.world, rolling.go())
    return 1 if rolling.failed else 0

if __name__ == "__main__": sys.exit(main())
