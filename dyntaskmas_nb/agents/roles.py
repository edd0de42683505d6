"""Who does what: a role's own function first, then the function for every role, then the Llama."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from dyntaskmas_nb.agents.function import FunctionAgent
from dyntaskmas_nb.agents.llama import LlamaAgent
from dyntaskmas_nb.agents.outcome import Agent
from dyntaskmas_nb.core.settings import ANY_ROLE
from dyntaskmas_nb.core.task import MAX_NAME, check_text
from dyntaskmas_nb.errors import AgentError, InvalidInput
from dyntaskmas_nb.llm.protocol import Backend


class Behaviours:
    """The agents of a kit by role.

    Parameters
    ----------
    agents : role → function (see `agents.function`), ``"*"`` for every other role.
    backend : the language model for the roles that have no function, or None.

    Raises
    ------
    InvalidInput
        `agents` is no mapping, a role is no text, or a function cannot be an agent.
    """

    __slots__ = ("_by_role", "_llama", "virtual")

    def __init__(
        self, agents: Mapping[str, Callable[..., Any]] | None = None, backend: Backend | None = None
    ) -> None:
        agents = {} if agents is None else agents
        if not isinstance(agents, Mapping):
            raise InvalidInput(f'agents must be a dict {{"role": function}}, not {type(agents).__name__}.')
        for role in agents:
            check_text(role, "The role of an agent", MAX_NAME, empty=False)
        self._by_role: dict[str, Agent] = {role: _agent(function) for role, function in agents.items()}
        self._llama = None if backend is None else LlamaAgent(backend)
        self.virtual = backend is None or backend.caps.virtual
        """Whether all of them may run under the virtual clock."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles with a function of their own."""
        return tuple(self._by_role)

    def agent(self, role: str) -> Agent:
        """The agent for `role`; raises `AgentError` naming the roles there are when nobody can take it."""
        found = self._by_role.get(role) or self._by_role.get(ANY_ROLE) or self._llama
        if found is None:
            raise self._nobody(role)
        return found

    def _nobody(self, role: str) -> AgentError:
        close = get_close_matches(role, self.roles, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        there = ", ".join(map(repr, self.roles)) or "none"
        return AgentError(
            f"No agent takes the role {role!r}.{hint} Roles with a function: {there}. "
            f'Give one, Kit(agents={{"{role}": function}}) or {{"*": function}}, or connect a model.',
            retryable=False,
        )


def _agent(function: Callable[..., Any]) -> Agent:
    return function if isinstance(function, FunctionAgent | LlamaAgent) else FunctionAgent(function)
