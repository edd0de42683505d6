"""By default nobody talks to a network: not the process that holds a store, and not its index process.

Two witnesses. Python itself says whenever a socket is made or used (an audit hook in both processes, through
`sitecustomize`); Linux says which sockets a process holds, also those that no Python code made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads Linux's /proc")

HOOK = """
import json, os, sys

def heard(event, arguments):
    if event.startswith("socket."):
        shown = [int(a) if isinstance(a, int) else repr(a) for a in arguments[1:]]
        line = json.dumps([os.getpid(), event, *shown]) + "\\n"
        file = os.open(os.environ["HEARD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)

sys.addaudithook(heard)
heard("socket.hook", ())
"""

OWNER = """
import json, os, sys
from contextlib import suppress
from pathlib import Path
import anyio
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.node import ContextNode

def internet(pid):
    held = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # the one that lists them
            held.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    lines = [line.split() for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
             for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]]
    return len(held & {f"socket:[{line[9]}]" for line in lines})

async def main():
    store = ChromaStore(sys.argv[1])
    await store.put([ContextNode(id=f"n{n}", domain="d", text="a hotel", access=n % 2) for n in range(9)])
    assert await store.settled(100), store.index.reason
    answer = await store.query("hotel", access=1)
    assert len(answer) == 9 and not answer.degraded
    child = store.index.child.pid
    print(json.dumps([(pid, internet(pid)) for pid in (os.getpid(), child)]))
    await store.aclose()

anyio.run(main)
"""


def test_neither_the_owner_nor_the_index_process_opens_a_socket(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    heard = tmp_path / "heard"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", OWNER, str(tmp_path / "store")],
        env=os.environ | {"PYTHONPATH": path, "HEARD": str(heard)},
        check=False, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (owner, owners), (child, childs) = json.loads(done.stdout)
    events = [json.loads(line) for line in heard.read_text().splitlines()]
    assert {pid for pid, event, *_ in events if event == "socket.hook"} == {owner, child}, "both are heard"
    assert (owners, childs) == (0, 0)
    used = [event for event in events if event[1] != "socket.hook"]
    # The event loop wakes itself through a pair of Unix sockets: it has no address, and nobody else has it.
    assert [event for event in used if event[:3] != [owner, "socket.__new__", 1]] == []
