"""Stands in for Kamailio's JSON-RPC socket: the tables of its memory, loaded from the agent's file.

    kamailio.py RPC DB STATE      writes its tables to STATE after every change, as JSON
"""
import json, os, socket, sqlite3, sys

rpc, file, state = sys.argv[1:]
tables = {}

def load(table):
    db = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try: tables[table] = dict(db.execute(f"select key_name, key_value from {table}"))
    finally: db.close()

def answer(method, params):
    table = params[0]
    if method == "htable.reload": load(table)
    elif method == "htable.sets": tables[table][params[1]] = params[2]
    elif method == "htable.delete": del tables[table][params[1]]
    elif method == "htable.get": return {"item": {"name": params[1], "value": tables[table][params[1]]}}
    else: raise KeyError(method)

for table in "routes", "published": load(table)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(rpc)
while True:
    raw, back = s.recvfrom(65000)
    asked = json.loads(raw)
    try: said = {"result": answer(asked["method"], asked["params"])}
    except KeyError: said = {"error": {"code": 500, "message": "not there"}}
    with open(state + ".new", "w") as out: json.dump(tables, out)
    os.replace(state + ".new", state)
    s.sendto(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}).encode(), back)
