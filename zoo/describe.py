"""The account of a network as text: a table of 80 columns, the arithmetic behind it, or JSON."""

import json
import math

from zoo import catalog, graph, network
from zoo.account import TOTALS, account


def describe(name, input_shape=None, *, explain=False, as_json=False):
    """Lines that tell what each layer of the network `name` costs for one image.

    Args:
        name: a name of the catalog, or a pattern.
        input_shape: the image's; that of the network's source unless given.
        explain: the arithmetic of every layer in place of the table.
        as_json: the whole account as JSON in place of text.
    """
    entry = catalog.entry(name)
    with graph.shapes_only():
        model = network.build(name, input_shape=input_shape or entry.input_shape, num_classes=entry.num_classes)
        counted = account(model)
    if as_json:
        return json.dumps(counted.as_dict(), indent=2).splitlines()
    return [*(explanation(counted) if explain else table(counted)), "", *totals(counted)]


def table(counted):
    """One line a layer; `sees` is its receptive field and `jump` how far apart neighbours look, in pixels."""
    lines = [_columns("layer", "window", "output", "weights", "biases", "mult-adds", "memory", "sees", "jump")]
    for layer in counted.layers:
        parameters = [f"{number:,}" if number else "" for number in (layer.weights, layer.biases)]
        costs = "?" if layer.multiply_adds is None else short(layer.multiply_adds), short(layer.activation_bytes)
        sight = [axes and _by(dict.fromkeys(axes)) for axes in (layer.receptive_field, layer.jump)]
        lines.append(_columns(layer.name, _window(layer), _by(layer.output_shape), *parameters, *costs, *sight))
    return lines


def totals(counted):
    """The sums, and what they leave out."""
    weights, biases, statistics, parameters, multiply_adds, memory = map(counted.total, TOTALS)
    kept = f" + {statistics:,} statistics" if statistics else ""
    lines = [
        f"{parameters:,} parameters = {weights:,} weights + {biases:,} biases{kept}",
        f"{multiply_adds:,} multiply-adds and {memory:,} bytes of activations for one image",
    ]
    if counted.unknown:
        names = ", ".join(f"{layer.name} ({layer.kind})" for layer in counted.unknown)
        lines.append(f"not counted, being layers of unknown kind: multiply-adds of {names}")
    return lines


def explanation(counted):
    """Every layer with the arithmetic that its figures come from."""
    lines = []
    for layer in counted.layers:
        lines.append(f"{layer.name}: {layer.kind}, {_by(layer.input_shape)} -> {_by(layer.output_shape)}")
        for arithmetic in (_size, _parameters, _costs, _sight):
            lines += [f"    {what:15}{sum}" for what, sum in arithmetic(layer)]
    return lines


def _size(layer):
    if layer.window is None:
        return
    results = layer.output_shape[:-1] or (1,) * len(layer.window.kernel)
    axes = zip(layer.input_shape, *layer.window[:3], results, strict=False)
    for size, kernel, stride, padding, result in dict.fromkeys(axes):
        if layer.window.transposed:
            yield "size", f"({size} - 1)*{stride} + {kernel} - 2*{padding / 2:g} = {result}"
            continue
        exact = (size - kernel + padding) / stride + 1
        rounded = "" if exact == result else f", rounded down to {result}"
        yield "size", f"({size} - {kernel} + 2*{padding / 2:g})/{stride} + 1 = {exact:g}{rounded}"


def _parameters(layer):
    kernel = layer.window.kernel if layer.window else ()
    inputs, outputs = layer.input_shape[-1], layer.output_shape[-1]
    for factors in ((*kernel, inputs, outputs), (*kernel, outputs)):  # the second is a depthwise convolution's
        if layer.weights and len(factors) > 1 and math.prod(factors) == layer.weights:
            yield "weights", f"{'*'.join(map(str, factors))} = {layer.weights:,}"
            break
    parts = {"weights": layer.weights, "biases": layer.biases, "statistics": layer.statistics}
    if layer.parameters:
        words = " + ".join(f"{number:,} {name}" for name, number in parts.items() if number)
        yield "parameters", f"{words} = {layer.parameters:,}"
    if layer.unshared and layer.unshared != layer.as_dense:
        yield "unshared", f"{layer.unshared:,} parameters, were there a kernel for every place"
    if layer.as_dense and layer.as_dense != layer.parameters:
        yield "as FC", f"{layer.as_dense:,} parameters"


def _costs(layer):
    if layer.multiply_adds and layer.weights:
        places = layer.multiply_adds // layer.weights
        yield (
            "multiply-adds",
            f"{places:,} place{'s' * (places > 1)} * {layer.weights:,} weights = {layer.multiply_adds:,}",
        )
    if layer.activation_bytes:
        yield "memory", f"{layer.activation_bytes:,} bytes = {_by(layer.output_shape)} numbers"


def _sight(layer):
    if layer.window is None or layer.window.transposed or layer.receptive_field is None:
        return
    axes = zip(layer.input_shape, *layer.window[:2], layer.receptive_field, layer.jump, strict=False)
    for size, kernel, stride, field, jump in dict.fromkeys(axes):
        before, reach = jump / stride, min(kernel, size)
        yield "receptive field", f" {field - (reach - 1) * before:g} + ({reach} - 1)*{before:g} = {field:g}"
        yield "jump", f"{before:g}*{stride} = {jump:g}"


def short(count):
    """270.8M for 270_836_736."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def _window(layer):
    if layer.window is None or layer.window.kernel == layer.input_shape[:-1]:
        return ""
    step = ("/" if not layer.window.transposed else "*") + _by(dict.fromkeys(layer.window.stride))
    return _by(layer.window.kernel) + step * (set(layer.window.stride) != {1})


def _columns(name, *cells):
    widths = (8, 12, 12, 7, 10, 7, 5, 5)
    name = name if len(name) <= 14 else f"…{name[-13:]}"
    return f"{name:14}" + "".join(f"{cell or '':>{width}}" for cell, width in zip(cells, widths, strict=True))


def _by(sizes):
    return "x".join(f"{size:g}" for size in sizes)
