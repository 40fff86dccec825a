"""Submits all the time, and logs what was acknowledged; speaks HTTP/1.1 and PostgreSQL's protocol, for want of a library."""
import asyncio, bisect, collections, itertools, re, struct, time, urllib.parse, uuid

class Http:
    """One connection at a time to one door, opened again where it was lost."""
    def __init__(self, port, tls=None, host=None): self.port, self.tls, self.host, self.to = port, tls, host, None

    async def ask(self, method, path, fields=None):
        """-> status, fields of the head. OSError where there is no whole answer."""
        try: return await asyncio.wait_for(self.once(method, path, fields), 20)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError) as e: self.close(); raise OSError(repr(e)) from e
        except BaseException: self.close(); raise

    async def once(self, method, path, fields):
        if not self.to: self.of, self.to = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname=self.host if self.tls else None)
        body = urllib.parse.urlencode(fields or {}).encode()
        self.to.write(f"{method} {path} HTTP/1.1\r\nHost: {self.host or f'127.0.0.1:{self.port}'}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self.of.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        head, status = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}, int(head[0].split()[1])
        if "chunked" in head.get("transfer-encoding", ""):
            while n := int(await self.of.readuntil(b"\r\n"), 16): await self.of.readexactly(n + 2)
            await self.of.readexactly(2)
        else: await self.of.readexactly(int(head.get("content-length", 0)))
        if head.get("connection", "").lower() == "close": self.close()
        return status, head

    def close(self):
        if self.to: self.to.close(); self.to = None

def form(submission, domain):
    return {"programme": "volume_licensing", "number": "1234567", "edge": f"sip.{domain}", "domains": domain, "deployment": "on_premises", "terms": "on",
            "submission_id": submission, "action": "submit"}

class Load:
    """Each submission asks for a domain of its own. One that was not acknowledged is sent again, as a browser would."""
    def __init__(self, log, doors, clients, rate):
        self.log, self.doors, self.clients, self.rate, self.over = open(log, "w"), doors, clients, rate, False
        self.numbers, self.acked, self.twice, self.told = itertools.count(), {}, [], collections.Counter()
        self.times = {name: [] for name in doors}

    async def run(self): await asyncio.gather(*(self.client(i) for i in range(self.clients)))

    async def client(self, i):
        name = list(self.doors)[i % len(self.doors)]
        http, at = Http(self.doors[name]), time.monotonic() + i / self.rate
        while not self.over:
            await asyncio.sleep(max(0, at - time.monotonic()))
            at = max(at + self.clients / self.rate, time.monotonic() - 0.5)
            submission, domain = str(uuid.uuid4()), f"d{next(self.numbers)}.example"
            while not await self.submit(http, name, submission, domain): await asyncio.sleep(0.05)
        http.close()

    async def submit(self, http, name, submission, domain):
        try: status, head = await http.ask("POST", "/requests/new", form(submission, domain))
        except OSError: self.told["cut off"] += 1; return False
        if status != 303: self.told[status] += 1; return False
        self.times[name].append(time.monotonic())
        self.acked[domain] = re.search(r"PIC(-[0-9A-Z]{4}){4}", head["location"])[0]
        print(f"{time.time():.3f} {name} {submission} {domain} {self.acked[domain]}", file=self.log)
        return True

    def first(self, name, after):
        """When a door first acknowledged something after that moment."""
        at = bisect.bisect_right(self.times[name], after)
        return self.times[name][at] if at < len(self.times[name]) else None

    def last(self, before):
        """When any door last did before that moment."""
        return max((t[at - 1] for t in self.times.values() if (at := bisect.bisect_left(t, before))), default=None)

class Refused(Exception): pass

class Postgres:
    """A connection without a password."""
    async def open(self, port, database, user="postgres"):
        self.of, self.to = await asyncio.open_connection("127.0.0.1", port)
        said = f"user\0{user}\0database\0{database}\0\0".encode()
        self.to.write(struct.pack("!II", len(said) + 8, 196608) + said)
        await self.answer()
        return self

    async def ask(self, sql):
        said = sql.encode() + b"\0"
        self.to.write(b"Q" + struct.pack("!I", len(said) + 4) + said)
        return await self.answer()

    async def answer(self):
        rows, refused = [], None
        while True:
            kind, n = struct.unpack("!cI", await self.of.readexactly(5))
            body = await self.of.readexactly(n - 4)
            if kind == b"D":
                row, at = [], 2
                for _ in range(struct.unpack("!H", body[:2])[0]):
                    n = struct.unpack("!i", body[at:at + 4])[0]; at += 4
                    row.append(None if n < 0 else body[at:at + n].decode()); at += max(n, 0)
                rows.append(row)
            elif kind == b"E": refused = {chr(f[0]): f[1:].decode() for f in body.split(b"\0") if f}
            if kind == b"Z" or refused and refused["V"] in ("FATAL", "PANIC"):
                if refused: raise Refused(refused["C"], refused["M"])
                return rows

    def close(self): self.to.close()

class Watcher:
    """Writes to one node, every few milliseconds while `keen`, whatever the others do: tells when it takes writes."""
    def __init__(self, port): self.port, self.keen, self.wrote, self.opened = port, False, 0.0, 0.0

    async def run(self):
        while True:
            door = Postgres()
            try:
                await asyncio.wait_for(door.open(self.port, "postgres"), 1)
                opened = time.monotonic()
                while True:
                    try:
                        await asyncio.wait_for(door.ask("INSERT INTO beat DEFAULT VALUES"), 2)
                        self.wrote, self.opened = time.monotonic(), opened
                    except Refused as e:
                        if e.args[0] != "25006": raise
                    await asyncio.sleep(0.005 if self.keen else 0.2)
            except (OSError, Refused, asyncio.TimeoutError, asyncio.IncompleteReadError): pass
            finally:
                if hasattr(door, "to"): door.close()
            await asyncio.sleep(0.005 if self.keen else 0.2)
