"""Robot task scheduling: robots are made ready, get their shares, paths and steps, run and are checked.

The rule of the plan, with what a wish takes out or adds:

survey -> {safety, charge, calibrate} -> allocation -> {paths, schedule, tools} -> execution -> inspection
-> handover -> report; a log follows the execution, beside the inspection. The allocation waits for the survey
and for what makes ready; without inspection the handover waits for the execution; the report waits for
inspection, log and handover, as far as they are there, else for the execution.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.teaching_llama import held_robots
from tools.teaching_llama.plan import Plan, Subtask
from tools.teaching_llama.surfaces import (
    NUMBER_WORDS,
    Source,
    ended,
    greeted,
    joined,
    phrases,
    roughened,
    with_clauses,
)
from tools.teaching_llama.wide import ROBOTS

NAME = "robots"

HEADS = phrases("""Plan how {robots} {job}|I want {robots} to {job}
{job} with {robots}|Schedule {robots} to {job}|We need {robots} to {job}
Can {robots} {job}|{job} using {robots}|Could you get {robots} to {job}""")
HEADS_BARE = phrases("""Let the robots {job}|Use robots to {job}|Plan a robot task: {job}
{job} with robots|Schedule the robots to {job}|I want a robot to {job}|How can robots {job}?""")

CLAUSES = {
    "robots": phrases(" with {x}|. Use {x}|. We have {x}|. Robots: {x}|. The fleet is {x}"),
    "site": phrases(" at {x}| in {x}|, at {x}|. It is at {x}|. The place is {x}"),
    "limit": phrases(" within {x}| in {x}|, at most {x}|. It may take {x}|. We have {x}"),
    "when": phrases(" {x}| {x}|, {x}|. Finish it {x}|. It must be done {x}|. We need it {x}"),
    "calibrate": phrases(". Calibrate them first|, with calibration|. They need calibration"),
    "charge": phrases(". Charge the batteries first|, with charging|. The batteries are empty"),
    "no_inspection": phrases(". No inspection|, without inspection|. Skip the inspection"),
    "no_safety": phrases(". No safety check|, without a safety check|. Skip the safety check"),
    "handover": phrases(". A human takes over at the end|, with a handover|. Hand over to our staff"),
    "log": phrases(". Write a log|, with a log|. Log everything|. We need a log"),
    "tools": phrases(". Change the grippers|. They need other grippers"),
}
HEADS, HEADS_BARE = (
    joined(own, ROBOTS[kind]) for kind, own in (("HEADS", HEADS), ("HEADS_BARE", HEADS_BARE))
)
CLAUSES = {kind: joined(own, ROBOTS[kind]) for kind, own in CLAUSES.items()}
VALUES = ROBOTS["VALUES"]
HELD_HEADS, HELD_HEADS_BARE = held_robots.ROBOTS["HEADS"], held_robots.ROBOTS["HEADS_BARE"]
HELD_CLAUSES = {kind: held_robots.ROBOTS[kind] for kind in CLAUSES}
HELD_VALUES = held_robots.ROBOTS["VALUES"]

FACTS = ("job", "robots", "site", "limit", "when")
VERBS = tuple(dict.fromkeys(job.partition(" ")[0] for job in VALUES["job"]))
KINDS = phrases("""robot|arm|AGV|drone|cobot|rover|humanoid|mobile robot|robot arm|robot dog|shuttle robot
delivery robot|cleaning robot|robot cart|welding robot|walking robot|forklift robot|quadcopter robot""")
"""What robots are called: an invented fleet has one of these words, else nothing would say that it is one."""
ENDS = tuple(f" {x}{s}" for x in KINDS for s in ("", "s"))
SMALL = frozenset("a an the our of to for in on at by from and with when before after until per".split())
LOOSE = {
    fact: tuple(" ".join(w for w in x.split() if w not in SMALL) for x in VALUES[fact]) for fact in FACTS
}
"""The words of the values that may stand in any order."""


@dataclass(slots=True)
class Mission:
    """The facts of one request; an empty string is a fact not given."""

    job: str = ""
    robots: str = ""
    site: str = ""
    limit: str = ""
    when: str = ""
    flags: frozenset[str] = frozenset()
    sentence: str = ""

    @property
    def fleet(self) -> str:
        return self.robots or "the robots"

    @property
    def area(self) -> str:
        return self.site or "the work area"

    @property
    def at(self) -> str:
        return f" at {self.site}" if self.site else ""

    @property
    def within(self) -> str:
        return f" within {self.limit}" if self.limit else ""

    @property
    def due(self) -> str:
        return f" {self.when}" if self.when else ""

    def facts(self) -> list[str]:
        return [x for x in (getattr(self, fact) for fact in FACTS) if x]


def request(s: Source) -> Mission:
    """Draw a request with its facts."""
    r = s.rng
    t, head, bare = _heading(s)
    for fact, share in (("site", 0.42), ("limit", 0.36), ("when", 0.36)):
        if s.chance(share):
            setattr(t, fact, _value(s, fact))
    t.flags = frozenset(
        r.sample(
            ("calibrate", "charge", "no_inspection", "no_safety", "handover", "log", "tools"),
            r.choice((0,) * 9 + (1,) * 6 + (2,)),
        )
    )
    lower = r.random() < 0.15
    if lower:
        for fact in FACTS:
            setattr(t, fact, getattr(t, fact).lower())
    if not (bare or head.startswith("{")) and s.noise(0.08):  # a verb nobody knows
        head = " ".join(s.pseudo() for _ in range(r.choice((1, 1, 2, 3)))) + " " + head.partition(" ")[2]
    head = roughened(s, head)
    for fact in ("job", "robots"):
        if head.startswith(f"{{{fact}}}") and not lower:
            setattr(t, fact, getattr(t, fact)[:1].upper() + getattr(t, fact)[1:])
    text = head.format(job=t.job, robots=t.robots)
    clauses = HELD_CLAUSES if s.held else CLAUSES
    text = with_clauses(s, t, text, clauses, FACTS[1:] if bare else FACTS[2:], lower)
    text = text.lower() if lower else text[:1].upper() + text[1:] if r.random() < 0.85 else text
    t.sentence = greeted(s, ended(s, text))
    return t


def _heading(s: Source) -> tuple[Mission, str, bool]:
    """Draw job and robots, the sentence's main part with its placeholders, and whether it names no robots."""
    r = s.rng
    heads, heads_bare = (HELD_HEADS, HELD_HEADS_BARE) if s.held else (HEADS, HEADS_BARE)
    bare = r.random() < 0.3
    head = r.choice(heads_bare if bare else heads)
    apart, t = "{robots} {job}" not in head, Mission()
    if not bare:
        t.robots = _value(s, "robots", apart and "robot" in head.replace("{robots}", "").lower())
    elif r.random() < 0.45:
        t.robots = _value(s, "robots")
    # Side by side, only a known verb or the word for a robot says where the job begins.
    t.job = _value(s, "job", apart or t.robots.endswith(ENDS))
    return t, head, bare


def _value(s: Source, fact: str, loose: bool = False) -> str:
    """Return a listed value of `fact`, or words that nobody could know; `loose` allows any at all."""
    if s.noise(0.4):
        return _odd(s, fact, loose)
    return _filled(s, fact, s.rng.choice((HELD_VALUES if s.held else VALUES)[fact]))


def _filled(s: Source, fact: str, template: str) -> str:
    """Return `template` with a number, a name, a place or an invented word in each of its fields."""
    r, most = s.rng, 12 if fact in ("when", "robots") else 60
    while "{" in template:
        field = template[template.index("{") + 1 : template.index("}")]
        n = r.choice((r.randint(2, 12), r.randint(2, most)))
        match field:
            case "n":
                value = NUMBER_WORDS[n - 1] if n <= 12 and s.chance(0.25) else str(n)
            case "name":
                value = s.person() if s.chance(0.3) else s.name()
            case "place":
                value = s.place()
            case "pseudo":
                value = s.pseudo()
            case _:
                raise ValueError(
                    f"A value of {fact} has the unknown field {{{field}}}: use n, name, place or pseudo."
                )
        template = template.replace(f"{{{field}}}", value, 1)
    return " ".join(template.split())


def _odd(s: Source, fact: str, loose: bool) -> str:
    """Return words mixed or invented, so that the model must copy and cannot recall."""
    r = s.rng
    word, name, count = r.choice((s.common, s.pseudo))(), s.name(), r.choice((s.integer(2, 99), "two", "six"))
    mixed = _filled(s, fact, s.mixed(LOOSE[fact]))
    verb, kind = r.choice(VERBS), r.choice(KINDS)
    if loose and s.chance(0.25):
        return r.choice((mixed, word, f"{word} {mixed}", f"{s.pseudo()} the {word}"))
    odd = {
        "job": (
            f"{verb} the {word}",
            f"{verb} {count} {word}s",
            f"{verb} {mixed}",
            f"{verb} the {s.pseudo()} {word} to {name}",
            f"{verb} {name}",
        ),
        "robots": (
            f"{count} {word} {kind}s",
            f"the {kind} {name}",
            f"our {word} {kind}",
            f"the {name} {kind}",
            f"{count} {kind}s of {name}",
        ),
        "site": (name, s.place(), f"the {word} hall", f"the {word} of {s.place()}", mixed, f"{word} {count}"),
        "limit": (f"{count} {word}s", f"the {word} shift", f"{count} {mixed}", f"the {name} break"),
        "when": (f"before the {word}", f"on {name} day", f"after {name}", f"by the {s.pseudo()} {word}"),
    }
    return r.choice(odd[fact])


def plan(t: Mission) -> Plan:
    """Return the plan by the rule at the top of this file."""
    extras = {"charge", "calibrate", "tools", "log", "handover"} - t.flags

    def kept(*tasks: str) -> tuple[str, ...]:
        return tuple(x for x in tasks if x not in extras and f"no_{x}" not in t.flags)

    ready, motion = kept("safety", "charge", "calibrate"), kept("paths", "schedule", "tools")
    checks, last = kept("inspection", "log"), kept("inspection", "log", "handover")
    depends = {
        "survey": (),
        **dict.fromkeys(ready, ("survey",)),
        "allocation": ("survey", *ready),
        **dict.fromkeys(motion, ("allocation",)),
        "execution": motion,
        **dict.fromkeys(checks, ("execution",)),
        **dict.fromkeys(kept("handover"), kept("inspection") or ("execution",)),
        "report": last or ("execution",),
    }
    work = _work(t)
    return Plan(tuple(Subtask(x, *work[x], on) for x, on in depends.items()))


def _work(t: Mission) -> dict[str, tuple[str, str, int]]:
    """Return description, role and complexity of each task there may be."""
    fleet, at = t.fleet, t.at
    return {
        "survey": (f"Survey {t.area} for {fleet} to {t.job}", "site surveyor", 2),
        "safety": (f"Check the safety of {fleet}{at}", "safety officer", 2),
        "charge": (f"Charge the batteries of {fleet}{t.due}", "battery technician", 1),
        "calibrate": (f"Calibrate {fleet}{at}", "calibration engineer", 2),
        "allocation": (f"Allocate {fleet} to {t.job}", "task allocator", 3),
        "paths": (f"Plan the paths of {fleet}{at}", "path planner", 3),
        "schedule": (f"Schedule the steps to {t.job}{t.within}{t.due}", "scheduler", 3),
        "tools": (f"Change the grippers of {fleet}", "tool technician", 1),
        "execution": (f"Let {fleet} {t.job}{at}{t.within}", "robot operator", 4),
        "inspection": (f"Inspect the work of {fleet}{at}", "quality inspector", 2),
        "log": (f"Write the log of {fleet}{at}", "log keeper", 1),
        "handover": (f"Hand over to a person{at}{t.due}", "shift leader", 1),
        "report": (f"Report on the job to {t.job}{t.due}", "operations analyst", 2),
    }


# --- what the agents answer ------------------------------------------------------------------------------

CONTEXT = {
    "layout": phrases("The layout is {x}.|The survey shows {x}.|Layout: {x}.|There is {x}."),
    "hazard": phrases("The main hazard is {x}.|Hazard: {x}.|Watch out for {x}.|Risk: {x}."),
    "split": phrases("The split is {x}.|Split: {x}.|The work is shared: {x}.|We assigned {x}."),
    "route": phrases("The route is {x}.|Take {x}.|Route: {x}.|The best path is {x}."),
    "defect": phrases("The inspection found {x}.|Defect: {x}.|We found {x}.|Inspection: {x}."),
}
CONTEXT = {kind: joined(own, ROBOTS["contexts"][kind]) for kind, own in CONTEXT.items()}
HELD_CONTEXT = held_robots.ROBOTS["contexts"]
SOURCE_OF = {
    "layout": "survey",
    "hazard": "safety",
    "split": "allocation",
    "route": "paths",
    "defect": "inspection",
}
SLOT_OF = {v: k for k, v in SOURCE_OF.items()}


def known(t: Mission) -> dict[str, str]:
    """Return what the teaching agents come up with themselves: plain precautions, no invented figures."""
    return {
        "layout": f"clear lanes and one charging corner{t.at}",
        "hazard": f"people who cross the lanes{t.at}",
        "split": f"one zone at a time for {t.fleet}",
        "route": f"a one-way loop through {t.area}",
        "defect": f"small position errors of {t.fleet}",
    }


def found(s: Source) -> dict[str, str]:
    """Return findings with random names and figures, as other agents or people may have put them."""
    r = s.rng
    a, b, n, m = s.name(), s.name(), r.randint(2, 99), r.randint(2, 99)
    word = s.pseudo() or "side"
    return {
        "layout": r.choice(
            (
                f"{n} shelves along the {a} wall",
                f"two aisles and the {a} gate",
                f"{n} m between {a} and {b}",
                f"a ramp at the {word} door",
                f"bay {n} and bay {m}",
                f"{n} by {m} m with a pillar near {a}",
            )
        ),
        "hazard": r.choice(
            (
                f"an oil spill near {a}",
                f"forklift {n}",
                f"a low beam at gate {n}",
                f"the {word} cable",
                f"visitors from {s.place()}",
                f"{s.person()} at station {n}",
            )
        ),
        "split": r.choice(
            (
                f"{a} takes {n} boxes and {b} the rest",
                f"{n} jobs for {a}, {m} for {b}",
                f"unit {n} on the left and unit {m} on the right",
                f"{a} first, then {b}",
                f"the {word} half for {a}",
            )
        ),
        "route": r.choice(
            (
                f"lane {n} past {a}",
                f"from {a} to {b} by gate {n}",
                f"the {word} corridor",
                f"ramp {n}, then {a}",
                f"a loop of {n} m around {a}",
            )
        ),
        "defect": r.choice(
            (
                f"{n} dented boxes",
                f"part {a[:2].upper()}{n} missing",
                f"an offset of {n} mm",
                f"a scratch on {a}",
                f"a loose {word} at station {n}",
                f"{n} of {n + m} pieces in the wrong place",
            )
        ),
    }


def answer(t: Mission, task: Subtask, got: dict[str, str]) -> str:
    """Return an agent's answer, given the findings that its context shows."""
    mine, fleet, at = known(t), t.fleet, t.at
    limit = f" All must be done within {t.limit}." if t.limit else ""
    match task.id:
        case "survey":
            return (
                f"The layout is {mine['layout']}. Mark the lanes and stop positions before {fleet} may start."
            )
        case "safety":
            seen = f" The layout is {got['layout']}." if "layout" in got else ""
            return f"The main hazard is {mine['hazard']}.{seen} Stop {fleet} when a person comes near."
        case "charge":
            return f"Charge {fleet} fully{t.due} and check every battery before the start."
        case "calibrate":
            return f"Calibrate {fleet} with fixed markers{at} and repeat it after a warm-up."
        case "allocation":
            seen = "; ".join(f"{k} {got[k]}" for k in ("layout", "hazard") if k in got)
            return f"The split is {mine['split']}." + (f" It respects: {seen}." if seen else "") + limit
        case "paths":
            split = f" It follows the split: {got['split']}." if "split" in got else ""
            return f"The route is {mine['route']}.{split} Slow down at crossings and keep a safe distance."
        case "schedule":
            split = f" The split is {got['split']}." if "split" in got else ""
            due = f" It is due {t.when}." if t.when else ""
            return f"Steps: start {fleet}, {t.job}, then check and park.{split}{limit}{due}"
        case "tools":
            return f"Fit the right grippers on {fleet} and test each with a light load."
        case "execution":
            route = f" The route is {got['route']}." if "route" in got else ""
            return f"Start {fleet} to {t.job}{at}.{route}{limit} Stop at the first fault."
        case _:
            return _after(t, task, got)


def _after(t: Mission, task: Subtask, got: dict[str, str]) -> str:
    """Return the answer of a task that follows the execution, or of one somebody added."""
    mine, fleet, at = known(t), t.fleet, t.at
    seen = f" The inspection found {got['defect']}." if "defect" in got else ""
    match task.id:
        case "inspection":
            return f"Look for {mine['defect']}. Compare it with the job to {t.job} and repeat what failed."
        case "log":
            return f"The log of {fleet}{at} notes each start, stop, pause and fault."
        case "handover":
            return f"A person takes over{at}{t.due}.{seen} Park {fleet} and switch off the drives."
        case "report":
            limit = f" The limit was {t.limit}." if t.limit else ""
            return (
                f"The job to {t.job} was planned for {fleet}{at}{t.due}.{seen}{limit} "
                "I have no live data from the robots, so check the result on site."
            )
    return general(t, task.description)


def general(t: Mission, task: str) -> str:
    """Return the answer to a task somebody added: restate it with the facts, promise nothing."""
    return (
        f"{task.rstrip('.')}: this is for the job of {t.fleet} to {t.job}{t.at}{t.due}. "
        "I have no live data from the robots, so confirm the details on site."
    )


ADDED = (
    "Check the batteries|Check the network|Test the gripper|Call the technician|Inform the shift leader"
    "|Order spare grippers|Ask {name} to watch|Find the robot {name}|Measure the aisle|Stop the conveyor"
).split("|")
ADDED += list(ROBOTS["ADDED"])
HELD_ADDED = held_robots.ROBOTS["ADDED"]
