"""What the agent believes and what it refuses: python3 -m unittest test_agent"""
import base64, hashlib, json, os, tempfile, unittest
import agent
from agent import File, Refused, believed, differences, whole

NOW, GOOD = "2026-12-01T12:00:00Z", "2026-12-08T12:00:00Z"
ROUTES = [{"sip_domain": "a.example", "access_edge": "sip.a.example"}, {"sip_domain": "b.example", "access_edge": "sip.b.example"}]

def written(**changed):
    raw = json.dumps({"version": "00.7", "expires": GOOD, "count": 2, "routes": ROUTES, **changed}).encode()
    return raw, "sha-256=:" + base64.b64encode(hashlib.sha256(raw).digest()).decode() + ":"

class Agent(unittest.TestCase):
    def refused(self, what, *arguments):
        with self.assertRaises(Refused): what(*arguments)
    def test_what_came_whole_and_is_newer_is_believed(self):
        self.assertEqual(len(whole(believed(*written(), ("00.6", GOOD), NOW), 2)), 2)
        # After a restore serials begin earlier, and the time goes on.
        believed(*written(version="ff.1"), ("00.9", "2026-12-08T11:59:59Z"), NOW)
    def test_what_was_cut_short_or_changed_on_the_way_is_refused(self):
        raw, digest = written()
        self.refused(believed, raw[:-20], digest, ("", ""), NOW)
        self.refused(believed, raw.replace(b"sip.a.", b"sip.c."), digest, ("", ""), NOW)
        self.refused(believed, raw, None, ("", ""), NOW)
    def test_what_was_rolled_back_or_is_too_old_is_refused(self):
        self.refused(believed, *written(), ("00.8", GOOD), NOW)
        self.refused(believed, *written(version="00.9", expires="2026-12-08T11:59:59Z"), ("00.8", GOOD), NOW)
        self.refused(believed, *written(), ("", ""), "2026-12-08T12:00:01Z")
    def test_a_set_that_is_not_whole_is_refused(self):
        for changed in ({"count": 3}, {"routes": ROUTES + ROUTES, "count": 4}, {"routes": [{"sip_domain": "A.example", "access_edge": "b.example"}], "count": 1},
                        {"routes": [{"sip_domain": "a.example\n", "access_edge": "b.example"}], "count": 1}):
            self.refused(whole, believed(*written(**changed), ("", ""), NOW), 0)
        self.refused(whole, believed(*written(), ("", ""), NOW), 5)
    def test_differences_are_from_what_is_in_force(self):
        said = {"from": "00.6", "set": ROUTES, "gone": ["c.example"]}
        self.assertEqual(len(differences(said, "00.6")[0]), 2)
        self.refused(differences, said, "00.5")
        self.refused(differences, {**said, "gone": ["*.example"]}, "00.6")
    def test_a_file_that_would_not_fit_stays_as_it_was(self):
        with tempfile.TemporaryDirectory() as folder:
            file = File(os.path.join(folder, "routes.db"))
            self.assertEqual(file.read(), (0, "", ""))
            file.write([("a.example", "sip.a.example")], "00.1", GOOD)
            file.change([("b.example", "sip.b.example")], [], "00.2", GOOD, 2)
            self.assertEqual(file.read(), (2, "00.2", GOOD))
            self.refused(file.change, [("c.example", "sip.c.example")], ["a.example"], "00.3", GOOD, 5)
            self.assertEqual(file.read(), (2, "00.2", GOOD))
            file.write([], "00.4", GOOD); file.take_back()
            self.assertEqual(file.read(), (2, "00.2", GOOD))

    def test_a_whole_set_that_differs_little_is_not_loaded_anew(self):
        class Tables:
            """What Kamailio would have."""
            def __init__(self): self.has, self.rows, self.reloads = "", {}, 0
            def version(self): return self.has
            def change(self, routes, gone, version):
                self.rows.update(routes); self.has = version
                for domain in gone: del self.rows[domain]
            def reload(self):
                self.rows, self.has, self.reloads = file.routes(), file.read()[1], self.reloads + 1
        class Answer:
            def __init__(self, status, digest=None): self.status, self.digest = status, digest
            def getheader(self, _): return self.digest
        def whole_set(serial, names):
            raw, digest = written(version=f"00.{serial}", expires="2999-12-08T12:00:00Z", count=len(names),
                                  routes=[{"sip_domain": f"{name}.example", "access_edge": f"sip.{name}.example"} for name in names])
            return Answer(200, digest), raw
        with tempfile.TemporaryDirectory() as folder:
            file, tables = File(os.path.join(folder, "routes.db")), Tables()
            one = agent.Agent("http://portal", "token", file, tables)
            answers = [whole_set(1, "abc"), (Answer(410), b""), whole_set(2, "bcd")]
            one.get = lambda path, **_: answers.pop(0)
            self.assertTrue(one.turn())
            self.assertEqual((len(tables.rows), tables.has, tables.reloads), (3, "00.1", 1))
            one.turn(); one.turn()
            self.assertEqual((sorted(tables.rows), tables.has, tables.reloads), (["b.example", "c.example", "d.example"], "00.2", 1))
            self.assertEqual((file.routes(), file.read()[1]), (tables.rows, "00.2"))

if __name__ == "__main__": unittest.main()
