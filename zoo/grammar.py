"""The lecture's patterns: "INPUT -> [[CONV -> RELU]*2 -> POOL]*3 -> [FC -> RELU]*1 -> FC" to rows and back.

The language of the CS231n notes, https://cs231n.github.io/convolutional-networks/, with what they leave to the text:

    pattern   INPUT, then terms, with -> between them
    term      a layer, or [terms with -> between them]; then ? and *N, N from 0, as often as one likes
    CONV      CONV(5x5, 96, stride 2, valid, no bias): square window, filters, stride, padding
    POOL      POOL(3x3, stride 2, average, valid); 2x2, stride 2 and max unless it says otherwise
    FC        FC(4096); the last FC, when it has no number, gives the class scores
    RELU      also GELU, SILU, TANH, SIGMOID, ELU and LEAKY_RELU
    DROP(0.5), MEAN            ours: dropout, global average
    NORM(no scale)             ours: batch normalisation, with a scale unless it says otherwise

A nonlinearity is part of the CONV or FC before it, as in the papers' tables; after CONV(linear) it is a row of its own.
A network without fully connected layers ends in CONV(1x1, classes) -> MEAN.
"""

import dataclasses
import functools
import re
from typing import NamedTuple

from zoo.rows import (
    ACTIVATIONS,
    CLASSES,
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalAverage,
    MaxPool,
)

SETTINGS = {  # what the brackets after a layer may hold
    "INPUT": (),
    "CONV": ("window", "number", "stride", "padding", "no bias", "linear"),
    "POOL": ("window", "stride", "kind", "padding"),
    "FC": ("number", "linear"),
    "DROP": ("rate",),
    "NORM": ("no scale",),
    "MEAN": (),
    **{function.upper(): () for function in ACTIVATIONS},
}
WRITTEN = {  # how each is written, and an example
    "window": (r"([1-9]\d*)x\1", "3x3"),
    "number": (r"([1-9]\d*|classes)", "96"),
    "stride": (r"stride ([1-9]\d*)", "stride 2"),
    "kind": (r"(max|average)", "average"),
    "padding": (r"(same|valid)", "valid"),
    "no bias": (r"(no bias)", "no bias"),
    "no scale": (r"(no scale)", "no scale"),
    "linear": (r"(linear)", "linear"),
    "rate": (r"(0?\.\d+|0|[1-9](?:\.\d+)?e-\d+)", "0.5"),
}
MOST_LAYERS = 1000


class PatternError(ValueError):
    """What is wrong with a pattern: a sentence, the pattern, and a caret under the place."""


class _Layer(NamedTuple):
    word: str
    settings: dict


def is_pattern(text):
    """Whether `text` is meant as a pattern and not as a name."""
    return "->" in text or text.strip().upper().startswith("INPUT")


def parse(pattern, *, filters=None, units=None, optional=True):
    """The rows that `pattern` stands for.

    Args:
        pattern: see above; spaces and upper or lower case make no difference.
        filters: numbers for the CONVs that have none: one for all, one for each such CONV, or one for each stage with
            such CONVs, where a POOL or a strided CONV ends a stage. Left out: 32, doubled by each stage, at most 512.
        units: numbers for the FCs that have none, the class scores excepted: one for all or one each. Left out: 256.
        optional: whether what has a question mark is there.

    Raises:
        PatternError: `pattern` is none.
        ValueError: `filters` or `units` have a length that the pattern has no use for.
    """
    layers = _Reader(pattern, optional).layers()
    numbers = {**_filters(layers, filters), **_units(layers, units)}
    result = []
    for at, layer in enumerate(layers):
        if layer.word.lower() in ACTIVATIONS and at and _takes_activation(result[-1], layers[at - 1]):
            result[-1] = dataclasses.replace(result[-1], activation=layer.word.lower())
        else:
            result.append(_row(layer, numbers.get(at)))
    return tuple(result)


def format(rows):
    """The shortest pattern that gives `rows`, repeats folded: parse(format(rows)) == rows."""
    words = [_word(row, after) for row, after in zip(rows, (*rows[1:], None), strict=False)]
    fully_connected = [at for at, row in enumerate(rows) if isinstance(row, Dense)]
    if fully_connected:
        words[fully_connected[-1]] = words[fully_connected[-1]].replace("FC(classes)", "FC")
    return "INPUT" + (f" -> {_fold(words)}" if words else "")


class _Reader:
    """Recursive descent over the text of a pattern."""

    def __init__(self, pattern, optional):
        self.pattern = " ".join(pattern.split())
        self.optional = optional
        self.at = 0

    def layers(self):
        """Every layer after INPUT, repeats written out."""
        if not self.take("INPUT(?!\\w)"):
            raise self.expected("INPUT, which begins a pattern,")
        layers = self.terms() if self.take("->") else []
        if self.at < len(self.pattern):
            raise self.expected('"->", "*", "?" or the end')
        return layers

    def terms(self):
        layers = self.term()
        while self.take("->"):
            layers += self.term()
            if len(layers) > MOST_LAYERS:
                raise self.expected(f"at most {MOST_LAYERS} layers", found="more")
        return layers

    def term(self):
        if self.take(r"\["):
            layers = self.terms()
            if not self.take("]"):
                raise self.expected('"->", "*", "?" or "]"')
        else:
            layers = [self.layer()]
        while suffix := self.take(r"\?|\*"):
            if suffix[0] == "?":
                layers = layers if self.optional else []
                continue
            count = self.take(r"\d+")
            if not count:
                raise self.expected('a whole number, how often, after "*"')
            if len(layers) * int(count[0]) > MOST_LAYERS:
                raise self.expected(f"at most {MOST_LAYERS} layers", found="more")
            layers = layers * int(count[0])
        return layers

    def layer(self):
        start = self.at
        word = self.take(r"\w+")
        if not word or word[0].upper() not in SETTINGS or word[0].upper() == "INPUT":
            self.at = start
            raise self.expected(f'a layer ({", ".join(list(SETTINGS)[1:])}) or "["')
        word = word[0].upper()
        settings = {}
        if self.take(r"\("):
            self.setting(word, settings)
            while self.take(","):
                self.setting(word, settings)
            if not self.take(r"\)"):
                raise self.expected('"," or ")"')
        if word == "DROP" and "rate" not in settings:
            raise self.expected("DROP's rate, as in DROP(0.5),")
        return _Layer(word, settings)

    def setting(self, word, settings):
        for name in SETTINGS[word]:
            if name not in settings and (found := self.take(rf"{WRITTEN[name][0]}(?=\s*[,)])")):
                settings[name] = found[1].lower()
                return
        examples = [WRITTEN[name][1] for name in SETTINGS[word] if name not in settings]
        raise self.expected(f"{' or '.join(examples)} in {word}'s brackets" if examples else f"no more about {word}")

    def take(self, expression):
        """The match of `expression` here, spaces before and after it passed over; None and no move without one."""
        match = re.compile(rf"{expression}", re.IGNORECASE).match(self.pattern, self.at)
        if match:
            self.at = match.end()
            self.at += self.pattern[self.at :].startswith(" ")
        return match

    def expected(self, what, found=None):
        rest = re.match(r"->|\w+|.|$", self.pattern[self.at :])[0]
        found = found or (f'"{rest}"' if rest else "the end")
        return PatternError(f"Expected {what} and found {found}.\n  {self.pattern}\n  {' ' * self.at}^")


def _filters(layers, given):
    """{index: filters} for the CONVs without a number."""
    stages, stage = {}, 0
    for at, layer in enumerate(layers):
        if layer.word == "CONV" and "number" not in layer.settings:
            stages[at] = stage
        stage += layer.word == "POOL" or int(layer.settings.get("stride", 1)) > 1
    if given is None:
        return {at: min(32 * 2**stage, 512) for at, stage in stages.items()}
    if len(given) in (1, len(stages)):
        return _one_each("filters", given, stages)
    by_stage = _one_each("filters", given, sorted(set(stages.values())))
    return {at: by_stage[stage] for at, stage in stages.items()}


def _units(layers, given):
    """{index: units} for the FCs without a number; the last FC's are the classes."""
    every = [at for at, layer in enumerate(layers) if layer.word == "FC"]
    free = [at for at in every if "number" not in layers[at].settings]
    scores = {at: CLASSES for at in free if at == every[-1]}
    return scores | _one_each("units", given or (256,), [at for at in free if at not in scores])


def _one_each(name, given, places):
    if len(given) not in (1, len(places)):
        raise ValueError(f"{name} gives {len(given)} numbers where the pattern leaves {len(places)} open: {given}.")
    return dict(zip(places, given if len(given) == len(places) else [given[0]] * len(places), strict=True))


def _takes_activation(row, layer):
    return layer.word in ("CONV", "FC") and "linear" not in layer.settings and row.activation is None


def _row(layer, number):
    settings = layer.settings
    number = settings.get("number", number)
    if isinstance(number, str) and number != CLASSES:
        number = int(number)
    stride = int(settings.get("stride", 2 if layer.word == "POOL" else 1))
    padding = settings.get("padding", "same")
    match layer.word:
        case "CONV":
            bias = "no bias" not in settings
            return Conv(int(settings.get("window", 3)), number, stride, padding, activation=None, bias=bias)
        case "POOL":
            pool = AveragePool if settings.get("kind") == "average" else MaxPool
            return pool(int(settings.get("window", 2)), stride, padding)
        case "FC":
            return Dense(number, activation=None)
        case "DROP":
            return Dropout(float(settings["rate"]))
        case "NORM":
            return BatchNorm(scale="no scale" not in settings)
        case "MEAN":
            return GlobalAverage()
    return Activation(layer.word.lower())


def _word(row, after):
    """The pattern of `row`; `after` is the row that follows."""
    for function in (getattr(row, "activation", None), getattr(row, "function", None)):
        if function and function not in ACTIVATIONS:
            raise ValueError(
                f"A pattern has no word for the activation {function!r}, only for {', '.join(ACTIVATIONS)}."
            )
    if isinstance(row, Conv | Dense) and row.activation is None and isinstance(after, Activation):
        return str(row).removesuffix(")") + ", linear)"
    return str(row)


def _fold(words):
    """The shortest text for `words`, each run of equal stretches written once with its count."""

    @functools.cache
    def text(start, end):
        found = [words[start]] if end - start == 1 else []
        for length in range(1, (end - start) // 2 + 1):
            times, rest = divmod(end - start, length)
            if not rest and words[start : end - length] == words[start + length : end]:
                found.append(f"[{text(start, start + length)}]*{times}")
        found += [f"{text(start, cut)} -> {text(cut, end)}" for cut in range(start + 1, end)]
        return min(found, key=len)

    return text(0, len(words))
