"""The trained weights that the zoo ships, by their cards; needs no Keras.

zoo/weights/<network>-<dataset>.npz   every weight as float16, under the path that Keras gives it
zoo/weights/<network>-<dataset>.json  the card: what the network was made and trained with, and how good it is
"""

import json
from pathlib import Path

from zoo import catalog
from zoo.spelling import did_you_mean

FOLDER = Path(__file__).parent / "weights"


def shipped(folder=FOLDER):
    """{network: [the datasets it was trained on]}."""
    names = {}
    for path in sorted(Path(folder).glob("*.json")):
        name, _, dataset = path.stem.partition("-")
        names.setdefault(name, []).append(dataset)
    return names


def paths(name, dataset, folder=FOLDER):
    """(the file of weights, its card)."""
    return Path(folder) / f"{name}-{dataset}.npz", Path(folder) / f"{name}-{dataset}.json"


def card(name, *, weights, folder=FOLDER):
    """What is known of the network `name` trained on the dataset `weights`.

    Among the rest `class_names`, in the order of the probabilities; `model` with `image_shape`; `accuracy` on the test
    images with its interval; `recipe`, `seed` and the `command` that trained it.

    Raises:
        ValueError: the zoo ships no such weights, with the nearest name and all names.
    """
    catalog.entry(name)
    names = shipped(folder)
    if name not in names:
        known = "; ".join(f"{network}: {', '.join(datasets)}" for network, datasets in names.items())
        raise ValueError(f"The zoo ships no trained weights of {name}. It has those of {known or 'no network'}.")
    if weights not in names[name]:
        hint = did_you_mean(str(weights), names[name])
        raise ValueError(f"The zoo ships no weights {weights!r} of {name}.{hint} It has: {', '.join(names[name])}.")
    return json.loads(paths(name, weights, folder)[1].read_text("utf-8"))
