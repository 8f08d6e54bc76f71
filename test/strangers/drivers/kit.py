"""What the drivers in Python share: the loop over cases, and how results are written (see ../session.ts and ../table.ts)."""

import json
import sys
import time
import traceback

PATIENCE = 120.0  # for what never comes, not for what is slow
T0 = 1_700_000_000_000
RECORDS = [
    (b"k0", b"v0", [("h", b"1"), ("h", b"2")]),
    (None, b"no key", []),
    (b"k2", None, []),
    (b"k3", b"", [("empty", b"")]),
    (b"big", b"x" * 20_000, []),
]


def text(data):
    """Bytes as the table writes them."""
    if data is None:
        return None
    value = data.decode() if isinstance(data, (bytes, bytearray)) else data
    return f"{value[0]}*{len(value)}" if len(value) > 100 and len(set(value)) == 1 else value


def wait_until(what, done, pause=0.05):
    """Calls `done` until it gives something true, which it returns."""
    end = time.monotonic() + PATIENCE
    while True:
        value = done()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"never: {what}")
        time.sleep(pause)


def answer(found):
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def failure():
    return {"error": traceback.format_exc()}


def case_of(cases, request):
    """The function of a case, and its argument: `codec-zstd` is `codec("zstd")`."""
    name = request["case"]
    if name.startswith("codec-"):
        return lambda topic: cases["codec"](topic, name.removeprefix("codec-"))
    return cases[name]


def serve(cases):
    """Answers each line of standard input."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer({"result": case_of(cases, request)(request["name"])})
        except Exception:  # the runner is told, and the next case may be well
            answer(failure())
