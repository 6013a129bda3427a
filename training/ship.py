"""Put the weights of an exported classifier into the zoo, for `zoo.load`.

python -m training.ship models/all_cnn_c/1
"""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import tyro

from training import metrics
from training.checkpoints import written_whole
from training.class_names import CLASS_NAMES
from training.errors import InputError, exit_with_a_sentence
from training.quiet import import_tensorflow
from zoo import cards

LARGEST_BYTES = 4_000_000  # of one file: a wheel carries them all


@dataclasses.dataclass(frozen=True)
class ShipConfig:
    """Put the weights of an exported classifier into the zoo, for `zoo.load`.

    They are rounded to float16, scored on all test images as `zoo.load` will give them, and written with their card.
    """

    path: tyro.conf.Positional[Path]
    """a version directory, such as models/all_cnn_c/1; of a model's directory the highest version is taken"""
    dataset: str | None = None
    """what it was trained on, by name or as a folder or tar archive of pictures; by default what its card says"""
    data_dir: Path | None = None
    """folder with the IDX files of fashion_mnist or mnist; by default they are looked for, then downloaded"""
    weights_root: Path = cards.FOLDER
    """folder of the weights and their cards"""


def main(argv=None):
    with exit_with_a_sentence():
        config = tyro.cli(ShipConfig, args=argv, prog="python -m training.ship", use_underscores=True)
        import_tensorflow()
        ship(config)


def ship(config):
    """Artifact, dataset, rounding, scores, files: the path of the weights."""
    from training import datasets
    from training.artifact import Artifact, labels_for
    from training.evaluate import picture_size
    from zoo import trained

    artifact = Artifact(config.path)
    trained_card = read_card(artifact)
    data = datasets.load(
        config.dataset or artifact.dataset,
        data_dir=config.data_dir,
        image_size=picture_size(artifact.image_shape),
        channels=artifact.image_shape[-1],
        seed=trained_card["dataset"].get("split_seed", trained_card["seed"]),
    )
    labels = labels_for(artifact, data, data.test.labels)
    arrays = {path: array.astype("float16") for path, array in artifact.weights().items()}
    model = trained.untrained({**trained_card, "class_names": artifact.class_names})
    set_weights(model, arrays, artifact.path)
    accuracy = metrics.accuracy(model.predict(data.test.images, batch_size=500, verbose=0), labels)
    check_accuracy(accuracy, trained_card, data)
    card = shipped_card(trained_card, artifact.class_names, data, accuracy)
    path = write(card, arrays, config.weights_root)
    print(f"Right on the test images with float16 weights: {accuracy}.")
    print(f"Weights: {path}, {path.stat().st_size:,} bytes")
    return path


def read_card(artifact):
    """The artifact's model_card.json.

    Raises:
        InputError: it has none, or an old one, or the network is none that the zoo alone can build.
    """
    card = artifact.card
    if "command" not in card or "front" not in card["model"]:
        path = artifact.path / "model_card.json"
        raise InputError(f"{path} does not say how the model was made; expected that of a model of training.train.")
    name = card["model"]["name"]
    if not name.isidentifier():
        raise InputError(
            f"{artifact.path} holds the pattern {name}; only networks with a name in the zoo have weights."
        )
    for layer in card["model"]["front"]:
        if layer["registered_name"]:
            raise InputError(
                f"{artifact.path} begins with a {layer['class_name']}, which is no layer of Keras, so the zoo alone "
                "could not build it. Train with a recipe that has none."
            )
    return card


def set_weights(model, arrays, path):
    """Gives `model` all of `arrays`, {path of a weight: array}."""
    from zoo import weight_files

    wanted = {variable.path: tuple(variable.shape) for variable in model.weights}
    if wanted != {name: array.shape for name, array in arrays.items()}:
        odd = sorted(set(wanted) ^ set(arrays)) or [name for name in wanted if wanted[name] != arrays[name].shape]
        raise InputError(f"{path} and the network of its card differ in {odd[0]!r}; train it with this version.")
    for layer in weight_files.weighted(model.layers):
        weight_files.assign(layer, [arrays[variable.path].astype("float32") for variable in layer.weights])


def check_accuracy(accuracy, card, data):
    """Refuses what float16, or other test images, make worse than chance explains."""
    low, high = card["accuracy"]["interval"]
    if accuracy.share < low:
        raise InputError(
            f"With float16 weights {accuracy} of {data.name}'s test images are right, and the card says "
            f"{low:.2%} to {high:.2%}. Was it trained on {data.name} from {data.source}?"
        )


def shipped_card(card, class_names, data, accuracy):
    """The card that goes with the weights: with their own accuracy, and no path of the machine that trained."""
    from training.model_card import scored

    source = card["dataset"]["source"]
    short = Path(source).name
    # Where the folder has the name of a known dataset, the command must mean the folder.
    told = f"./{short}" if short in CLASS_NAMES and source != short else short
    return {
        **card,
        "name": card["model"]["name"],
        "class_names": list(class_names),
        "dataset": {**card["dataset"], "name": data.name, "source": short},
        "command": card["command"].replace(source, told),
        "accuracy": scored(accuracy),
    }


def write(card, arrays, folder):
    """Writes the pair of files; refuses what is too big to be in a wheel."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    size_bytes = len(content.getvalue())
    if size_bytes > LARGEST_BYTES:
        raise InputError(
            f"The weights take {size_bytes:,} bytes as float16, and at most {LARGEST_BYTES:,} go into the zoo. "
            "Train it with a smaller --width."
        )
    path, card_path = cards.paths(card["name"], card["dataset"]["name"], folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    for place, written in (path, content.getvalue()), (card_path, told.encode()):
        with written_whole(place) as file:
            file.write(written)
    return path


if __name__ == "__main__":
    main()
