"""TensorFlow Serving's flag syntax, for any dataclass whose fields are made by `flag`.

`--name=value`; a boolean also alone, or with `=true`, `=false`, `=1`, `=0`; the last of a repeated flag counts.
`--name value` is refused, as TensorFlow Serving does not take it either. An unknown flag is refused, where TensorFlow
Serving prints its usage and goes on without it.
"""

import dataclasses
import difflib
import re
import textwrap
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

COLUMNS, INDENT = 80, 36  # of --help
IGNORED = "Accepted and ignored, since it means nothing here"
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
NUMBERS = {int: (r"[+-]?\d+", "a whole number"), float: (r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", "a number")}


class FlagError(ValueError):
    """A command line that cannot be served; the message is a sentence for whoever typed it."""


def flag(group: str, default: Any, text: str) -> Any:
    """A dataclass field that is a flag: its `--help` group, its default (or the function that gives it), its help.

    In the group IGNORED the text is the reason why the flag means nothing.
    """
    metadata = {"group": group, "help": text}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def parse(flags: type[T], arguments: Sequence[str]) -> tuple[T, tuple[str, ...]]:
    """The flags given, and a notice for each of them that is ignored.

    Raises:
        FlagError: an unknown flag, a value of the wrong type, or what the dataclass itself refuses.
    """
    fields = _fields(flags)
    given = dict(_parse_argument(argument, fields) for argument in arguments)
    notices = tuple(
        f"--{name} is accepted and ignored: {fields[name].metadata['help']}."
        for name in given
        if fields[name].metadata["group"] == IGNORED
    )
    return flags(**given), notices


def _fields(flags: Any) -> dict[str, dataclasses.Field]:
    return {field.name: field for field in dataclasses.fields(flags) if "group" in field.metadata}


def _parse_argument(argument: str, fields: dict[str, dataclasses.Field]) -> tuple[str, Any]:
    name, equals, value = argument.removeprefix("--").partition("=")
    if not argument.startswith("--") or name not in fields:
        raise FlagError(_unknown(argument, name, fields))
    kind: Any = fields[name].type
    if kind is bool:
        if equals and value not in BOOLEANS:
            raise FlagError(f"--{name} is true or false, got {value!r}. Write --{name} or --{name}=false.")
        return name, BOOLEANS[value] if equals else True
    if not equals:
        raise FlagError(
            f"--{name} needs a value after an equals sign: --{name}={_show(_default(fields[name])) or '...'}"
        )
    if kind is str:
        return name, value
    pattern, expected = NUMBERS[kind]
    if not re.fullmatch(pattern, value):
        raise FlagError(f"--{name} is {expected}, got {value!r}.")
    return name, kind(value)


def _unknown(argument: str, name: str, fields: dict[str, dataclasses.Field]) -> str:
    if not argument.startswith("-"):
        return f"Unexpected argument {argument!r}. Flags are written --name=value; --help lists them."
    name = name.lstrip("-").replace("-", "_")
    ends_alike = [known for known in fields if f"_{name}".endswith(f"_{known}")]  # --grpc_port: --port
    close = ends_alike or difflib.get_close_matches(name, fields, n=1)
    hint = f" Did you mean --{close[0]}?" if close else ""
    return f"Unknown flag {argument.partition('=')[0]}.{hint} --help lists all flags."


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def help_text(flags: Any) -> str:
    """Every flag with its default and its help, by group, in lines of at most 80 columns."""
    groups: dict[str, list[str]] = {}
    for field in _fields(flags).values():
        default = _default(field)
        name = f"  --{field.name}" + ("" if default is False else f"={_show(default)}")
        text = textwrap.wrap(field.metadata["help"], COLUMNS - INDENT)
        first = [f"{name:<{INDENT}}{text[0]}"] if len(name) < INDENT - 1 else [name, " " * INDENT + text[0]]
        groups.setdefault(field.metadata["group"], []).extend([*first, *(" " * INDENT + line for line in text[1:])])
    return "\n\n".join("\n".join([group, *lines]) for group, lines in groups.items())
