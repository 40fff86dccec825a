#!/usr/bin/env python3
"""Keeps a Kamailio's routes equal to what the portal publishes. Python's standard library only.

    agent.py PORTAL TOKEN-FILE DB RPC     origin of the portal, SQLite file of the tables, Kamailio's JSON-RPC socket
    agent.py --init DB                    makes an empty file, for the first start of Kamailio

One long poll after the other. It asks from the version that Kamailio itself says it has loaded, so each poll is also the
receipt for the last load: nothing else has to be reported, and nothing can be reported that is not so.
Differences are written to the file and to Kamailio's tables one by one, what is set before what is gone, and the version
last. The whole set is checked, written to a new file and renamed over the old one; where it differs little from that, the
differences alone go to Kamailio, else it loads the file by htable.reload. On any fault the routes in force stay, and the
next poll begins again.
"""
import base64, contextlib, datetime, hashlib, http.client, json, os, random, re, socket, sqlite3, sys, time, urllib.parse

NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
WAIT = 25        # seconds of a long poll
TOO_FEW = 0.5    # a whole set that lost more than half is not believed, unless the environment has AGENT_SHRINK=1
FEW = 10000      # differences up to which a whole set is not loaded anew: htable.reload takes a second for 100,000 routes
PAUSE = 1        # seconds between two polls that were answered at once with nothing new: `Prefer: wait` was ignored

class Refused(Exception):
    """What came is not believed, or Kamailio did not take it."""

class Kamailio:
    """The tables in Kamailio's memory."""
    def __init__(self, socket_path): self.path = socket_path
    def call(self, method, *params):
        here = f"{self.path}.{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            if os.path.exists(here): os.unlink(here)
            s.bind(here)
            try:
                s.settimeout(60)
                s.sendto(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode(), self.path)
                answer = json.loads(s.recv(65000))
            finally: os.unlink(here)
        if "error" in answer: raise Refused(f"{method}: {answer['error'].get('message')}")
        return answer.get("result")
    def version(self):
        """The version that is loaded; empty for none."""
        try: return self.call("htable.get", "published", "version")["item"]["value"]
        except Refused: return ""
    def change(self, routes, gone, version):
        for domain, edge in routes: self.call("htable.sets", "routes", domain, edge)
        for domain in gone:
            try: self.call("htable.delete", "routes", domain)
            except Refused: pass    # it was not there
        self.call("htable.sets", "published", "version", version)
    def reload(self):
        self.call("htable.reload", "routes")
        self.call("htable.reload", "published")    # last: the version is never ahead of the routes

class File:
    """The tables as Kamailio loads them at its start."""
    def __init__(self, path): self.path = path
    def open(self): return sqlite3.connect(f"file:{urllib.parse.quote(self.path)}?mode=rw", uri=True, isolation_level=None)
    def read(self):
        """How many routes there are, their version, and until when they are good."""
        try:
            with contextlib.closing(self.open()) as db:
                said = dict(db.execute("select key_name, key_value from published"))
                return db.execute("select count(*) from routes").fetchone()[0], said.get("version", ""), said.get("expires", "")
        except sqlite3.Error: return 0, "", ""
    def routes(self):
        try:
            with contextlib.closing(self.open()) as db: return dict(db.execute("select key_name, key_value from routes"))
        except sqlite3.Error: return {}
    def write(self, routes, version, expires):
        new = self.path + ".new"
        if os.path.exists(new): os.unlink(new)
        db = sqlite3.connect(new)
        for table in "routes", "published":
            db.execute(f"create table {table}(key_name text primary key, key_type int, value_type int, key_value text) without rowid")
        db.executemany("insert into routes values(?,0,0,?)", routes)
        db.executemany("insert into published values(?,0,0,?)", [("version", version), ("expires", expires)])
        db.commit(); db.close()
        if os.path.exists(self.path): os.replace(self.path, self.path + ".old")
        os.replace(new, self.path)
    def take_back(self):
        """A restart must never meet a file that would not load."""
        os.replace(self.path + ".old", self.path)
    def change(self, routes, gone, version, expires, count):
        with contextlib.closing(self.open()) as db:    # undoes what was not committed
            db.execute("begin immediate")
            db.executemany("insert or replace into routes values(?,0,0,?)", routes)
            db.executemany("delete from routes where key_name = ?", [(domain,) for domain in gone])
            db.executemany("insert or replace into published values(?,0,0,?)", [("version", version), ("expires", expires)])
            has = db.execute("select count(*) from routes").fetchone()[0]
            if count is not None and has != count: raise Refused(f"{has} routes after the differences, {count} are right")
            db.execute("commit")

def pairs(routes):
    """Domain and edge of each route; each domain once, and nothing but names."""
    rows = [(route["sip_domain"], route["access_edge"]) for route in routes]
    if len({domain for domain, _ in rows}) != len(rows): raise Refused("a domain twice")
    for name in (name for row in rows for name in row):
        if not NAME.fullmatch(name): raise Refused(f"not a lower-case FQDN: {name!r:.100}")
    return rows

def order(version, expires):
    """By this a later publication is told from an earlier one, whatever happened to the portal's serials."""
    return expires, int(version.partition(".")[2] or 0)

def believed(raw, digest, had, now):
    """What the portal said, if it came whole and is not older than what there is: (version, expires)."""
    if digest != "sha-256=:" + base64.b64encode(hashlib.sha256(raw).digest()).decode() + ":": raise Refused("the digest differs")
    said = json.loads(raw)
    if order(said["version"], said["expires"]) < order(*had): raise Refused(f"{said['version']} is older than what is in force, {had[0]}")
    if said["expires"] < now: raise Refused(f"good until {said['expires']}")
    return said

def whole(said, had):
    """All routes, none missing."""
    rows = pairs(said["routes"])
    if len(rows) != said["count"]: raise Refused(f"{len(rows)} routes came of {said['count']}")
    if len(rows) < had * TOO_FEW and not os.environ.get("AGENT_SHRINK"): raise Refused(f"{had} routes would become {len(rows)}")
    return rows

def differences(said, has):
    """What is set and what is gone since `has`."""
    if said["from"] != has: raise Refused(f"differences from {said['from']}, not {has}")
    gone = said["gone"]
    for name in gone:
        if not NAME.fullmatch(name): raise Refused(f"not a lower-case FQDN: {name!r:.100}")
    return pairs(said["set"]), gone

class Agent:
    def __init__(self, portal, token, file, kamailio):
        self.at, self.token, self.file, self.kamailio = urllib.parse.urlsplit(portal), token, file, kamailio
        self.link, self.take_whole = None, False
    def get(self, path, **headers):
        if not self.link:
            make = http.client.HTTPSConnection if self.at.scheme == "https" else http.client.HTTPConnection
            self.link = make(self.at.netloc, timeout=WAIT + 10)
        self.link.request("GET", self.at.path.rstrip("/") + path, headers={"Authorization": "Bearer " + self.token, "Prefer": f"wait={WAIT}", **headers})
        answer = self.link.getresponse()
        return answer, answer.read()
    def turn(self):
        """One poll. True: something came."""
        has, now = self.kamailio.version(), datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        had, written, until = self.file.read()
        if until and until < now: log(f"the routes in force were good until {until}: they stay, and nothing newer has come")
        if written and has != written and not self.take_whole:
            # One of the two has been changed alone, by a fault or by hand: the file is right.
            self.take_whole = True
            self.kamailio.reload()
            self.take_whole = self.kamailio.version() != written
            return True
        if has and not self.take_whole:
            answer, raw = self.get("/gateway/changes?since=" + urllib.parse.quote(has))
            if answer.status == 410: self.take_whole = True; return True
            self.expect(answer)
            said = believed(raw, answer.getheader("Repr-Digest"), (written, until), now)
            try:
                routes, gone = differences(said, has)
                if said["version"] == has: return False
                self.file.change(routes, gone, said["version"], said["expires"], said["count"])
            except Refused: self.take_whole = True; raise
            self.kamailio.change(routes, gone, said["version"])
            log(f"loaded {said['version']} set={len(routes)} gone={len(gone)}")
            return True
        answer, raw = self.get("/gateway/routes")
        self.expect(answer)
        said = believed(raw, answer.getheader("Repr-Digest"), (written, until), now)
        routes = whole(said, had)
        before, after = self.file.routes(), dict(routes)
        put, gone = after.items() - before.items(), before.keys() - after.keys()
        self.file.write(routes, said["version"], said["expires"])
        if has and has == written and len(put) + len(gone) <= FEW:
            self.take_whole = False    # should this break off: the file is right, and is loaded next
            self.kamailio.change(put, gone, said["version"])
            log(f"loaded {said['version']} routes={len(routes)} set={len(put)} gone={len(gone)}")
            return True
        try:
            self.kamailio.reload()
            if self.kamailio.version() != said["version"]: raise Refused(f"{said['version']} is not in force after its load")
        except BaseException: self.file.take_back(); raise
        self.take_whole = False
        log(f"loaded {said['version']} routes={len(routes)}")
        return True
    def expect(self, answer):
        if answer.status != 200: raise Refused(f"the portal answered {answer.status}")
    def run(self):
        pause = 0
        while True:
            began = time.monotonic()
            try:
                if not self.turn() and time.monotonic() - began < PAUSE: time.sleep(PAUSE)
                pause = 0
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError, sqlite3.Error, Refused) as fault:
                log(f"kept what is in force: {type(fault).__name__}: {fault}")
                if self.link: self.link.close()
                self.link, pause = None, min(max(pause * 2, 0.25), 30)
                time.sleep(pause * random.uniform(0.5, 1))

def log(line): print(line, file=sys.stderr, flush=True)

def main(arguments):
    if arguments[:1] == ["--init"]:
        file = File(arguments[1])
        if not os.path.exists(file.path): file.write([], "", "")
        return
    portal, token_file, db, control = arguments
    with open(token_file) as token: agent = Agent(portal, token.read().strip(), File(db), Kamailio(control))
    agent.run()

if __name__ == "__main__": main(sys.argv[1:])
