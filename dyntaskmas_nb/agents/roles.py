"""Who does what: a role's own function first, then the function for every role, then the Llama."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dyntaskmas_nb.agents.function import FunctionAgent
from dyntaskmas_nb.agents.llama import LlamaAgent
from dyntaskmas_nb.agents.outcome import Agent
from dyntaskmas_nb.core.settings import ANY_ROLE
from dyntaskmas_nb.core.task import MAX_NAME, check_text
from dyntaskmas_nb.errors import AgentError, InvalidInput
from dyntaskmas_nb.llm.price import Price
from dyntaskmas_nb.llm.protocol import Backend


class Behaviours:
    """The agents of a kit: `agents` maps roles to functions, ``"*"`` is for every other role, then `backend`.

    Raises `InvalidInput` when `agents` is no mapping, a role is no text, or a function cannot be an agent.
    """

    __slots__ = ("_by_role", "_llama")

    def __init__(
        self,
        agents: Mapping[str, Callable[..., Any]] | None = None,
        backend: Backend | None = None,
        price: Price = Price(),
    ) -> None:
        if not isinstance(agents, Mapping | None):
            raise InvalidInput(f'agents must be a dict {{"role": function}}, not {type(agents).__name__}.')
        self._by_role: dict[str, Agent] = {}
        for role, function in (agents or {}).items():
            check_text(role, "The role of an agent", MAX_NAME, empty=False)
            own = isinstance(function, FunctionAgent | LlamaAgent)
            self._by_role[role] = function if own else FunctionAgent(function)
        self._llama = None if backend is None else LlamaAgent(backend, price)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles with a function of their own."""
        return tuple(self._by_role)

    def accepts(self, role: str) -> bool:
        """Whether the agent for `role` takes context while it works: functions do, a model does not."""
        return role in self._by_role or ANY_ROLE in self._by_role

    def agent(self, role: str) -> Agent:
        """The agent for `role`; raises `AgentError` naming the roles there are when nobody can take it."""
        found = self._by_role.get(role) or self._by_role.get(ANY_ROLE) or self._llama
        if found is None:
            there = ", ".join(map(repr, self.roles)) or "none"
            raise AgentError(
                f"No agent takes the role {role!r}. Roles with a function: {there}. "
                f'Give one, Kit(agents={{"{role}": function}}) or {{"*": function}}, or connect a model.',
                retryable=False,
            )
        return found
