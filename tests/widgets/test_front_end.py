"""The front end's own unit tests (widgets/tests), and what its sources promise as text."""

from __future__ import annotations

import json
import re

import pytest

from tools import front_end

# Ways to make markup or code of text. What a run says is foreign: a text node (widgets/src/dom.js), no more.
DANGEROUS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|srcdoc|document\.write|setHTMLUnsafe"
    r"|\beval\(|\bnew Function\b|javascript:"
)


@pytest.mark.timeout(front_end.NPM_SECONDS + front_end.NODE_SECONDS)
def test_unit_tests_of_the_front_end_pass() -> None:
    """Never skipped: `make test` brings Node.js where the machine has none."""
    front_end.test()


def test_no_source_makes_markup_or_code_of_text() -> None:
    scripts = [path for path in front_end.sources() if path.suffix == ".js"]
    assert scripts
    found = {path.name: DANGEROUS.findall(path.read_text(encoding="utf-8")) for path in scripts}
    assert {name: words for name, words in found.items() if words} == {}


def test_every_package_is_pinned_exactly() -> None:
    package = json.loads((front_end.WIDGETS / "package.json").read_text(encoding="utf-8"))
    pins = {**package["dependencies"], **package["devDependencies"]}
    assert {name: pin for name, pin in pins.items() if not re.fullmatch(r"\d+\.\d+\.\d+", pin)} == {}
    locked = json.loads(front_end.LOCK.read_text(encoding="utf-8"))["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in pins} == pins
