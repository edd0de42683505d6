"""Held-out evaluation of the shipped weights: `python -m tools.teaching_llama.evaluate FOLDER [--count N]`.

Names, places, interests, topics, audiences, phrasings and foreign sentences come from the held-out lists;
`PROBES` are requests written by hand. Decoding is greedy, with the int8 weights as shipped: by the
package's own engine, plans under their JSON grammar (`--engine`), or batched in PyTorch without a grammar.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from types import ModuleType

import anyio
import torch

from dyntaskmas_nb.agents.prompts import REFUSAL, planner_messages
from dyntaskmas_nb.dtgg.repair import plan_schema
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.embedded.lexical import FORMS, Names, read_lexicon
from dyntaskmas_nb.llm.protocol import Message, Request, complete
from tools.teaching_llama.agents import agent_example
from tools.teaching_llama.domains import DOMAINS, FIRST, PROBES
from tools.teaching_llama.export import load
from tools.teaching_llama.lexicon import LEXICON
from tools.teaching_llama.mixture import MAX_TASKS, SPECIALS, prompt_ids
from tools.teaching_llama.plan import REFUSED, Plan, read
from tools.teaching_llama.refusals import refused
from tools.teaching_llama.surfaces import Source

Answer = Callable[[Sequence[Sequence[Message]]], list[str]]


def has(text: str, entity: str) -> bool:
    """Whether `entity` stands in `text` letter for letter, at word borders."""
    return re.search(rf"(?<!\w){re.escape(entity)}(?!\w)", text) is not None


def domain_of(plan: Plan | None) -> str:
    """Return the domain whose first task the plan starts from."""
    ids = {t.id for t in plan.subtasks} if plan else set()
    return next((name for first, name in FIRST.items() if first in ids), "none")


def torch_answers(folder: Path, width: int = 48) -> Answer:
    """Return a function that answers many prompts by batched greedy decoding."""
    model, tokenizer = load(folder)
    lexicon = read_lexicon(folder) or LEXICON
    first = tokenizer.get_vocab_size() - len(FORMS)

    def answer(prompts: Sequence[Sequence[Message]]) -> list[str]:
        tables = [Names(lexicon) for _ in prompts]
        encoded = [prompt_ids(tokenizer, m, names) for m, names in zip(prompts, tables, strict=True)]
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
        out = [""] * len(encoded)
        for at in range(0, len(order), width):
            rows = order[at : at + width]
            got = model.greedy([encoded[i] for i in rows], SPECIALS.index("<|end|>"))
            for i, ids in zip(rows, got, strict=True):
                runs = groupby(ids, key=lambda t: t - first if t >= first else -1)
                out[i] = "".join(
                    tables[i].text(k) * len(list(run)) if k >= 0 else tokenizer.decode(list(run))
                    for k, run in runs
                )
        return out

    return answer


def engine_answers(folder: Path) -> Answer:
    """Return a function that answers many prompts through the package's engine, plans under their grammar."""

    async def one(backend: EmbeddedLlama, messages: Sequence[Message], out: list[str], at: int) -> None:
        schema = plan_schema(MAX_TASKS, True) if messages[0].content == "planner" else None
        request = Request(messages=tuple(messages), max_tokens=480 if schema else 256, json_schema=schema)
        out[at] = (await complete(backend, request)).text

    async def every(prompts: Sequence[Sequence[Message]]) -> list[str]:
        backend, out = EmbeddedLlama(folder, max_batch=48), [""] * len(prompts)
        async with anyio.create_task_group() as group:
            for at, messages in enumerate(prompts):
                group.start_soon(one, backend, messages, out, at)
        await backend.aclose()
        return out

    return lambda prompts: anyio.run(every, prompts)


def plans(answer: Answer, source: Source, domain: ModuleType, count: int, show: int) -> Counter[str]:
    """Count what is right in the plans of `count` requests."""
    trips = [domain.request(source) for _ in range(count)]
    texts = answer([planner_messages(t.sentence, terse=True, max_tasks=MAX_TASKS) for t in trips])
    c: Counter[str] = Counter()
    for t, text in zip(trips, texts, strict=True):
        gold, got = domain.plan(t), read(text)
        mine = {x.id: x.description for x in got.subtasks} if got else {}
        pairs = [
            (has(mine.get(x.id, ""), f)) for x in gold.subtasks for f in t.facts() if has(x.description, f)
        ]
        c += Counter(
            n=1,
            refused=text == REFUSED,
            dag=got is not None,
            domain=domain_of(got) == domain.NAME,
            shape=got is not None and got.shape == gold.shape,
            pairs=len(pairs),
            copied=sum(pairs),
            all=all(pairs),
            exact=text == gold.json(),
        )
        if show and text != gold.json():
            show -= 1
            print("  REQUEST", t.sentence)
            if got is None or got.shape != gold.shape:
                print("   plan ", text[:90], {k: sorted(v) for k, v in got.shape.items()} if got else "")
            for x in gold.subtasks:
                if mine.get(x.id) != x.description:
                    print("   want ", x.description, "| got", mine.get(x.id))
                    break
    return c


def agents(answer: Answer, source: Source, domain: ModuleType, count: int, show: int) -> Counter[str]:
    """Count what is right in agents' answers."""
    cases = [agent_example(source, domain) for _ in range(count)]
    texts = answer([c.messages for c in cases])
    c: Counter[str] = Counter()
    for case, text in zip(cases, texts, strict=True):
        if case.kind == "agent-refusal":
            c += Counter(outside=1, outside_refused=text == REFUSAL)
            continue
        hits = [has(text, e) for e in case.entities]
        c += Counter(
            n=1,
            refused=text == REFUSAL,
            pairs=len(hits),
            copied=sum(hits),
            all=all(hits),
            exact=text == case.answer,
        )
        if show and not all(hits):
            show -= 1
            print("  AGENT", case.messages, "\n   want", case.answer, "\n   got ", text)
    return c


def by_hand(answer: Answer, show: int) -> dict[str, float]:
    """Return the shares of hand-written requests that found their domain, or their refusal."""
    out = {}
    for name, rows in PROBES.items():
        texts = answer([planner_messages(x, terse=True, max_tasks=MAX_TASKS) for x in rows])
        good = [(x == REFUSED) if name == "outside" else domain_of(read(x)) == name for x in texts]
        out[name] = sum(good) / len(rows)
        for row, text, ok in zip(rows, texts, good, strict=True):
            if show and not ok:
                print(f"  {name}: {row!r} -> {text[:100]}")
    return out


def evaluate(
    answer: Answer, count: int, seed: int = 99, held: bool = True, show: int = 0
) -> dict[str, object]:
    """Return every number of the model card."""
    source = Source(random.Random(seed), held=held)
    out: dict[str, object] = {}
    total: Counter[str] = Counter()
    for domain in DOMAINS:
        c = plans(answer, source, domain, count, show)
        a = agents(answer, source, domain, count, show)
        total += Counter({f"plan_{k}": v for k, v in c.items()}) + Counter(
            {f"agent_{k}": v for k, v in a.items()}
        )
        out[domain.NAME] = {
            "plan valid DAG": c["dag"] / c["n"],
            "plan valid DAG with the real dependencies": c["shape"] / c["n"],
            "right domain": c["domain"] / c["n"],
            "false refusal": c["refused"] / c["n"],
            "plan entities copied": c["copied"] / c["pairs"],
            "plans with every entity right": c["all"] / c["n"],
            "plans word for word": c["exact"] / c["n"],
            "answer entities copied": a["copied"] / a["pairs"],
            "answers with every entity right": a["all"] / a["n"],
            "answers word for word": a["exact"] / a["n"],
            "agent false refusal": a["refused"] / a["n"],
            "agent refusal outside": a["outside_refused"] / max(1, a["outside"]),
        }
    outside = [refused(source) for _ in range(count)]
    texts = answer([planner_messages(x, terse=True, max_tasks=MAX_TASKS) for x in outside])
    missed = [x for x, text in zip(outside, texts, strict=True) if text != REFUSED]
    if show:
        print("  NOT REFUSED", missed[:25])
    pairs = total["plan_pairs"] + total["agent_pairs"]
    out["all"] = {
        "entity copying": (total["plan_copied"] + total["agent_copied"]) / pairs,
        "plan valid DAG with the real dependencies": total["plan_shape"] / total["plan_n"],
        "right domain": total["plan_domain"] / total["plan_n"],
        "refusal of out-of-domain": 1 - len(missed) / count,
        "false refusal": total["plan_refused"] / total["plan_n"],
    }
    out["by hand"] = by_hand(answer, show)
    return out


def main() -> None:
    """Print the evaluation as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=500, help="requests a domain and kind")
    parser.add_argument("--show", type=int, default=0, help="mistakes to print of each kind")
    parser.add_argument("--seen", action="store_true", help="draw from the training split instead")
    parser.add_argument(
        "--engine", action="store_true", help="decode with the package's engine, plans under grammar"
    )
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    answer = engine_answers(args.folder) if args.engine else torch_answers(args.folder)
    result = evaluate(answer, args.count, held=not args.seen, show=args.show)
    print(json.dumps(result, indent=1, default=float))


if __name__ == "__main__":
    main()
