"""What the benchmarks print: a Markdown table of figures and their bars, 80 columns wide."""

from typing import NamedTuple

HEADER = f"""\
| {"what":<30} | {"measured":<17} | figure | bar     | met |
| {"-" * 30} | {"-" * 17} | -----: | ------- | --- |"""


class Row(NamedTuple):
    """A line of the table: `value` is to be at least `bar`, or at most where `is_limit`; None where no bar is set."""

    what: str
    measured: str
    value: float
    bar: float | None
    is_limit: bool = False

    def __str__(self):
        bar, met = "", ""
        if self.bar is not None:
            is_met = self.value <= self.bar if self.is_limit else self.value >= self.bar
            bar, met = f"{'<=' if self.is_limit else '>='} {self.bar:g}", "yes" if is_met else "no"
        return f"| {self.what:<30} | {self.measured:<17} | {self.value:6.2f} | {bar:<7} | {met:<3} |"
