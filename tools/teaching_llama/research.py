"""Research reports: scope, parallel searches, analysis, outline, draft, review, slides on request."""

from __future__ import annotations

from dataclasses import dataclass

from tools.teaching_llama import held
from tools.teaching_llama.plan import Plan, Subtask
from tools.teaching_llama.surfaces import (
    Source,
    articled,
    ended,
    greeted,
    joined,
    phrases,
    roughened,
    with_clauses,
)
from tools.teaching_llama.wide import RESEARCH

NAME = "research"

HEADS = phrases("""Write a {kind} on {topic}|Write a {kind} on {topic}|Write a {kind} about {topic}
I need a {kind} on {topic}|Could you prepare a {kind} on {topic}|Please write a {kind} on {topic}
{kind} on {topic}|{kind}: {topic}|We need a {kind} about {topic}|Draft a {kind} on {topic}
Help me write a {kind} about {topic}|Prepare a {kind} on {topic}|Produce a {kind} about {topic}
Can you write a {kind} on {topic}|I have to write a {kind} on {topic}|Compile a {kind} about {topic}
Make a {kind} on {topic}|We have to hand in a {kind} on {topic}|A {kind} about {topic}
Do a {kind} on {topic}|Could we get a {kind} on {topic}|My team needs a {kind} on {topic}
Start a {kind} about {topic}|Create a {kind} on {topic}|Would you prepare a {kind} on {topic}
Our group needs a {kind} about {topic}|Kindly write a {kind} on {topic}
We want you to write a {kind} on {topic}|Deliver a {kind} on {topic}|Get me a {kind} about {topic}
I'd like a {kind} on {topic}|Set up a {kind} on {topic}|Can we have a {kind} about {topic}?
One {kind} on {topic}, please""")
HEADS_BARE = phrases("""Research {topic}|Research {topic} and write it up|Find out what is known about {topic}
Study {topic} and report back|I want to learn what science says about {topic}
Summarise the research on {topic}|What do we know about {topic}? Write a report
Find studies on {topic}|What is the evidence on {topic}?
Please research {topic}|Study the causes of {topic}
Look up the science of {topic} and write a report|Report: {topic}|A report about {topic}, please
How does {topic} work? Write a report|Collect what science knows about {topic}|Research on {topic}
Look at the research about {topic}|Do a study of {topic}|Dig into {topic} and report
Review what is known on {topic}|Write about the research on {topic}|Examine {topic}
Analyse {topic} for a report|Please report what we know on {topic}""")
KINDS = phrases("""report|report|report|literature review|study|brief|policy brief|survey|dossier|paper|long report|full report|final report
detailed study|summary|scientific report|market report|overview|review""")
QUALITIES = "research short long full final detailed scientific background policy white term market literature".split()
NOUNS = "report report review study brief paper survey summary overview".split()

CLAUSES = {
    "audience": phrases(""" for {x}| for {x}|, for {x}|. The audience is {x}|. It is for {x}|. Readers: {x}
 for {x}|. It is meant to help {x}|. It is aimed to inform {x}
, to be read by {x}|. {x} will read it|, addressed to {x}|. We write for {x}|, audience: {x}
. It goes to {x}|. It must suit {x}"""),
    "length": phrases(""" of {x}| of {x}| in {x}|, {x}|. Length: {x}|, about {x}|. It should have {x}
, no more than {x}|. About {x}|, at most {x}|. Keep it under {x}|, some {x}| with {x}
. Not longer than {x}|, limited to {x}|. The length is {x}|, up to {x}"""),
    "deadline": phrases(""" {x}| {x}|, {x}|, due {x}|. Finish it {x}|, finished {x}|. Deliver it {x}|, done {x}
. We need it {x}|. Hand it in {x}|, complete {x}|. It must be done {x}|, to hand in {x}
. Deadline: {x}"""),
    "slides": phrases(""" and a presentation|. Add slides|, with slides|. I also have to present it|, and make slides
. We need a presentation too| with a slide deck|, plus a presentation|. Please include slides
. We will present it|, slides too"""),
    "no_news": phrases(""". No news|, without news|. Skip the news|. Do not use newspapers|, no press articles|, no news
. We do not need news|. Leave out the news|. Please no press"""),
    "no_data": phrases(""". No statistics|, without data|. Skip the data|, no numbers needed|. Do not collect data|, no data
. We do not need data|. Leave out the statistics|. Please no numbers"""),
    "interviews": phrases(""". Include expert interviews|, with interviews|. Interview some experts|, and talk to experts
. Add interviews with specialists|, plus expert interviews|. Please interview experts
. We want interviews too"""),
    "figures": phrases(""". Add charts|, with charts|. Include figures|, with diagrams|. Illustrate it with graphs
, plus charts|. Please include figures|. We want charts|. A few figures please"""),
    "only": phrases(""". Use only published papers|, based on papers only|. Only scientific papers|. Papers only
, only papers|. Please rely on papers only|. Use papers and nothing else"""),
}
HEADS, HEADS_BARE, KINDS = (
    joined(own, RESEARCH[kind])
    for kind, own in (("HEADS", HEADS), ("HEADS_BARE", HEADS_BARE), ("KINDS", KINDS))
)
CLAUSES = {kind: joined(own, RESEARCH[kind]) for kind, own in CLAUSES.items()}
HELD_HEADS, HELD_HEADS_BARE, HELD_KINDS = (held.RESEARCH[kind] for kind in ("HEADS", "HEADS_BARE", "KINDS"))
HELD_CLAUSES = {kind: held.RESEARCH[kind] for kind in CLAUSES}


@dataclass(slots=True)
class Report:
    """The facts of one request; an empty string is a fact not given."""

    topic: str = ""
    kind: str = "report"
    audience: str = ""
    length: str = ""
    deadline: str = ""
    flags: frozenset[str] = frozenset()
    sentence: str = ""

    @property
    def readers(self) -> str:
        return f" for {self.audience}" if self.audience else ""

    @property
    def due(self) -> str:
        return f" {self.deadline}" if self.deadline else ""

    @property
    def size(self) -> str:
        return f" in {self.length}" if self.length else ""

    def facts(self) -> list[str]:
        return [f for f in (self.topic, self.audience, self.length, self.deadline) if f]


def request(s: Source) -> Report:
    """Draw a request with its facts."""
    r = s.rng
    t, head, bare = _heading(s)
    if s.chance(0.42):
        t.audience = s.audience()
    if s.chance(0.38):
        t.length = s.length()
    if s.chance(0.38):
        t.deadline = s.deadline()
    flags = r.sample(
        ("slides", "slides", "no_news", "no_data", "interviews", "figures", "only"),
        r.choice((0,) * 10 + (1, 1, 1, 1, 1, 2)),
    )
    t.flags = frozenset(set(flags) - ({"no_news", "no_data", "interviews"} if "only" in flags else set()))
    lower = r.random() < 0.13
    if lower:
        for field in ("topic", "audience", "deadline"):
            setattr(t, field, getattr(t, field).lower())
    if not (bare or head.startswith("{")) and s.noise(0.08):  # a verb nobody knows
        head = " ".join(s.pseudo() for _ in range(r.choice((1, 1, 2, 3)))) + " " + head.partition(" ")[2]
    head = roughened(s, head)
    if head.startswith("{topic}") and not lower:
        t.topic = t.topic[0].upper() + t.topic[1:]
    text = head.replace("{kind}", t.kind)
    text = (articled(text) if r.random() < 0.8 else text).format(topic=t.topic)
    clauses = HELD_CLAUSES if s.held else CLAUSES
    text = with_clauses(s, t, text, clauses, ("audience", "length", "deadline"), lower)
    text = text.lower() if lower else text[:1].upper() + text[1:] if r.random() < 0.85 else text
    t.sentence = greeted(s, ended(s, text))
    return t


def _heading(s: Source) -> tuple[Report, str, bool]:
    """Draw topic and kind, the sentence's main part with its placeholders, and whether it names no kind."""
    r, t = s.rng, Report(topic=s.topic())
    heads, bare, kinds = (HELD_HEADS, HELD_HEADS_BARE, HELD_KINDS) if s.held else (HEADS, HEADS_BARE, KINDS)
    if r.random() < 0.22:
        return t, r.choice(bare), True
    head, t.kind = r.choice(heads), r.choice(kinds)
    if s.noise(0.35):  # any of these words with any other
        first, last = s.pseudo() if r.random() < 0.3 else r.choice(QUALITIES), r.choice(NOUNS)
        t.kind = last if r.random() < 0.2 else f"{first} {last}"
    return t, head, False


def plan(t: Report) -> Plan:
    """Return the plan: what is searched in parallel after the scope, then analysis, draft and review."""
    on, kind = f"on {t.topic}", t.kind
    search = [
        Subtask("papers", f"Find papers {on}", "literature scout", 3, ("scope",)),
        Subtask("data", f"Collect data {on}", "data researcher", 3, ("scope",)),
        Subtask("news", f"Check recent news {on}", "news monitor", 2, ("scope",)),
    ]
    drop = {"only": ("data", "news"), "no_news": ("news",), "no_data": ("data",)}
    gone = {x for flag in t.flags for x in drop.get(flag, ())}
    search = [x for x in search if x.id not in gone]
    if "interviews" in t.flags:
        search.append(Subtask("interviews", f"Interview experts {on}", "interviewer", 3, ("scope",)))
    tasks = [
        Subtask("scope", f"Define the scope of the {kind} {on}{t.readers}", "research lead", 1, ()),
        *search,
        Subtask("analysis", f"Analyse the findings {on}", "analyst", 4, tuple(x.id for x in search)),
        Subtask("outline", f"Outline the {kind} {on}{t.size}", "editor", 2, ("scope",)),
    ]
    sources = ["analysis", "outline"]
    if "figures" in t.flags:
        tasks.append(Subtask("figures", f"Make the figures {on}", "chart designer", 2, ("analysis",)))
        sources.append("figures")
    tasks.append(
        Subtask("draft", f"Write the {kind} {on}{t.readers}{t.size}", "report writer", 4, tuple(sources))
    )
    tasks.append(Subtask("review", f"Review the {kind} {on}{t.readers}{t.due}", "reviewer", 2, ("draft",)))
    if "slides" in t.flags:
        tasks.append(
            Subtask("slides", f"Make slides {on}{t.readers}", "presentation designer", 2, ("review",))
        )
    return Plan(tuple(tasks))


# --- what the agents answer ------------------------------------------------------------------------------

CONTEXT = {
    "paper": phrases("The key source is {x}.|See {x}.|The main paper is {x}.|Start from {x}."),
    "figure": phrases("The data show {x}.|Main number: {x}.|We counted {x}."),
    "event": phrases(
        """The latest news is {x}.|The press reports {x}.|In the news: {x}.|Newspapers write about {x}."""
    ),
    "voice": phrases("The experts stress {x}.|We spoke with {x}.|Interview: {x}."),
    "finding": phrases("The main finding is {x}.|The sources agree on {x}.|Finding: {x}.|In short, {x}."),
}
CONTEXT = {kind: joined(own, RESEARCH["contexts"][kind]) for kind, own in CONTEXT.items()}
HELD_CONTEXT = held.RESEARCH["contexts"]
SOURCE_OF = {
    "paper": "papers",
    "figure": "data",
    "event": "news",
    "voice": "interviews",
    "finding": "analysis",
}
SLOT_OF = {v: k for k, v in SOURCE_OF.items()}


def known(t: Report) -> dict[str, str]:
    """Return what the teaching agents come up with themselves: where to look, no invented figures."""
    x = t.topic
    return {
        "paper": f"a recent review article on {x}",
        "figure": f"the national statistics on {x}",
        "event": f"the debate in the trade press on {x}",
        "voice": f"the practical limits of {x}",
        "finding": f"steady interest but open questions on {x}",
    }


def found(s: Source) -> dict[str, str]:
    """Return findings with random names and figures, as other agents or people may have put them."""
    r = s.rng
    a, b, c, year = s.name(), s.name(), s.name(), r.randint(1990, 2026)
    pct = r.choice(
        (f"{r.randint(2, 98)} percent", f"{r.randint(2, 98)}%", f"{r.randint(1, 99)}.{r.randint(0, 9)} %")
    )
    return {
        "paper": r.choice(
            (f"{a} and {b} ({year})", f"{a} et al. ({year})", f"the {year} review by {c}", f"the {a} study")
        ),
        "figure": r.choice(
            (
                f"{pct} of users in {year}",
                f"{r.randint(2, 999)} sites in {s.place()}",
                f"a rise of {pct}",
                f"{r.randint(10, 99999):,} tonnes",
                f"a cost of {s.money()}",
                f"{pct} less than in {year}",
            )
        ),
        "event": r.choice(
            (
                f"a new law in {s.place()}",
                f"the {a} scandal",
                f"the opening of the {b} plant in {year}",
                f"a strike at {c}",
                f"the merger of {a} and {b}",
            )
        ),
        "voice": r.choice(
            (
                f"{s.person()}, who expects {pct}",
                f"Professor {a}",
                f"Dr {b} of {s.place()}",
                f"{c} at {a} Labs",
            )
        ),
        "finding": r.choice(
            (
                f"a clear gain of {pct}",
                f"{a} outperforms {b}",
                f"costs fell by {pct} since {year}",
                f"no effect of {s.pseudo() or 'it'}",
                f"three gaps, the largest in {s.place()}",
            )
        ),
    }


def answer(t: Report, task: Subtask, got: dict[str, str]) -> str:
    """Return an agent's answer, given the findings that its context shows."""
    mine, x, kind = known(t), t.topic, t.kind
    match task.id:
        case "scope":
            size = f" Length: {t.length}." if t.length else ""
            due = f" It is due {t.deadline}." if t.deadline else ""
            return f"The {kind} covers {x}{t.readers}: what is known, what the evidence shows and what is open.{size}{due}"
        case "papers":
            return f"The key source is {mine['paper']}. Follow its references and note methods and limits."
        case "data":
            return f"The data point to {mine['figure']}. Tabulate it by year and note gaps."
        case "news":
            return f"The latest news is {mine['event']}. Check each item against a second source."
        case "interviews":
            return f"The experts stress {mine['voice']}. Ask each the same five questions."
        case "analysis":
            seen = [
                f"{label} {got[k]}"
                for k, label in (
                    ("paper", "papers:"),
                    ("figure", "data:"),
                    ("event", "news:"),
                    ("voice", "interviews:"),
                )
                if k in got
            ]
            if not seen:
                return f"The main finding is {mine['finding']}. No sources were given, so treat this as preliminary."
            return f"The main finding is {mine['finding']}. Evidence, {'; '.join(seen)}."
        case "outline":
            return f"1. Introduction to {x}. 2. Evidence. 3. Discussion. 4. Conclusions{t.readers}." + (
                f" Keep it to {t.length}." if t.length else ""
            )
        case "figures":
            return (
                f"Figure 1 shows {got.get('finding', mine['finding'])}. Figure 2 shows the trend over time."
            )
        case "draft":
            seen = [f"{got[k]}" for k in ("paper", "figure", "event", "voice") if k in got]
            evidence = f" Evidence: {'; '.join(seen)}." if seen else ""
            finding = got.get("finding", mine["finding"])
            return (
                f"Introduction: this {kind} looks at {x}{t.readers}.{evidence} Finding: {finding}. "
                "Conclusion: the evidence is useful but should be checked before decisions are made."
            )
        case "review":
            finding = f" Its finding is {got['finding']}." if "finding" in got else ""
            due = f" Finish it {t.deadline}." if t.deadline else ""
            return (
                f"The {kind} on {x} is ready{t.readers}.{finding} Check sources and figures once more.{due}"
            )
        case "slides":
            finding = got.get("finding", mine["finding"])
            return (
                f"Slide 1: {x}. Slide 2: why it matters{t.readers}. Slide 3: {finding}. Slide 4: next steps."
            )
    return general(t, task.description)


def general(t: Report, task: str) -> str:
    """Return the answer to a task somebody added: restate it with the facts, promise nothing."""
    return (
        f"{task.rstrip('.')}: this is for the {t.kind} on {t.topic}{t.readers}{t.due}. "
        "I have no live data, so confirm the details with a reliable source."
    )


ADDED = (
    "Check the citations|Write an abstract|Make a glossary|Check for plagiarism|Find a co-author|Translate the summary"
    "|Compare with {name}|Ask {name} for feedback|Write a press release|Make a timeline|Check the statistics|Find images"
    "|List the limitations|Interview {name}|Write an executive summary|Format the references|Survey {name}|Contact {name}"
    "|Check the ethics rules|Search for patents|Describe the method|Write the appendix|Proofread the text|Look at {name}"
    "|Compare costs|Find case studies|Add keywords|Check the copyright of images|Estimate the market size|Read {name}"
).split("|")
ADDED += list(RESEARCH["ADDED"])
HELD_ADDED = held.RESEARCH["ADDED"]
