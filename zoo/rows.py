"""Rows of an architecture table: plain data with the arithmetic of shapes, one Keras layer each.

A network is a tuple of rows from the images to the class scores; `zoo.network` makes the layers, `zoo.grammar` reads
rows back from the words that `str(row)` gives. Shapes are (height, width, channels) before the first `Dense` or
`GlobalAverage`, and (features,) after it. Nothing here needs Keras.

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

    def __str__(self):
        settings = [f"{self.kernel}x{self.kernel}", self.filters, *_sliding(self, stride=1)]
        return _written("CONV", settings + ["no bias"] * (not self.bias), self.activation)

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

    def __str__(self):
        return _written("FC", [self.units], self.activation)

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

    def __str__(self):
        settings = [] if self.size == self.stride == 2 else [f"{self.size}x{self.size}", f"stride {self.stride}"]
        settings += ["average"] * isinstance(self, AveragePool)
        return _written("POOL", settings + _sliding(self, stride=self.stride))

    def output_shape(self, shape):
        return (*slide(shape, self.size, self.stride, self.padding), shape[-1])


class MaxPool(_Pool):
    """Row "k x k max-pooling, stride s"."""


class AveragePool(_Pool):
    """Row "k x k average pooling, stride s"."""


@dataclasses.dataclass(frozen=True)
class GlobalAverage(_Free):
    """Row "global averaging": each channel's mean over all positions."""

    def __str__(self):
        return "MEAN"

    def output_shape(self, shape):
        return shape[-1:]


@dataclasses.dataclass(frozen=True)
class Dropout(_Free):
    """Each value is dropped with probability `rate` while training."""

    rate: float

    def __str__(self):
        return f"DROP({self.rate})"


@dataclasses.dataclass(frozen=True)
class Activation(_Free):
    """A nonlinearity that is not right after its convolution, as after a batch normalisation."""

    function: str

    def __str__(self):
        return self.function.upper()


@dataclasses.dataclass(frozen=True)
class BatchNorm(_Free):
    """Batch normalisation; 4 numbers a channel, or 3 without a scale, of which the moving mean and variance are not
    trained."""

    scale: bool = True

    def __str__(self):
        return _written("NORM", ["no scale"] * (not self.scale))

    def parameters(self, shape):
        return (3 + self.scale) * shape[-1]


def _sliding(row, stride):
    return [f"stride {row.stride}"] * (row.stride != stride) + ["valid"] * (row.padding == "valid")


def _written(word, settings, activation=None):
    call = f"{word}({', '.join(map(str, settings))})" if settings else word
    return f"{call} -> {activation.upper()}" if activation else call


def slide(shape, kernel, stride, padding):
    """(height, width) of the output when a window slides over `shape` [H, W, C].

    "same" gives W / S rounded up; "valid" gives (W - F)/S + 1, which must be whole.

    Raises:
        ShapeError: why it cannot slide there.
    """
    if len(shape) != 3:
        raise ShapeError("a flat input has no positions to slide a window over.")
    if padding == "same":
        if stride > 1 and 1 in shape[:2]:
            raise ShapeError(f"one position is left, too few for a stride of {stride}.")
        return tuple(-(-size // stride) for size in shape[:2])
    for size in shape[:2]:
        if size < kernel:
            raise ShapeError(f"a window of {kernel} does not fit in {size}.")
        if (size - kernel) % stride:
            raise ShapeError(f"({size} - {kernel})/{stride} + 1 = {(size - kernel) / stride + 1:.4g} is not whole.")
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


def ends_in_class_maps(rows):
    """Whether a convolution gives class scores at every position, and their mean is the network's answer."""
    match rows[-2:]:
        case Conv(kernel=1, stride=1, filters=filters, activation=None), GlobalAverage():
            return filters == CLASSES
    return False


def check_end(rows):
    """Raises ValueError unless the rows end in class scores as they are, FC or CONV(1x1, classes) -> MEAN."""
    if rows[-1:] != (Dense(CLASSES, activation=None),) and not ends_in_class_maps(rows):
        raise ValueError(
            "A network ends in class scores without a nonlinearity, FC or CONV(1x1, classes) -> MEAN, "
            f"and this one in {' -> '.join(map(str, rows[-2:])) or 'INPUT'}."
        )


def shapes(rows, input_shape):
    """The shape that each row is given, and last what the network gives: one more than there are rows.

    Raises:
        ShapeError: with the row that the shape before it does not fit, and the smallest image that all rows fit.
    """
    try:
        return _shapes(rows, input_shape)
    except ShapeError as error:
        sizes = fitting_sizes(rows, input_shape[-1])
        smallest = next(sizes, None)
        if smallest is None:
            raise
        sentence = f"{error} The smallest image that fits is {smallest}x{smallest}"
        larger = next((size for size in sizes if size > max(input_shape[:2])), None)
        if larger and smallest < max(input_shape[:2]):
            sentence += f", the next larger one {larger}x{larger}"
        raise ShapeError(f"{sentence}.") from None


def fitting_sizes(rows, channels, largest=1024):
    """Sizes of square images that every row fits, smallest first."""
    for size in range(1, largest + 1):
        try:
            _shapes(rows, (size, size, channels))
        except ShapeError:
            continue
        yield size


def _shapes(rows, input_shape):
    result = [tuple(input_shape)]
    for number, row in enumerate(rows, start=1):
        try:
            result.append(row.output_shape(result[-1]))
        except ShapeError as error:
            given = "x".join(map(str, result[-1]))
            raise ShapeError(f"Row {number}, {row}, is given {given}: {error}") from None
    return result


def parameters(rows, input_shape):
    """Numbers stored in the network's weights, trained or not."""
    return sum(row.parameters(shape) for row, shape in zip(rows, shapes(rows, input_shape), strict=False))


def multiply_adds(rows, input_shape):
    """Multiplications (each with its addition) that one image costs in convolutions and fully connected layers."""
    return sum(row.multiply_adds(shape) for row, shape in zip(rows, shapes(rows, input_shape), strict=False))
