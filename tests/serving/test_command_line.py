import dataclasses

import pytest

from serving.command_line import IGNORED, FlagError, flag, help_text, parse


@dataclasses.dataclass(frozen=True)
class Oven:
    port: int = flag("Heat", 8500, "where the heat goes")
    share: float = flag("Heat", 0.0, "how much of it")
    name: str = flag("Words", "default", "what it is called")
    enable_fan: bool = flag("Words", False, "turn the fan")
    enable_light: bool = flag("Words", True, "light it, for as long as the door of the oven stands open to the kitchen")
    polish: bool = flag(IGNORED, False, "it shines already")


@pytest.mark.parametrize(
    "argument, value",
    [
        ("--port=9000", 9000),
        ("--port=-1", -1),
        ("--share=0.5", 0.5),
        ("--share=1", 1.0),
        ("--share=1e-3", 0.001),
        ("--name=a=b", "a=b"),
        ("--name=", ""),
        ("--enable_fan", True),
        ("--enable_fan=true", True),
        ("--enable_fan=1", True),
        ("--enable_light=false", False),
        ("--enable_light=0", False),
    ],
)
def test_flag_is_written_name_equals_value(argument, value):
    oven, _ = parse(Oven, [argument])

    assert oven == dataclasses.replace(Oven(), **{argument[2:].partition("=")[0]: value})


def test_no_arguments_give_the_defaults():
    assert parse(Oven, []) == (Oven(), ())


def test_last_of_a_repeated_flag_counts():
    assert parse(Oven, ["--port=1", "--port=2"])[0].port == 2


@pytest.mark.parametrize(
    "argument, sentence",
    [
        ("--prt=1", "Unknown flag --prt. Did you mean --port? --help lists all flags."),
        ("--oven_port=1", "Unknown flag --oven_port. Did you mean --port? --help lists all flags."),
        ("-port=1", "Unknown flag -port. Did you mean --port? --help lists all flags."),
        ("--enable-fan", "Unknown flag --enable-fan. Did you mean --enable_fan? --help lists all flags."),
        ("--zzz", "Unknown flag --zzz. --help lists all flags."),
        ("8500", "Unexpected argument '8500'. Flags are written --name=value; --help lists them."),
        ("--port", "--port needs a value after an equals sign: --port=8500"),
        ("--port=", "--port is a whole number, got ''."),
        ("--port=1_000", "--port is a whole number, got '1_000'."),
        ("--share=half", "--share is a number, got 'half'."),
        ("--enable_fan=yes", "--enable_fan is true or false, got 'yes'. Write --enable_fan or --enable_fan=false."),
    ],
)
def test_wrong_argument_is_refused_in_a_sentence(argument, sentence):
    with pytest.raises(FlagError) as refused:
        parse(Oven, [argument])
    assert str(refused.value) == sentence


def test_ignored_flag_is_parsed_and_gives_a_notice():
    oven, notices = parse(Oven, ["--polish", "--port=1"])

    assert oven.polish
    assert notices == ("--polish is accepted and ignored: it shines already.",)


def test_help_lists_flags_by_group_with_defaults_in_80_columns():
    lines = help_text(Oven).splitlines()

    assert lines[:3] == [
        "Heat",
        "  --port=8500                       where the heat goes",
        "  --share=0.0                       how much of it",
    ]
    assert "  --enable_fan                      turn the fan" in lines
    assert any(line.startswith("  --enable_light=true ") for line in lines)
    assert max(map(len, lines)) <= 80
