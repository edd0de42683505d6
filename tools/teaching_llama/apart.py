"""Keep the held-out lists apart from `wide/*.txt`: `python -m tools.teaching_llama.apart`.

Lines that a held-out list has, too, whatever their capitals and end marks, are taken out of the text files. It
prints counts only: nobody who writes phrasings may see a held-out one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tools.teaching_llama import held, held_devops, held_documents, held_robots
from tools.teaching_llama.domains import PROBES
from tools.teaching_llama.wide import FOLDER, SECTION, sections

HELD = {"refusals": held.REFUSALS} | dict(
    x
    for name, lists in {
        "travel": held.TRAVEL,
        "research": held.RESEARCH,
        "devops": held_devops.DEVOPS,
        "documents": held_documents.DOCUMENTS,
        "robots": held_robots.ROBOTS,
    }.items()
    for x in sections(lists, name)
)


def folded(texts: Iterable[str]) -> frozenset[str]:
    """Return texts without what does not make them differ."""
    return frozenset(x.casefold().strip(" .,;:?!") for x in texts)


def rivals(section: str) -> frozenset[str]:
    """Return the held-out texts that no line of `section` may repeat, folded."""
    domain = section.partition(".")[0].replace("refusals", "outside")
    whole = PROBES[domain] if domain == "outside" or ".HEADS" in section else ()
    return folded((*HELD.get(section, ()), *whole))


def cleared(path: Path) -> Counter[str]:
    """Take the doubles out of one file; return how many there were in each section."""
    kept, taken = [], Counter[str]()
    section, forbidden = "", frozenset[str]()
    for line in path.read_text(encoding="utf-8").split("\n"):
        if head := SECTION.fullmatch(line):
            section, forbidden = head[1], rivals(head[1])
        elif line.strip() and folded((line,)) <= forbidden:
            taken[section] += 1
            continue
        kept.append(line)
    if taken:
        path.write_text("\n".join(kept), encoding="utf-8")
    return taken


def main() -> None:
    """Clear every file."""
    for path in sorted(FOLDER.glob("*.txt")):
        taken = cleared(path)
        print(f"{path.name}: {taken.total()} lines taken out {dict(taken)}")


if __name__ == "__main__":
    main()
