"""Agents' prompts with the context their predecessors left, and the answers, for any domain."""

from __future__ import annotations

import json
from types import ModuleType

from dyntaskmas_nb.agents.context import Item
from dyntaskmas_nb.agents.prompts import REFUSAL, agent_messages
from tools.teaching_llama.marks import mark, marked, marked_values
from tools.teaching_llama.plan import Subtask
from tools.teaching_llama.refusals import refused
from tools.teaching_llama.surfaces import Example, Source

GENERAL_ROLES = ("general", "general", "general", "assistant", "helper", "adviser", "expert", "agent")

AMBIGUOUS = frozenset("Call Compare Check Find Review Describe Interview Tell Buy Book Ask".split())
"""Verbs of tasks that also make sense within a good plan."""


def agent_example(s: Source, domain: ModuleType) -> Example:
    """Return one agent's prompt and answer in `domain`, or a refusal."""
    roll = s.rng.random()
    if roll < 0.13:
        return _refusal(s, domain)
    t = domain.request(s)
    plan = domain.plan(t)
    weights = [1 + 2 * len(x.depends_on) for x in plan.subtasks]
    task = s.rng.choices(plan.subtasks, weights)[0]
    slots = findings(s, domain, t)
    if roll < 0.28:
        text = added(s, domain)
        task = Subtask("added", text, s.rng.choice(GENERAL_ROLES), 2, task.depends_on)
    shown = [d for d in task.depends_on if s.chance(0.93)]
    if s.chance(0.15):  # what the store finds beside the direct predecessors
        shown = list(
            dict.fromkeys([*shown, *(x.id for x in plan.subtasks if x.id != task.id and s.chance(0.3))])
        )
    if s.chance(0.3):
        s.rng.shuffle(shown)
    items, got = [], {}
    for d in shown:
        other = next(x for x in plan.subtasks if x.id == d)
        items.append(Item(title=_title(s, other), text=_text(s, domain, t, other, slots)))
        if d in domain.SLOT_OF:
            got[domain.SLOT_OF[d]] = slots[domain.SLOT_OF[d]]
    if s.chance(0.2):  # something else the task depends on: added by hand, or not text at all
        items.insert(s.rng.randint(0, len(items)), _note(s, domain, t))
    if task.id == "added":
        answer = domain.general(marked(t), mark(task.description.rstrip(".")))
    else:
        answer = domain.answer(marked(t), task, marked_values(got))
    role = task.role if s.chance(0.9) else s.rng.choice(GENERAL_ROLES)
    messages = agent_messages(role, task.description, t.sentence, items, terse=True)
    example = Example("agent", messages, answer)
    example.entities = [f for f in (*t.facts(), *got.values()) if f in example.answer]
    return example


def findings(s: Source, domain: ModuleType, t: object) -> dict[str, str]:
    """Return what the predecessors found: half the model's own style, half random names; mixed."""
    mine, other = domain.known(t), domain.found(s)
    share = s.rng.choice((0.0, 0.7, 1.0)) if not s.blank else 0.3
    return {k: other[k] if s.chance(share) else mine[k] for k in mine}


def added(s: Source, domain: ModuleType) -> str:
    """Return a task that somebody added to the plan by hand."""
    text = s.pick(domain.ADDED, domain.HELD_ADDED).replace("{name}", s.name())
    if not s.held and not s.blank and s.chance(0.3):
        verbs = (
            "Check",
            "Find",
            "Compare",
            "Book",
            "Ask about",
            "Prepare",
            "List",
            "Look up",
            "Review",
            "Describe",
        )
        text = f"{s.rng.choice(verbs)} {s.pseudo()} {s.pseudo()}"
    return text.lower() if s.chance(0.1) else text


def _title(s: Source, task: Subtask) -> str:
    return s.rng.choice((task.id, task.id, task.id, task.description, task.role))


def _text(s: Source, domain: ModuleType, t: object, task: Subtask, slots: dict[str, str]) -> str:
    """Return the result of `task` as its successors see it: the model's own answer or a foreign sentence."""
    slot = domain.SLOT_OF.get(task.id)
    own = domain.answer(t, task, {})
    if slot is None:
        return own
    mine = domain.known(t)[slot]
    if s.chance(0.5) and mine in own:
        return own.replace(mine, slots[slot])
    if s.chance(0.2):
        return json.dumps({slot: slots[slot]}, separators=(",", ":"), ensure_ascii=False)
    templates = domain.HELD_CONTEXT if s.held else domain.CONTEXT
    return s.rng.choice(templates[slot]).format(x=slots[slot])


def _note(s: Source, domain: ModuleType, t: object) -> Item:
    """Return a piece of context that no slot of the answer takes."""
    task = added(s, domain)
    words = f"{s.name()} {s.pseudo()} {s.integer(1, 999)}"
    text = s.rng.choice(
        (domain.general(t, task), domain.general(t, task), words, task, s.integer(0, 9999), REFUSAL)
    )
    return Item(title=s.rng.choice((task.lower().replace(" ", "_"), "note", "added", "task")), text=text)


def _refusal(s: Source, domain: ModuleType) -> Example:
    """Return an agent's prompt outside the domains: the whole request, or a task put into a good plan."""
    roll = s.rng.random()
    if roll < 0.6:
        sentence = refused(s)
        task = s.rng.choice(
            (sentence, sentence, refused(s), "Do the work", "Write the result", "Find the facts")
        )
    else:
        t = domain.request(s)
        sentence, task = t.sentence, refused(s)
        while task.split()[0].title() in AMBIGUOUS:
            task = refused(s)
    role = s.rng.choice(
        (
            *GENERAL_ROLES,
            "cook",
            "engineer",
            "operator",
            "programmer",
            "poet",
            "doctor",
            "lawyer",
            "accountant",
            "writer",
            "analyst",
        )
    )
    items = [] if s.chance(0.7) else [Item(title=s.pseudo() or "note", text=refused(s))]
    return Example("agent-refusal", agent_messages(role, task, sentence, items, terse=True), REFUSAL)
