"""What a model's tokens cost, in a currency of your own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dyntaskmas_nb.core.task import shown
from dyntaskmas_nb.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of a million tokens, read (`input`) and written (`output`)."""

    input: float = 0.0
    output: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.input, self.output):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
                raise InvalidInput(f"A million tokens cost from 0 to 1,000,000, not {shown(value)}.")

    def of(self, read: int, written: int) -> float:
        """What a call cost that read and wrote so many tokens.

        Examples
        --------
        >>> Price(input=0.5, output=2).of(500_000, 100_000)
        0.45
        """
        return (read * self.input + written * self.output) / 1e6


def price_of(prices: Mapping[str, Price], model: str) -> Price:
    """The price of `model` (a backend's name), or of "*", any model; raises `InvalidInput` for none."""
    for name in (model, model.partition(" at ")[0], "*"):  # "llama-3.1-8b at 127.0.0.1:8000"
        if isinstance(price := prices.get(name), Price):
            return price
    raise InvalidInput(f"There is no Price for the model {shown(model)}; give one for it or for '*'.")
