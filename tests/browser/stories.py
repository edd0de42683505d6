"""Notebooks that tests and measurements open: the sources of their cells."""

from __future__ import annotations

#: A bare anywidget beside an ipywidget: a click goes to Python, which counts, and comes back.
COUNTER = """
import anywidget, ipywidgets, traitlets

class Counter(anywidget.AnyWidget):
    _esm = '''export default { render({ model, el }) {
        const button = document.createElement("button");
        button.className = "counter";
        const show = () => { button.textContent = `count ${model.get("n")}`; };
        button.onclick = () => model.send({ by: 2 });
        model.on("change:n", show);
        show();
        el.append(button, document.createElement("canvas"));
    } };'''
    n = traitlets.Int(1).tag(sync=True)

    def __init__(self):
        super().__init__()
        self.on_msg(lambda _, content, buffers: setattr(self, "n", self.n + content["by"]))
        if hasattr(self.comm, "_reply_subshell_for"):  # as dyntaskmas_nb.ui does: answer while a cell runs
            self.comm._reply_subshell_for = lambda data, default: default

counter = Counter()
ipywidgets.VBox([ipywidgets.Label("beside"), counter])
"""

#: A journey, planned by three agents that take time by complexity; nothing ends before the kernel sets `go`.
TRAVEL = """
import time
from threading import Event
from dyntaskmas_nb import Kit

go = Event()
def work(task, context):
    go.wait(60)
    time.sleep(task.complexity / 20)
    return " + ".join([task.id, *context])

kit = Kit(agents={"general": work}, home=None)
plan = {"task": "Plan a 3-day trip to Kyoto", "subtasks": [
    {"id": "wishes", "description": "Gather the travellers' wishes", "complexity": 1},
    {"id": "flights", "description": "Find flights", "complexity": 3, "depends_on": ["wishes"]},
    {"id": "hotels", "description": "Find hotels", "complexity": 2, "depends_on": ["wishes"]},
    {"id": "sights", "description": "Choose sights", "complexity": 2, "depends_on": ["wishes"]},
    {"id": "budget", "description": "Add up the costs", "complexity": 1, "depends_on": ["flights", "hotels"]},
    {"id": "itinerary", "description": "Write it down", "complexity": 4, "depends_on": ["sights", "budget"]},
]}
run = kit.start(plan, agents=3, seconds_per_unit=0.05)
run
"""

#: What the table of a panel shall show of `run`, as the kernel knows it: task → state, priority, slack.
KNOWN = """
from dyntaskmas_nb.view.words import duration, number
def known(run):
    now, slack = run.snapshot(), run.slack() if run.status in ("running", "paused") else {}
    spare = {id: duration(round(seconds, 9) + 0.0) for id, seconds in slack.items()}
    return {id: [view.state.value, number(view.priority, 4), spare.get(id, "")]
            for id, view in now.tasks.items()}
"""

#: A cell that keeps the kernel busy for ten seconds.
BUSY = "import time; time.sleep(10)"


def layered(layers: int, width: int, seconds: float) -> str:
    """A run of `layers` × `width` tasks of some `seconds` each; a task waits for two of the layer before."""
    return f"""
import time
from dyntaskmas_nb import Kit
kit = Kit(agents={{"general": lambda task: time.sleep({seconds}) or task.id}}, home=None)
run = kit.start({{"subtasks": [
    {{"id": f"t{{layer}}.{{at}}",
      "depends_on": [f"t{{layer - 1}}.{{(at + by) % {width}}}" for by in (0, 1)] if layer else []}}
    for layer in range({layers}) for at in range({width})
]}})
run
"""


#: Names and texts of a run that wants to be markup, a prototype, or longer than a page.
HOSTILE = """
from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.settings import AgentSpec

MARKUP = "<img src=x onerror=window.hacked=1> href"
SCRIPT = "</script><script>window.hacked=1</script>"
TURNED = "\\u202egnp.exe\\u2066 \\u200f\\u2028\\x1b[31m"
LONG = (MARKUP + SCRIPT + TURNED + "🗾") * 100
NAMES = [MARKUP, SCRIPT, "__proto__", "constructor", "toString", "🗾 שלום", "\\"'><b>&amp;\\\\", "x" * 200]

def work(task, context):
    if task.id in ("constructor", "valueOf"):
        raise RuntimeError(LONG + "\\x00")
    return {MARKUP: SCRIPT, "__proto__": TURNED, "constructor": [LONG]} if task.id == MARKUP else LONG

kit = Kit(agents={MARKUP: work, "__proto__": work}, home=None)
agents = [AgentSpec(id=name, roles=(role,)) for name, role in [(SCRIPT, MARKUP), ("__proto__", "__proto__")]]
run = kit.start({"task": LONG[:9_000], "subtasks": [
    {"id": name, "description": [LONG[:10_000], SCRIPT][at % 2], "role": [MARKUP, "__proto__"][at % 2],
     "depends_on": NAMES[max(0, at - 2):at], "information": dict.fromkeys(NAMES[max(0, at - 2):at], 2),
     "critical": name != "constructor", "join": "any", "resources": [SCRIPT, MARKUP]}
    for at, name in enumerate(NAMES)] + [
    {"id": "last", "approval": True, "role": MARKUP, "depends_on": [NAMES[-1]], "description": MARKUP},
    {"id": "valueOf", "role": "__proto__", "description": SCRIPT}]},
    agents=agents)
run
"""

#: A run of which something is told `rate` times a second and more, for so many seconds, while its cell runs.
FLOOD = """
import time
from dyntaskmas_nb import Kit

async def work(task, context):
    return task.id

def flood(seconds, rate=4_000):
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        for id in ids:
            run.retry(id)
        while len(run._machine.log) > rate * (time.monotonic() - begin):
            time.sleep(0.001)
    return len(run._machine.log) / passed

kit = Kit(agents={"general": work}, home=None)
ids = [f"t{number}" for number in range(60)]
run = kit.start({"subtasks": [{"id": id} for id in ids] + [{"id": "end", "approval": True}]}, agents=8)
run
"""

#: What the browser tells the panel of `run`, from now on: the list `heard`.
HEARD = """
heard, live = [], run._panel.face.live
hear, live._hear = live._hear, lambda said: heard.append(said) or hear(said)
"""
