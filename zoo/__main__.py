"""`python -m zoo list` and `python -m zoo describe NAME`."""

import dataclasses
import sys
from typing import Annotated

import tyro

from zoo import cards, catalog
from zoo.exits import without_traceback
from zoo.quiet import import_keras


@dataclasses.dataclass(frozen=True)
class List:
    """Every network: family, parameters (exact, and as its paper prints them), multiply-adds for one image, source.

    Below them the trained weights that the zoo ships, with their accuracy.
    """

    filter: str = ""
    """only networks with this in their name, family or source"""


@dataclasses.dataclass(frozen=True)
class Describe:
    """What each layer of one network costs for one image: parameters, multiply-adds, memory, receptive field."""

    name: tyro.conf.Positional[str]
    """name in the catalog, or a pattern; `python -m zoo list` shows the names"""
    input: str = ""
    """height x width x channels of the image, as in 32x32x3; that of the network's source unless given"""
    explain: bool = False
    """show the arithmetic, as in (W - F + 2P)/S + 1, in place of the table"""
    json: bool = False
    """print JSON"""

    @property
    def input_shape(self):
        if not self.input:
            return None
        sizes = self.input.split("x")
        if len(sizes) != 3 or not all(size.isdecimal() for size in sizes):
            raise ValueError(f"--input is height x width x channels, such as 32x32x3, and got {self.input!r}.")
        return tuple(map(int, sizes))

    def lines(self):
        entry = catalog.entry(self.name)
        if isinstance(entry, catalog.Table):
            entry.check(self.input_shape or entry.input_shape)
        import_keras()  # after what can be refused without it: it takes seconds
        from zoo import describe

        return describe.describe(self.name, self.input_shape, explain=self.explain, as_json=self.json)


COMMANDS = Annotated[List, tyro.conf.subcommand("list")] | Annotated[Describe, tyro.conf.subcommand("describe")]


def main(argv=None):
    with without_traceback():
        config = tyro.cli(COMMANDS, prog="python -m zoo", args=argv)
        try:
            lines = listing(config.filter) if isinstance(config, List) else config.lines()
        except ValueError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(2)
        print("\n".join(lines))


def listing(filter=""):
    """A table with a line for each network that has `filter` in its name, family or source."""
    entries = {
        name: entry
        for name, entry in catalog.ENTRIES.items()
        if filter.lower() in f"{name} {entry.family} {entry.source}".lower()
    }
    if not entries:
        raise ValueError(
            f"No network has {filter!r} in its name, family or source; `python -m zoo list` shows them all."
        )
    lines = [_columns("name", "family", "parameters", "paper", "mult-adds", "source")]
    for name, entry in entries.items():
        counts = f"{entry.parameters:,}", entry.published, millions(entry.multiply_adds)
        lines.append(_columns(name, entry.family, *counts, entry.source))
    return [*lines, *trained(entries)]


def trained(names):
    """A line for each of the weights that the zoo ships of the networks `names`, below a heading; else none."""
    lines = [
        _trained_line(cards.card(name, weights=dataset))
        for name, datasets in cards.shipped().items()
        for dataset in datasets
        if name in names
    ]
    return ["", 'trained: zoo.load("name", weights="...")', *lines] if lines else []


def _trained_line(card):
    accuracy = card["accuracy"]
    name, dataset = card["model"]["name"], card["dataset"]["name"]
    right = f"{accuracy['test']:.2%} of {accuracy['images']:,}"
    return f"{name:20}{dataset:15}{card['parameters']:>9,} parameters, {right} right"


def _columns(name, family, parameters, published, multiply_adds, source):
    return f"{name:20}{family:11}{parameters:>11}{published:>8}{multiply_adds:>10} {source}"


def millions(count):
    """270.8M for 270_836_736: the multiply-adds of one image in millions."""
    return f"{count / 1e6:,.1f}M" if count >= 1e5 else f"{count / 1e6:,.3f}M"


if __name__ == "__main__":
    main()
