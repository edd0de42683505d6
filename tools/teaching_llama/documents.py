"""Document processing: intake, sorting, extraction and export, with what a request adds or leaves out.

The rule of its plans: all begins at `intake`, text recognition comes next where pages are scanned, then `classify`.
`extract`, `summary` and `duplicates` start from the sorted documents; `check` validates what was extracted; `redact`
and `translate` start from the checked values (the extracted ones where nobody checks). `export` waits for all that
nothing else waits for, a signature for the export, the report for the last of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.teaching_llama import held_documents
from tools.teaching_llama.plan import Plan, Subtask
from tools.teaching_llama.surfaces import (
    NUMBER_WORDS,
    Source,
    articled,
    ended,
    greeted,
    joined,
    phrases,
    roughened,
    with_clauses,
)
from tools.teaching_llama.wide import DOCUMENTS

NAME = "documents"
WANTED = {x: x for x in ("duplicates", "redact", "translate", "sign")} | {"ocr": "scanned"}
UNWANTED = {"summary": "no_summary", "check": "no_check"}
"""Tasks which are there only with a flag, and those which a flag takes away."""

HEADS = phrases("""Process {docs} and export them to {output}|Extract the data from {docs} into {output}
Get {docs} into {output}|Put {docs} into {output}|Sort {docs} and store them in {output}|We need {docs} in {output}
Process {docs} into {output}|Turn {docs} into {output}""")
HEADS_BARE = phrases("""Process {docs}|Extract the data from {docs}|Sort {docs}|We have {docs} to process
Please process {docs}|Read and sort {docs}|Document processing: {docs}|Classify {docs} and extract the data""")
CLAUSES = {
    "source": phrases(" from {x}|, from {x}|. They come from {x}|. Get them from {x}|, sent by {x}"),
    "output": phrases(" into {x}| and export to {x}|, to {x}|. Put the result into {x}"),
    "fields": phrases(". Extract {x}|, fields: {x}|. The fields are {x}|, extract {x}"),
    "when": phrases(" {x}|, {x}|. We need it {x}|, done {x}|. Deadline: {x}|. Finish it {x}"),
    "scanned": phrases(". They are scanned|, they are scans|. Use OCR|, with OCR"),
    "translate": phrases(". Translate them|, and translate them|. Also translate them"),
    "redact": phrases(". Hide personal data|, and redact personal data|. Redact the names|, anonymised"),
    "duplicates": phrases(". Find duplicates|, and find duplicates|. Remove duplicates|, without duplicates"),
    "sign": phrases(". Sign them|, and sign them|. It must be signed|, digitally signed"),
    "no_summary": phrases(". No summary|, without a summary|. Skip the summary|, no summary"),
    "no_check": phrases(". No check|, without a check|. Skip the check|, no check"),
}
HEADS, HEADS_BARE = joined(HEADS, DOCUMENTS["HEADS"]), joined(HEADS_BARE, DOCUMENTS["HEADS_BARE"])
CLAUSES = {kind: joined(own, DOCUMENTS[kind]) for kind, own in CLAUSES.items()}
VALUES = DOCUMENTS["VALUES"]
HELD_HEADS, HELD_HEADS_BARE = (held_documents.DOCUMENTS[kind] for kind in ("HEADS", "HEADS_BARE"))
HELD_CLAUSES = {kind: held_documents.DOCUMENTS[kind] for kind in CLAUSES}
HELD_VALUES = held_documents.DOCUMENTS["VALUES"]

ODD = {
    "docs": phrases("""{a} {kind}|the {a} {kind}|our {a} {kind}|{n} {a} {kind}|{n} {a}|the {a}|all {b} {kind}
the {kind} on {a}|{n} {kind} about {a}|the {name} {kind}|{kind} of the {b} {a}|{a} and {b} {kind}"""),
    "output": phrases("""the {a}|our {a}|the {a} folder|a {a} file|the {a} system|the {b} database|{a}
the {name} {a}|a {a} for {name}|the {b} of {name}|{name} {n}|one {a} per {b}"""),
    "source": phrases("""the {a}|our {a}|{name}|{name} {name}|the {a} team|the {a} mailbox|{name} and {b}|{a}
the {b} office in {place}|the {name} {a}|{n} {a} offices|the {b} of {name}"""),
    "fields": phrases("""{a}|{a} and {b}|{a}, {b} and {c}|the {a}|the {a} and the {b}|{a} numbers|{a} dates and {b}
{b} of the {a}|all {a} and {b}|{a}, {b}"""),
    "when": phrases("""by {a}|before the {a}|after the {a}|before the {b} of {name}|in time for the {a}|during {name}
until the {b} meets|before {name} calls|by the {a} of the {b}|at the {b} hour"""),
}
"""Values that no list could hold: {a}, {b}, {c} are words mixed at random, {kind} a kind of document."""
KINDS = phrases(
    "invoices|forms|files|letters|contracts|records|documents|papers|receipts|reports|pages|orders"
)
POOL = {
    fact: sorted({x for text in texts for x in text.split() if x.isalpha() and len(x) > 3})
    for fact, texts in VALUES.items()
}


@dataclass(slots=True)
class Documents:
    """The facts of one request; an empty string is a fact not given."""

    docs: str = ""
    output: str = ""
    source: str = ""
    fields: str = ""
    when: str = ""
    flags: frozenset[str] = frozenset()
    sentence: str = ""

    @property
    def origin(self) -> str:
        return f" from {self.source}" if self.source else ""

    @property
    def target(self) -> str:
        return f" to {self.output}" if self.output else ""

    @property
    def values(self) -> str:
        return self.fields or "the key values"

    @property
    def due(self) -> str:
        return f" {self.when}" if self.when else ""

    def facts(self) -> list[str]:
        return [f for f in (self.docs, self.output, self.source, self.fields, self.when) if f]


def request(s: Source) -> Documents:
    """Draw a request with its facts."""
    r = s.rng
    bare = s.chance(0.35)
    heads = (HELD_HEADS_BARE if bare else HELD_HEADS) if s.held else HEADS_BARE if bare else HEADS
    shares = {"docs": 1.0, "output": 0.35 if bare else 1.0, "source": 0.42, "fields": 0.42, "when": 0.33}
    t = Documents(**{fact: value(s, fact) for fact, share in shares.items() if s.chance(share)})
    head = r.choice(heads)
    t.flags = frozenset(
        r.sample(("no_summary", "no_check"), r.choice((0,) * 4 + (1,)))
        + r.sample(tuple(WANTED.values()), r.choice((0,) * 7 + (1, 1, 1, 1, 2)))
    )
    if "summar" in head.lower():  # asked for in the same breath
        t.flags -= {"no_summary"}
    lower = s.chance(0.13)
    if lower:
        for fact in shares:
            setattr(t, fact, getattr(t, fact).lower())
    if not bare and not head.startswith("{") and s.noise(0.08):  # a verb nobody knows
        head = " ".join(s.pseudo() for _ in range(r.choice((1, 1, 2, 3)))) + " " + head.partition(" ")[2]
    head = roughened(s, head)
    if head.startswith("{docs}") and not lower:
        t.docs = t.docs[:1].upper() + t.docs[1:]
    text = (articled(head) if s.chance(0.8) else head).format(docs=t.docs, output=t.output)
    kinds = ("source", "fields", "output", "when") if bare else ("source", "fields", "when")
    text = with_clauses(s, t, text, HELD_CLAUSES if s.held else CLAUSES, kinds, lower)
    text = text.lower() if lower else text[:1].upper() + text[1:] if s.chance(0.85) else text
    t.sentence = greeted(s, ended(s, text))
    return t


def value(s: Source, fact: str) -> str:
    """Draw what a request says for `fact`; in training often words that it could not have learnt by heart."""
    r, odd = s.rng, s.noise(0.4)
    if fact == "when" and s.chance(0.3):
        return s.deadline()
    template = r.choice(ODD[fact]) if odd else s.pick(VALUES[fact], HELD_VALUES[fact])
    number = s.integer(2, 12)
    if fact == "docs":
        number = r.choice((number, NUMBER_WORDS[int(number) - 1], s.integer(13, 99), s.integer(2, 90) + "0"))
    words = {key: s.mixed(POOL[fact]) if odd else "" for key in "abc"}
    text = template.format(
        n=number,
        name=s.name(),
        place=s.place(),
        pseudo="" if s.blank else s.pseudo(),
        kind=r.choice(KINDS),
        **words,
    )
    return articled(" ".join(text.split()))


def plan(t: Documents) -> Plan:
    """Return the plan: the module's rule, less what is not wanted, plus what is asked for."""
    x = t.docs
    read = "ocr" if "scanned" in t.flags else "intake"
    sure = "extract" if "no_check" in t.flags else "check"
    body = [
        Subtask("intake", f"Collect {x}{t.origin}", "intake clerk", 1, ()),
        Subtask("ocr", f"Read the scanned text of {x}", "text recogniser", 3, ("intake",)),
        Subtask("classify", f"Sort {x} by type", "document classifier", 2, (read,)),
        Subtask("extract", f"Extract {t.values} from {x}", "data extractor", 3, ("classify",)),
        Subtask("summary", f"Summarise {x}", "summary writer", 2, ("classify",)),
        Subtask("duplicates", f"Find duplicates among {x}", "duplicate finder", 2, ("classify",)),
        Subtask("check", f"Check {t.values} of {x}", "quality checker", 2, ("extract",)),
        Subtask("redact", f"Hide personal data in {x}", "privacy officer", 3, (sure,)),
        Subtask("translate", f"Translate the text of {x}", "translator", 3, (sure,)),
    ]
    body = [y for y in body if y.id not in WANTED or WANTED[y.id] in t.flags]
    body = [y for y in body if UNWANTED.get(y.id) not in t.flags]
    needed = {d for y in body for d in y.depends_on}
    ends = tuple(y.id for y in body if y.id not in needed)
    tasks = [*body, Subtask("export", f"Export {x}{t.target}{t.due}", "export operator", 2, ends)]
    if "sign" in t.flags:
        tasks.append(Subtask("sign", f"Sign the export of {x}", "signing officer", 1, ("export",)))
    last = Subtask("report", f"Report on {x}{t.due}", "process manager", 2, (tasks[-1].id,))
    return Plan((*tasks, last))


# --- what the agents answer ------------------------------------------------------------------------------

CONTEXT = {
    "batch": phrases("The batch is {x}.|We collected {x}.|Batch: {x}.|Received: {x}."),
    "kinds": phrases("The types are {x}.|We found {x}.|Types: {x}.|Sorted into {x}."),
    "values": phrases("The values are {x}.|We extracted {x}.|Values: {x}.|Extracted: {x}."),
    "doubt": phrases("Look again at {x}.|One doubt remains: {x}.|Unclear: {x}.|Check {x} by hand."),
    "place_of": phrases("The export is in {x}.|Saved to {x}.|Exported to {x}.|The result is in {x}."),
}
CONTEXT = {kind: joined(own, DOCUMENTS["contexts"][kind]) for kind, own in CONTEXT.items()}
HELD_CONTEXT = held_documents.DOCUMENTS["contexts"]
SOURCE_OF = {
    "batch": "intake",
    "kinds": "classify",
    "values": "extract",
    "doubt": "check",
    "place_of": "export",
}
SLOT_OF = {v: k for k, v in SOURCE_OF.items()}


def known(t: Documents) -> dict[str, str]:
    """Return what the teaching agents come up with themselves: no invented figures."""
    return {
        "batch": f"one folder with {t.docs}",
        "kinds": "complete, incomplete and unclear pages",
        "values": f"a table of {t.values}",
        "doubt": f"the unclear pages with {t.values}",
        "place_of": t.output or "a dated export folder",
    }


def found(s: Source) -> dict[str, str]:
    """Return findings with random names and figures, as other agents or people may have put them."""
    r = s.rng
    a, b, c, n, m = s.name(), s.name(), s.name(), r.randint(2, 400), r.randint(2, 40)
    file = (s.pseudo() or "file") + r.choice((".csv", ".pdf", ".xlsx", ".zip", ""))
    noun, other = (r.choice(KINDS) for _ in range(2))
    return {
        "batch": r.choice(
            (
                f"{n} files in folder {a}",
                f"lot {n} with {m} {noun}",
                f"{n} pages from {s.person()}",
                f"{file} with {m} {noun}",
                f"the {a} box and the {b} binder",
            )
        ),
        "kinds": r.choice(
            (
                f"{n} {noun} and {m} notes",
                f"{a} {noun} and {b} {other}",
                f"mostly {noun}, and {m} of type {c}",
                f"{m} types, the largest {s.pseudo()} {noun}",
            )
        ),
        "values": r.choice(
            (
                f"a total of {s.money()}",
                f"{n} entries, all due {s.deadline()}",
                f"number {r.randint(100, 99999)} for {a}",
                f"{s.money()} for {b}, {s.money()} for {c}",
                f"{s.pseudo()} {n} and {s.pseudo()} {m}",
            )
        ),
        "doubt": r.choice(
            (
                f"page {m} of the {a} file",
                f"two totals that differ by {s.money()}",
                f"the date on {noun} {n}",
                f"the signature of {s.person()}",
                f"{m} lines about {s.pseudo() or 'it'}",
            )
        ),
        "place_of": r.choice(
            (
                f"folder {a}",
                file,
                f"sheet {m} of {file}",
                f"the {b} drive",
                f"the {s.place()} archive, shelf {m}",
            )
        ),
    }


def answer(t: Documents, task: Subtask, got: dict[str, str]) -> str:
    """Return an agent's answer, given the findings that its context shows."""
    mine, x = known(t), t.docs
    batch = f" Batch: {got['batch']}." if "batch" in got else ""
    kinds = f" Types: {got['kinds']}." if "kinds" in got else ""
    values = f" Values: {got['values']}." if "values" in got else ""
    doubt = f" Still open: {got['doubt']}." if "doubt" in got else ""
    due = f" It is due {t.when}." if t.when else ""
    place = got.get("place_of", mine["place_of"])
    match task.id:
        case "intake":
            wanted = f" Wanted: {t.fields}." if t.fields else ""
            return f"The batch is {mine['batch']}{t.origin}.{wanted} Keep the originals as they came."
        case "ocr":
            return f"The text recognition reads {x}.{batch} Mark each page that is hard to read."
        case "classify":
            return f"The types are {mine['kinds']}.{batch} Put unclear cases aside."
        case "extract":
            return f"The values are {mine['values']}.{kinds} Leave a field empty where the page says nothing."
        case "summary":
            return f"The summary covers {x}{t.origin}.{kinds} It says what each one is about and what it asks for."
        case "duplicates":
            return f"Compare {x} by sender, date and content.{kinds} Keep the first of each pair and list the rest."
        case "check":
            return f"Look again at {mine['doubt']}.{values} Compare them with the original pages."
        case "redact":
            return f"Black out names, addresses and numbers of people in {x}.{values}{doubt}"
        case "translate":
            return f"Translate the text of {x} and keep names and numbers as they are.{values}{doubt}"
        case "export":
            return f"The export is in {mine['place_of']}.{values}{doubt}{due}"
        case "sign":
            return f"Sign the export in {place} and keep the certificate with it.{due}"
        case "report":
            return f"The work on {x}{t.origin} is complete. The result is in {place}.{values}{doubt}{due}"
    return general(t, task.description)


def general(t: Documents, task: str) -> str:
    """Return the answer to a task somebody added: restate it with the facts, promise nothing."""
    return (
        f"{task.rstrip('.')}: this is for the work on {t.docs}{t.origin}{t.due}. "
        "I cannot see the files, so confirm the details in the documents."
    )


ADDED = (
    *phrases("Check the dates|Call {name}|Number the pages|Make a backup|Ask {name}"),
    *DOCUMENTS["ADDED"],
)
HELD_ADDED = held_documents.DOCUMENTS["ADDED"]
