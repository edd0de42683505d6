"""Context Distribution Manager: which agents a new piece of context concerns (paper §III-C, Eq. 12, Alg. 3).

| Paper | Here |
|---|---|
| ST(u), tags of the update | `tags` of `Subscriptions.recipients` |
| ST(a), GetTags(agent) | `Subscription.tags`: what the agent is working on, and what it asked for |
| Relevance(u, a), Eq. 12 | `tag_relevance` |
| θ | `Subscription.theta`, each agent's own; Eq. 15 compares other quantities and has another one |
| R, lines 2–7 of Alg. 3 (its text says "Algorithm 9") | `Subscriptions.recipients` |
| SendUpdate(agent, update), line 9 | a `Delivery`; sending is the caller's |

Two things differ from print. Alg. 3 sends to whoever is interested and so would leak: here an agent is named
only if its level may read the node, the test of Eq. 15. And its loop over all agents became a count over
postings, tag → agents: Eq. 12 needs |ST(u) ∩ ST(a)| and two sizes, so an agent that shares no tag is never
touched, and the answer is the loop's.
"""

from __future__ import annotations

from array import array
from collections.abc import Set
from dataclasses import dataclass

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.node import MAX_TAGS, NodeId, check_count, check_name, check_theta


def tag_relevance(a: Set[str], b: Set[str]) -> float:
    """Return the Jaccard index |a ∩ b| / |a ∪ b| of two sets of tags, in [0, 1] (Eq. 12).

    # Paper silent: two empty sets give 0, because who says nothing about itself is not relevant to all.

    References
    ----------
    arXiv:2503.07675, Eq. 12.

    Examples
    --------
    >>> tag_relevance({"hotel", "kyoto"}, {"hotel", "kyoto", "price"})
    0.6666666666666666
    >>> tag_relevance(set(), set())
    0.0
    """
    shared = len(a & b)
    union = len(a) + len(b) - shared
    return shared / union if union else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What an agent wants to be told: nodes up to its level whose tags are more relevant than θ to its own.

    θ = 0 asks for whatever shares a tag; θ = 1, since nothing exceeds it, for nothing.

    Raises InvalidInput for a blank agent or tag, more than `MAX_TAGS` tags, a bool or negative level, θ
    outside [0, 1] or NaN.
    """

    agent: str
    tags: frozenset[str]
    access: int
    theta: float

    def __post_init__(self) -> None:
        name = f"agent {check_name(self.agent, 'the agent of a subscription')!r:.80}"
        if not isinstance(self.tags, frozenset) or len(self.tags) > MAX_TAGS:
            raise InvalidInput(f"tags of {name} must be a frozenset of at most {MAX_TAGS} strings.")
        for tag in self.tags:
            check_name(tag, f"a tag of {name}")
        check_count(self.access, f"access of {name}")
        check_theta(self.theta, f"θ of {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A version of a node on its way to an agent (Alg. 3, line 9); `seq` numbers deliveries in order."""

    seq: int
    agent: str
    node: NodeId
    version: int
    relevance: float


class Subscriptions:
    """The agents of Alg. 3, ready to be matched. Use it from one thread.

    An agent has a slot, a place in the columns of sizes, thresholds and levels; a posting lists the slots of
    the agents that have a tag. A slot that nobody has is in no posting.

    Examples
    --------
    >>> known = Subscriptions()
    >>> known.add(Subscription(agent="hotel", tags=frozenset({"hotel", "kyoto"}), access=1, theta=0.3))
    >>> known.add(Subscription(agent="guest", tags=frozenset({"hotel"}), access=0, theta=0.3))
    >>> known.recipients({"hotel", "kyoto", "price"}, access=0)
    [('hotel', 0.6666666666666666), ('guest', 0.3333333333333333)]
    >>> known.recipients({"hotel"}, access=1)
    [('hotel', 0.5)]
    """

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._postings: dict[str, array[int]] = {}
        self._subscriptions: list[Subscription | None] = []
        self._sizes, self._thetas, self._levels = array("i"), array("d"), array("i")

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, agent: str) -> Subscription | None:
        """Return what `agent` subscribes to, or None."""
        slot = self._slots.get(agent)
        return None if slot is None else self._subscriptions[slot]

    def agents(self) -> tuple[str, ...]:
        """Return who subscribes, by name."""
        return tuple(sorted(self._slots))

    def add(self, subscription: Subscription) -> None:
        """Take in a subscription, in place of the one its agent had."""
        self.remove(subscription.agent)
        slot = self._free.pop() if self._free else self._new_slot()
        self._slots[subscription.agent] = slot
        self._subscriptions[slot] = subscription
        self._sizes[slot] = len(subscription.tags)
        self._thetas[slot] = subscription.theta
        self._levels[slot] = subscription.access
        for tag in subscription.tags:
            self._postings.setdefault(tag, array("i")).append(slot)

    def remove(self, agent: str) -> bool:
        """Forget `agent`'s subscription; False if it had none."""
        slot = self._slots.pop(agent, None)
        if slot is None:
            return False
        subscription, self._subscriptions[slot] = self._subscriptions[slot], None
        assert subscription is not None
        for tag in subscription.tags:
            self._postings[tag].remove(slot)
            if not self._postings[tag]:
                del self._postings[tag]
        self._free.append(slot)
        return True

    def recipients(self, tags: Set[str], access: int) -> list[tuple[str, float]]:
        """Return R of Alg. 3: who is to know of a node with `tags` on level `access`, and how relevant it is.

        Exactly the agents with ``tag_relevance(tags, theirs) > θ`` (strictly) and at least level `access`,
        by falling relevance, then by name.

        Raises InvalidInput for a bool or negative level.

        References
        ----------
        arXiv:2503.07675, Eq. 12, Alg. 3.
        """
        check_count(access, "access")
        postings = [self._postings[tag] for tag in tags if tag in self._postings]
        if not postings:
            return []
        import numpy as np

        # No view of a column gets a name: an array with a view on it cannot grow.
        slots = np.concatenate([np.frombuffer(posting, np.intc) for posting in postings])
        shared = np.bincount(slots, minlength=len(self._sizes))
        relevance = shared / (np.frombuffer(self._sizes, np.intc) + len(tags) - shared)
        relevant = relevance > np.frombuffer(self._thetas)
        named = np.flatnonzero(relevant & (np.frombuffer(self._levels, np.intc) >= access)).tolist()
        found = zip(map(self._subscriptions.__getitem__, named), relevance[named].tolist(), strict=True)
        ranked = sorted((-value, subscription.agent) for subscription, value in found if subscription)
        return [(agent, -minus) for minus, agent in ranked]

    def _new_slot(self) -> int:
        self._subscriptions.append(None)
        for column in (self._sizes, self._thetas, self._levels):
            column.append(0)
        return len(self._subscriptions) - 1
