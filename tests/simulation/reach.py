"""Which lines of the app seeds reach, apart from those that its import runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file: those that can run, that the import runs, and that nothing reached."""

    file: str
    all: frozenset[int]
    imported: frozenset[int]
    missed: frozenset[int]

    @property
    def called(self) -> frozenset[int]:
        """The lines that only a call can run."""
        return self.all - self.imported


def reach(files: Sequence[Lines]) -> Iterator[str]:
    """Yield the figures, and the lines that were not reached."""
    whole = sum(len(each.all) for each in files)
    called = sum(len(each.called) for each in files)
    missed = sum(len(each.missed) for each in files)
    yield (
        f"{_share(whole - missed, whole)} of the lines of shared/, "
        f"{_share(called - missed, called)} without those that the import runs"
    )
    for each in files:
        if each.missed:
            yield f"  never reached: {each.file} {_ranges(each)}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _ranges(lines: Lines) -> str:
    """Return the missed lines; lines with nothing between them that can run are one range."""
    found: list[list[int]] = []
    before: int | None = None
    for number in sorted(lines.all):
        if number in lines.missed:
            if before in lines.missed and found:
                found[-1].append(number)
            else:
                found.append([number])
        before = number
    return ", ".join(_range(each) for each in found)


def _range(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    return str(first) if first == last else f"{first}-{last}"
