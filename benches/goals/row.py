"""One line of the table."""

from dataclasses import dataclass


@dataclass
class Row:
    """A goal, and what was measured. `holds` is None where nothing was, `best` whether the stretch goal holds too."""

    goal: str
    what: str
    must: str
    stretch: str
    measured: str
    holds: bool | None
    best: bool = False

    def verdict(self):
        if self.holds is None:
            return "–"
        if not self.holds:
            return "**no**"
        return "yes, and the stretch" if self.best else "yes"


def missing(goal, what, must, stretch, why):
    return Row(goal, what, must, stretch, why, None)


def table(rows):
    lines = ["", "| goal | what | must | stretch | measured | holds? |", "|---|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: (row.goal[0], int(row.goal[1:]))):
        lines.append(f"| {row.goal} | {row.what} | {row.must} | {row.stretch} | {row.measured} | {row.verdict()} |")
    return "\n".join(lines)
