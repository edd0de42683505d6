"""DevOps pipelines: from the checkout through build, checks and staging to production and its monitoring.

One rule gives the plan. Checks of the build (tests, scan, and a database migration where one is asked for) run
side by side, and the package waits for all that are there, or for the build where none is. Trials (smoke test,
load test) run side by side on staging, and the release, a canary first where one is asked for, waits for all that
are there, or for the package where none is. Without staging there is no smoke test, and a load test takes the
package. Monitoring follows the release, and release notes come last, as they tell how it went.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.teaching_llama import held_devops
from tools.teaching_llama.plan import Plan, Subtask
from tools.teaching_llama.surfaces import Source, ended, greeted, joined, phrases, roughened, with_clauses
from tools.teaching_llama.wide import DEVOPS

NAME = "devops"

HEADS = phrases("""Deploy {service} to {target}|Deploy {service} on {target}|Release {service} to {target}
Build and deploy {service} to {target}|Build, test and deploy {service} to {target}|Ship {service} to {target}
Set up a CI/CD pipeline for {service} to {target}|Roll out {service} on {target}|deploy {service} to {target}
We need to deploy {service} to {target}|Please deploy {service} to {target}|{service} to {target}
Can you deploy {service} to {target}|Get {service} live on {target}|Plan the deployment of {service} to {target}""")
HEADS_BARE = phrases("""Deploy {service}|Release {service}|Roll out {service}|Build and deploy {service}
Set up a CI/CD pipeline for {service}|Deploy {service} to production|New release of {service}|Take {service} live
Please release {service}|We need to release {service}|Deployment of {service}""")
CLAUSES = {
    "target": phrases(" on {x}|, target: {x}|. It runs on {x}|. Deploy it to {x}|. The target is {x}"),
    "stack": phrases(", built with {x}|, written in {x}|. It is {x}|. It uses {x}|, stack: {x}"),
    "when": phrases(" {x}| {x}|, {x}|. It must be live {x}|. We need it {x}"),
    "window": phrases(
        " with {x}|, at most {x}|, max {x}|. At most {x}|. We can afford {x}|, no more than {x}"
    ),
    "no_tests": phrases(" without tests|, no tests|. Skip the tests|. No tests"),
    "no_scan": phrases(" without a security scan|, no scan|. Skip the security scan|. No security scan"),
    "no_staging": phrases(" without staging|, no staging|. Skip staging|. No staging"),
    "load": phrases(" with a load test|, and run a load test|. Add a load test|. Please load test it"),
    "migration": phrases(
        " with a database migration|, and migrate the database|. Migrate the database too|. There is a database migration"
    ),
    "canary": phrases(" with a canary release|, canary first|. Start with a canary|. Use a canary release"),
    "docs": phrases(
        " with release notes|, and write release notes|. Write release notes|. Add release notes"
    ),
}
HEADS, HEADS_BARE = joined(HEADS, DEVOPS["HEADS"]), joined(HEADS_BARE, DEVOPS["HEADS_BARE"])
CLAUSES = {kind: joined(own, DEVOPS[kind]) for kind, own in CLAUSES.items()}
HELD_HEADS, HELD_HEADS_BARE = held_devops.DEVOPS["HEADS"], held_devops.DEVOPS["HEADS_BARE"]
HELD_CLAUSES = {kind: held_devops.DEVOPS[kind] for kind in CLAUSES}
VALUES, HELD_VALUES = DEVOPS["VALUES"], held_devops.DEVOPS["VALUES"]

FACTS = ("service", "target", "stack", "when", "window")
FLAGS = ("no_tests", "no_scan", "no_staging", "load", "migration", "canary", "docs")
NAMED = {"test": "no_tests", "scan": "no_scan", "staging": "no_staging"}
"""Who writes "build, test and deploy" does not leave the tests out."""
ODD = {  # in training any words may stand for a fact, so that it is copied and not recalled
    "service": phrases("""{pseudo}|{pseudo}|{name}|{common}|the {common}|the {mixed}|our {mixed}|{mixed}|{pseudo}-{common}|my {common} {pseudo}
the {common} {common}|the {pseudo} {common}|our {pseudo}|the {common} service|the {pseudo} of {name}|{common} and {common}"""),
    "target": phrases("""{name}|{pseudo}|{common}|the {mixed}|our {mixed}|{mixed}|the {pseudo} {common}|our {common} {pseudo}|{pseudo} {pseudo}
{n} {pseudo} servers|{n} {common} in {place}|the {common} of {name}|{name} and {name}|{common} {pseudo}|two {common} servers"""),
    "stack": phrases("""{pseudo}|{name}|{common}|{mixed}|{pseudo} and {name}|{common} and {pseudo}|{name} with {common}|{mixed} and {mixed}
{pseudo}, {pseudo} and {name}|{common} {pseudo}|{pseudo} on {name}|a {pseudo} app|{name} {n}"""),
    "when": phrases("""before {name}|before the {common}|after the {pseudo}|after {name}|by {pseudo}|by {n} {pseudo}|before {common} {n}
during the {common}|until the {pseudo} {common}|before {pseudo} {n}|right after {common}|once {name} is back|after {n} {pseudo}s"""),
    "window": phrases("""{n} {pseudo}s|{n} {common} minutes|{pseudo} downtime|{n} minutes of {common}|{n} {pseudo} of downtime|{common} downtime
a {pseudo} hour|{n} {common}|{n} {pseudo}|{n} hours of {pseudo}|one {common} of {pseudo}|less than {n} {pseudo}|{mixed} of downtime"""),
}
WORDS = {
    kind: tuple(" ".join(w for w in x.split() if len(w) > 3) for x in texts if re.search(r"\w{4}", x))
    for kind, texts in VALUES.items()
}
FIELD = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class Release:
    """The facts of one request; an empty string is a fact not given."""

    service: str = ""
    target: str = ""
    stack: str = ""
    when: str = ""
    window: str = ""
    flags: frozenset[str] = frozenset()
    sentence: str = ""

    @property
    def on(self) -> str:
        return f" on {self.target}" if self.target else ""

    @property
    def date(self) -> str:
        return f" {self.when}" if self.when else ""

    @property
    def limit(self) -> str:
        return f", at most {self.window}" if self.window else ""

    @property
    def code(self) -> str:
        return f" ({self.stack})" if self.stack else ""

    def facts(self) -> list[str]:
        return [x for x in (getattr(self, kind) for kind in FACTS) if x]


def value(s: Source, kind: str) -> str:
    """Draw how a fact is said; in training three in ten are any words at all."""
    r = s.rng
    text = r.choice(ODD[kind]) if s.noise(0.3) else s.pick(VALUES[kind], HELD_VALUES[kind])
    draw = {
        "name": s.name,
        "pseudo": s.pseudo,
        "place": s.place,
        "common": s.common,
        "n": lambda: str(r.randint(2, 12)),
        "mixed": lambda: s.mixed(WORDS[kind]),
    }
    while field := FIELD.search(text):  # a mixture may bring fields of its own
        text = text[: field.start()] + draw[field[1]]() + text[field.end() :]
    return " ".join(text.split())


def request(s: Source) -> Release:
    """Draw a request with its facts."""
    r = s.rng
    bare = r.random() < 0.3
    t = Release(service=value(s, "service"))
    for kind, share in (("target", 0.35 if bare else 1), ("stack", 0.4), ("when", 0.42), ("window", 0.36)):
        setattr(t, kind, value(s, kind) if s.chance(share) else "")
    heads, heads_bare = (HELD_HEADS, HELD_HEADS_BARE) if s.held else (HEADS, HEADS_BARE)
    head = r.choice(heads_bare if bare else heads)
    t.flags = _flags(s, head)
    lower = r.random() < 0.13
    if lower:
        for kind in FACTS:
            setattr(t, kind, getattr(t, kind).lower())
    named = head.startswith("{")  # it begins as the fact is written
    if not (bare or named) and s.noise(0.08):  # a verb nobody knows
        head = " ".join(s.pseudo() for _ in range(r.choice((1, 1, 2, 3)))) + " " + head.partition(" ")[2]
    head = roughened(s, head)
    text = head.format(service=t.service, target=t.target)
    kinds = FACTS[1:] if bare else FACTS[2:]
    text = with_clauses(s, t, text, HELD_CLAUSES if s.held else CLAUSES, kinds, lower)
    if lower:
        text = text.lower()
    elif not named and r.random() < 0.85:
        text = text[:1].upper() + text[1:]
    t.sentence = greeted(s, ended(s, text))
    return t


def _flags(s: Source, head: str) -> frozenset[str]:
    """Draw the wishes; none contradicts another or the sentence's main part."""
    flags = set(s.rng.sample(FLAGS, s.rng.choice((0,) * 8 + (1,) * 7 + (2, 2, 3))))
    flags -= {flag for word, flag in NAMED.items() if re.search(rf"\b{word}", head.lower())}
    flags -= {"no_staging"} if "load" in flags else set()
    return frozenset(flags - {"no_scan"} if {"no_tests", "no_staging"} <= flags else flags)


def plan(t: Release) -> Plan:
    """Return the plan by the rule that the module's first lines state."""
    x, staged = t.service, "no_staging" not in t.flags
    checks, trials = _checks(t), _trials(t)
    built = tuple(task.id for task in checks) or ("build",)
    tried = tuple(task.id for task in trials) or ("package",)
    place = f" for {t.target}" if t.target else ""
    where = t.target or "production"
    tasks = [
        Subtask("checkout", f"Check out the code of {x}", "release engineer", 1, ()),
        Subtask("build", f"Build {x}{t.code}", "build engineer", 3, ("checkout",)),
        *checks,
        Subtask("package", f"Package {x}{place}", "build engineer", 2, built),
    ]
    if staged:
        tasks.append(Subtask("staging", f"Deploy {x} to staging", "release engineer", 2, ("package",)))
    tasks += trials
    if "canary" in t.flags:
        tasks.append(Subtask("canary", f"Release {x} to a few users first", "release engineer", 3, tried))
        tried = ("canary",)
    tasks += [
        Subtask("production", f"Deploy {x} to {where}{t.date}{t.limit}", "release engineer", 4, tried),
        Subtask("monitoring", f"Monitor {x}{t.on}", "operations engineer", 2, ("production",)),
    ]
    if "docs" in t.flags:
        notes = f"Write the release notes of {x}{t.date}"
        tasks.append(Subtask("docs", notes, "technical writer", 2, ("monitoring",)))
    return Plan(tuple(tasks))


def _checks(t: Release) -> list[Subtask]:
    """Return what is done with the build before it is packaged."""
    x, after = t.service, ("build",)
    wanted = {
        "tests": "no_tests" not in t.flags,
        "scan": "no_scan" not in t.flags,
        "migration": "migration" in t.flags,
    }
    tasks = (
        Subtask("tests", f"Test {x}", "test engineer", 3, after),
        Subtask("scan", f"Scan {x} for security holes", "security analyst", 2, after),
        Subtask("migration", f"Prepare the database migration of {x}", "database engineer", 3, after),
    )
    return [task for task in tasks if wanted[task.id]]


def _trials(t: Release) -> list[Subtask]:
    """Return what is tried before the release."""
    x, staged = t.service, "no_staging" not in t.flags
    after = ("staging" if staged else "package",)
    tasks = (
        Subtask("smoke", f"Run a smoke test of {x} on staging", "test engineer", 2, after),
        Subtask("load", f"Load test {x}", "performance tester", 3, after),
    )
    return [task for task in tasks if (staged if task.id == "smoke" else "load" in t.flags)]


# --- what the agents answer ------------------------------------------------------------------------------

CONTEXT = {
    "commit": phrases("The commit is {x}.|Commit: {x}.|Use {x}.|We checked out {x}."),
    "artifact": phrases("The artifact is {x}.|We built {x}.|Artifact: {x}."),
    "issue": phrases("The open issue is {x}.|We found {x}.|Issue: {x}.|The tests found {x}."),
    "address": phrases("Staging runs at {x}.|The address is {x}.|It is up at {x}.|Address: {x}."),
    "metric": phrases("Watch {x}.|The dashboard shows {x}.|Result: {x}."),
}
CONTEXT = {kind: joined(own, DEVOPS["contexts"][kind]) for kind, own in CONTEXT.items()}
HELD_CONTEXT = held_devops.DEVOPS["contexts"]
SOURCE_OF = {
    "commit": "checkout",
    "artifact": "build",
    "issue": "tests",
    "address": "staging",
    "metric": "smoke",
}
SLOT_OF = {v: k for k, v in SOURCE_OF.items()}


def known(t: Release) -> dict[str, str]:
    """Return what the teaching agents come up with themselves: where to look, no invented figures."""
    x = t.service
    return {
        "commit": f"the newest commit of {x}",
        "artifact": f"the tagged build of {x}",
        "issue": f"an untested error path in {x}",
        "address": f"the staging copy of {x}",
        "metric": f"the error rate of {x}",
    }


def found(s: Source) -> dict[str, str]:
    """Return findings with random names and figures, as other agents or people may have put them."""
    r = s.rng
    a, b, c, n = s.name(), s.pseudo(), s.pseudo(), r.randint(2, 999)
    code = "".join(r.choice("0123456789abcdef") for _ in range(7))
    version = f"{r.randint(0, 30)}.{r.randint(0, 20)}.{r.randint(0, 9)}"
    share = f"{r.randint(0, 9)}.{r.randint(1, 9)} {r.choice(('%', 'percent'))}"
    return {
        "commit": r.choice(
            (f"commit {code}", code, f"tag v{version}", f"branch {b}", f"the merge by {a}", f"{b} {version}")
        ),
        "artifact": r.choice(
            (f"{b}-{version}.tar.gz", f"image {b}:{version}", f"{b}/{c}:{n}", f"build {n}", f"{c}.jar", b)
        ),
        "issue": r.choice(
            (
                f"{n} failing tests in {b}",
                f"a memory leak in {b}",
                f"a race in the {a} module",
                f"a timeout after {n} seconds",
                f"ticket {a[:2].upper()}-{n}",
                f"an outdated {b} library",
            )
        ),
        "address": r.choice(
            (
                f"https://{b}.{c}.example",
                f"{b}.{c}.test:{r.randint(1000, 9999)}",
                f"10.{r.randint(0, 99)}.{r.randint(0, 99)}.{r.randint(2, 99)}",
                f"port {r.randint(1000, 9999)} on {b}",
                f"the {a} test system",
                f"server {b} in {s.place()}",
            )
        ),
        "metric": r.choice(
            (
                f"{n} ms",
                f"an error rate of {share}",
                f"{n} requests per second",
                f"a response time of {n} ms",
                f"{share} more memory",
                f"{n} slow requests from {s.place()}",
            )
        ),
    }


def answer(t: Release, task: Subtask, got: dict[str, str]) -> str:
    """Return an agent's answer, given the findings that its context shows."""
    mine, x = known(t), t.service
    built = got.get("artifact", x)
    match task.id:
        case "checkout":
            stack = f" The stack is {t.stack}." if t.stack else ""
            return f"Build from {mine['commit']}. Lock the dependencies and note the version.{stack}"
        case "build":
            source = f", built from {got['commit']}" if "commit" in got else ""
            stack = f" The stack is {t.stack}." if t.stack else ""
            return f"The artifact is {mine['artifact']}{source}.{stack} Keep the build log."
        case "tests":
            return f"Run the unit and integration tests of {built}. The open issue is {mine['issue']}."
        case "scan":
            return f"Scan {built} for known holes, old libraries and secrets. Stop the release if one is critical."
        case "migration":
            return f"Back up the database of {x}. Try the migration on a copy, and write down how to undo it."
        case "package":
            where = f" for {t.target}" if t.target else ""
            issue = f" Look at {got['issue']} first." if "issue" in got else ""
            return f"Package {built}{where} with its settings and a version.{issue} Sign the package."
        case "staging":
            return f"Test on {mine['address']}. Use the settings of production, but no real data."
        case "smoke":
            return f"Open {got.get('address', x)} and try its main functions. Watch {mine['metric']}."
        case "load":
            return f"Send more and more requests to {got.get('address', x)}. Note where it slows down."
        case "canary" | "production" | "monitoring" | "docs":
            return _released(t, task.id, got)
    return general(t, task.description)


def _released(t: Release, task: str, got: dict[str, str]) -> str:
    x, metric = t.service, got.get("metric", "")
    match task:
        case "canary":
            seen = f" The smoke test showed {metric}." if metric else ""
            return f"Send a small share of the traffic{t.on} to the new version of {x}.{seen} Go on if errors stay low."
        case "production":
            seen = f" The smoke test showed {metric}." if metric else ""
            limit = f" Allow at most {t.window}." if t.window else ""
            return (
                f"Deploy {x} to {t.target or 'production'}{t.date}.{seen}{limit} Keep the old version ready."
            )
        case "monitoring":
            seen = f" Compare with {metric}." if metric else ""
            return f"Watch errors, load and response times of {x}{t.on}.{seen} Alert the team if they rise."
        case _:
            code = f" It contains {got['commit']}." if "commit" in got else ""
            issue = f" Known issue: {got['issue']}." if "issue" in got else ""
            return f"Release notes: {x} goes live{t.on}{t.date}.{code}{issue} Tell the team what breaks."


def general(t: Release, task: str) -> str:
    """Return the answer to a task somebody added: restate it with the facts, promise nothing."""
    return (
        f"{task.rstrip('.')}: this is for the release of {t.service}{t.on}{t.date}. "
        "I have no access to your systems, so check the result yourself."
    )


ADDED = DEVOPS["ADDED"]
HELD_ADDED = held_devops.DEVOPS["ADDED"]
