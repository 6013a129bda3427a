"""Rows of an architecture table: plain data with the arithmetic of shapes, one Keras layer each.

A network is a tuple of rows from the images to the class scores; `zoo.network` makes the layers. Shapes are (height,
width, channels) before the first `Dense` or `GlobalAverage`, and (features,) after it. Nothing here needs Keras.

Frozen dataclasses and not NamedTuples, since as tuples MaxPool(3, 2) and AveragePool(3, 2) would be equal.
"""

import dataclasses
import math

CLASSES = "classes"  # in place of a number of filters or units: as many as there are classes
ACTIVATIONS = ("relu", "gelu", "silu", "tanh", "sigmoid", "elu", "leaky_relu")


class ShapeError(ValueError):
    """A row that its input does not fit."""


@dataclasses.dataclass(frozen=True)
class Conv:
    """Row "k x k conv. f ReLU", with its stride; "same" padding unless the table says otherwise."""

    kernel: int
    filters: int | str
    stride: int = 1
    padding: str = "same"
    activation: str | None = "relu"
    bias: bool = True

    def output_shape(self, shape):
        return (*slide(shape, self.kernel, self.stride, self.padding), self.filters)

    def parameters(self, shape):
        return (self.kernel**2 * shape[-1] + self.bias) * self.filters

    def multiply_adds(self, shape):
        return math.prod(self.output_shape(shape)) * self.kernel**2 * shape[-1]


@dataclasses.dataclass(frozen=True)
class Dense:
    """Row "FC n": every unit sees the whole input, flattened."""

    units: int | str
    activation: str | None = "relu"

    def output_shape(self, shape):
        return (self.units,)

    def parameters(self, shape):
        return (math.prod(shape) + 1) * self.units

    def multiply_adds(self, shape):
        return math.prod(shape) * self.units


class _Free:
    """A row without parameters; its comparisons and sums are not counted as multiply-adds."""

    def output_shape(self, shape):
        return shape

    def parameters(self, shape):
        return 0

    def multiply_adds(self, shape):
        return 0


@dataclasses.dataclass(frozen=True)
class _Pool(_Free):
    size: int
    stride: int
    padding: str = "same"

    def output_shape(self, shape):
        return (*slide(shape, self.size, self.stride, self.padding), shape[-1])


class MaxPool(_Pool):
    """Row "k x k max-pooling, stride s"."""


class AveragePool(_Pool):
    """Row "k x k average pooling, stride s"."""


@dataclasses.dataclass(frozen=True)
class GlobalAverage(_Free):
    """Row "global averaging": each channel's mean over all positions."""

    def output_shape(self, shape):
        return shape[-1:]


@dataclasses.dataclass(frozen=True)
class Dropout(_Free):
    """Each value is dropped with probability `rate` while training."""

    rate: float


@dataclasses.dataclass(frozen=True)
class Activation(_Free):
    """A nonlinearity that is not right after its convolution, as after a batch normalisation."""

    function: str


@dataclasses.dataclass(frozen=True)
class BatchNorm(_Free):
    """Batch normalisation; 4 numbers a channel, of which the moving mean and variance are not trained."""

    def parameters(self, shape):
        return 4 * shape[-1]


def slide(shape, kernel, stride, padding):
    """(height, width) of the output when a window slides over `shape` [H, W, C].

    "same" gives ceil(W / S); "valid" gives (W - F)/S + 1, which must be a whole number.
    """
    if len(shape) != 3:
        raise ShapeError(f"a window needs an image [H, W, C] to slide over, and its input is flat: {shape}")
    if padding == "same":
        return tuple(-(-size // stride) for size in shape[:2])
    for size in shape[:2]:
        if size < kernel or (size - kernel) % stride:
            raise ShapeError(
                f"({size} - {kernel})/{stride} + 1 = {(size - kernel) / stride + 1:g} is not a whole, positive size"
            )
    return tuple((size - kernel) // stride + 1 for size in shape[:2])


def sized(rows, num_classes, width=1.0):
    """The rows with `CLASSES` filled in and every other number of filters and units multiplied by `width`."""
    return tuple(_sized(row, num_classes, width) for row in rows)


def _sized(row, num_classes, width):
    field = {Conv: "filters", Dense: "units"}.get(type(row))
    if field is None:
        return row
    size = getattr(row, field)
    return dataclasses.replace(row, **{field: num_classes if size == CLASSES else max(1, round(size * width))})


def shapes(rows, input_shape):
    """The shape that each row is given, and last what the network gives: one more than there are rows."""
    result = [tuple(input_shape)]
    for row in rows:
        result.append(row.output_shape(result[-1]))
    return result


def parameters(rows, input_shape):
    """Numbers stored in the network's weights, trained or not."""
    return sum(row.parameters(shape) for row, shape in zip(rows, shapes(rows, input_shape), strict=False))


def multiply_adds(rows, input_shape):
    """Multiplications (each with its addition) that one image costs in convolutions and fully connected layers."""
    return sum(row.multiply_adds(shape) for row, shape in zip(rows, shapes(rows, input_shape), strict=False))
