"""Which trainings a comparison needs."""

from typing import NamedTuple


class Cell(NamedTuple):
    """One training."""

    dataset: str  # with a digest of what is in it where the name does not tell
    width: str  # six digits of it: what is compared with the text of a file must not depend on how that was written
    recipe: str
    model: str
    epochs: int
    seed: int


def plans(costs, epochs):
    """{budget: {model: epochs}} for networks of these `costs`, {model: multiply-adds}, the first of which sets it."""
    budget = epochs * next(iter(costs.values()))
    return {
        "equal epochs": dict.fromkeys(costs, epochs),
        "equal multiply-adds": {model: max(1, round(budget / cost)) for model, cost in costs.items()},
    }


def cells(epochs, seeds, *, dataset, width, recipe):
    """The Cells of one plan, {model: epochs}: every network with the first seed, then every network with the next."""
    return [
        Cell(dataset, f"{width:.6g}", recipe, model, count, seed)
        for seed in range(seeds)
        for model, count in epochs.items()
    ]
