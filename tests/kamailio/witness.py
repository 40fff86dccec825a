"""The agent, which notes before each receipt what is really in Kamailio's tables: `receipts.log`, a line of JSON each."""
import hashlib, json, pathlib, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "kamailio"))
import agent

def table(kamailio):
    """The routes in Kamailio's memory."""
    slots = kamailio.call("htable.dump", "routes") or []
    return {item["name"]: item["value"] for slot in slots for item in slot["slot"]}

def digest(routes): return hashlib.sha256(json.dumps(sorted(routes.items())).encode()).hexdigest()

class Witness(agent.Agent):
    def get(self, path, **headers):
        version = self.kamailio.version()
        if "since=" in path:
            with open("receipts.log", "a") as out: print(json.dumps([time.monotonic(), version, digest(table(self.kamailio))]), file=out)
        return super().get(path, **headers)

if __name__ == "__main__":
    agent.Agent = Witness
    agent.main(sys.argv[1:])
