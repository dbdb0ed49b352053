"""A server of the Model Context Protocol that does its part badly, as its first argument says.

What it gets is written to the file that its second argument names, a line per message.
"""
import json
import os
import signal
import subprocess
import sys
import time

mode, notes = sys.argv[1], open(sys.argv[2], "a", buffering=1)
changed = False
second_life = os.path.getsize(sys.argv[2]) > 0


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def raw(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(request, text, **more):
    content = [{"type": "text", "text": text}]
    send({"id": request["id"], "result": {"content": content, **more}})


def tools(request):
    names = ["work", "second"] if changed else ["work"]
    result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}
    if mode == "endless-list":
        result["nextCursor"] = "again"
    send({"id": request["id"], "result": result})


def call(request):
    global changed
    if mode == "endless-line":
        while True:
            raw("x" * 65536)
    elif mode == "not-json":
        raw('{"jsonrpc": "2.0", "id": %d, "result": {]}\n' % request["id"])
    elif mode == "no-result":
        raw('{"jsonrpc": "2.0", "id": %d}\n' % request["id"])
    elif mode == "other-result":
        send({"id": request["id"], "result": {"content": [{"type": "text"}]}})
    elif mode == "deep":
        raw('{"jsonrpc": "2.0", "id": %d, "result": ' % request["id"] + "[" * 5000 + "]" * 5000 + "}\n")
    elif mode == "wrong-id":
        answer({"id": request["id"] + 1000}, "for somebody else")
    elif mode == "noise":
        for line in range(400):
            raw("line %d of a log\n" % line)
        answer(request, "too late")
    elif mode == "some-noise":
        raw("a line of a log\n\n[1]\n")
        answer(request, "done")
    elif mode == "asks":
        for id in range(10_000):
            send({"id": id, "method": "ping"})
        time.sleep(600)
    elif mode == "dies":
        sys.stderr.write("\033[31mout of luck\033[0m\npassword=hunter2hunter2\n")
        sys.stderr.flush()
        os._exit(3)
    elif mode == "closes":
        os.close(1)
        time.sleep(600)
    elif mode == "big":
        answer(request, "ü" * 200_000, structuredContent={"x": "y" * 1_500_000})
    elif mode == "changes":
        changed = True
        send({"method": "notifications/tools/list_changed"})
        answer(request, "changed")
    elif mode == "progress":
        token = request["params"]["_meta"]["progressToken"]
        for step in (1, 2):
            progress = {"progressToken": token, "progress": step, "total": 2, "message": "going"}
            send({"method": "notifications/progress", "params": progress})
        time.sleep(0.1)
        answer(request, "arrived")
    elif mode == "fails":
        answer(request, "no\033[31m way", isError=True)
    elif mode == "refuses":
        error = {"code": -32602, "message": "x is missing"}
        send({"id": request["id"], "error": error})
    elif mode == "silent":
        pass
    elif mode == "stuck" and not second_life:
        time.sleep(600)
    else:
        answer(request, "done")


if mode == "no-handshake":
    time.sleep(600)
if mode == "babbles":
    while True:
        raw("x" * 65536)
if mode == "gone":
    sys.stderr.write("no such thing\n")
    sys.exit(7)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    notes.write("child %d\n" % child.pid)

for line in sys.stdin:
    message = json.loads(line)
    notes.write(line)
    method = message.get("method")
    if method == "initialize":
        if mode == "modern":
            error = {"code": -32601, "message": "Method not found"}
            send({"id": message["id"], "error": error})
            continue
        send({
            "id": message["id"],
            "result": {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "hostile", "version": "1"},
            },
        })
    elif method == "server/discover":
        send({
            "id": message["id"],
            "result": {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "ttlMs": 0,
                "cacheScope": "private",
            },
        })
    elif method == "ping":
        send({"id": message["id"], "result": {}})
    elif method == "tools/list":
        tools(message)
    elif method == "tools/call":
        call(message)

notes.write("end of input\n")
if mode == "stubborn":
    while True:
        time.sleep(600)
