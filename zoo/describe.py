"""A network as a table: each row with its output shape and parameters."""

from zoo import catalog, rows


def table(name, input_shape=None, num_classes=None, width=1.0):
    """Lines of text for the network `name`, at its source's shape and classes unless others are given."""
    entry = catalog.entry(name)
    input_shape = input_shape or entry.input_shape
    network = rows.sized(entry.rows, num_classes or entry.num_classes, width)
    shapes = rows.shapes(network, input_shape)
    lines = [("row", "output shape", "parameters"), ("images", _by(shapes[0]), "")]
    for row, given, gives in zip(network, shapes, shapes[1:], strict=False):
        lines.append((words(row), _by(gives), f"{row.parameters(given):,}"))
    lines.append(("total", "", f"{rows.parameters(network, input_shape):,}"))
    return [f"{row:36}{shape:>16}{parameters:>16}".rstrip() for row, shape, parameters in lines]


def words(row):
    """The row as its paper would print it."""
    match row:
        case rows.Conv(kernel, filters, stride, padding, activation):
            step = f" stride {stride}" if stride > 1 else ""
            return (
                f"{kernel}x{kernel} conv {filters}{step}{' valid' * (padding == 'valid')} {activation or ''}".rstrip()
            )
        case rows.Dense(units, activation):
            return f"fc {units} {activation or ''}".rstrip()
        case rows.MaxPool(size, stride) | rows.AveragePool(size, stride):
            return f"{size}x{size} {'max' if isinstance(row, rows.MaxPool) else 'average'}-pooling stride {stride}"
        case rows.Dropout(rate):
            return f"dropout {rate:.0%}"
        case rows.Activation(function):
            return function
        case rows.GlobalAverage():
            return "global average"
        case rows.BatchNorm():
            return "batch normalisation"


def _by(shape):
    return " x ".join(map(str, shape))
