"""`python -m zoo list` and `python -m zoo describe NAME`."""

import dataclasses
import sys
from typing import Annotated

import tyro

from zoo import catalog, describe


@dataclasses.dataclass(frozen=True)
class List:
    """Every network of the zoo, with its family, parameters and source."""


@dataclasses.dataclass(frozen=True)
class Describe:
    """The rows of one network, each with its output shape and parameters."""

    name: tyro.conf.Positional[str]
    """name in the catalog; `python -m zoo list` shows them"""


COMMANDS = Annotated[List, tyro.conf.subcommand("list")] | Annotated[Describe, tyro.conf.subcommand("describe")]


def main(argv=None):
    config = tyro.cli(COMMANDS, prog="python -m zoo", args=argv)
    if isinstance(config, List):
        for name, entry in catalog.ENTRIES.items():
            print(f"{name:20}{entry.family:16}{entry.parameters:>14,}  {entry.source}")
        return
    try:
        print("\n".join(describe.table(config.name)))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
