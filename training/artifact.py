"""An exported classifier as a server would run it: through the signatures of its SavedModel."""

import json
from pathlib import Path

import numpy as np

from training.class_names import CLASS_NAMES
from training.errors import InputError

BATCH_SIZE = 500


class Artifact:
    """The classifier in a version directory: `class_names`, and `image_shape` with None for a free size.

    Raises:
        InputError: the directory holds no SavedModel of ours.
    """

    def __init__(self, path):
        self.path = version_directory(Path(path))
        self.loaded = load(self.path)  # owns the variables
        self.signatures = self.loaded.signatures
        self.image_shape = self.input_shape("serving_default")
        self.require_output("serving_default", "probabilities")
        self.class_names = tuple(self.labels_file.read_text("utf-8").splitlines())

    @property
    def name(self):
        """<model>-<version>, for files about it."""
        return f"{self.path.resolve().parent.name}-{self.path.resolve().name}"

    @property
    def card(self):
        """model_card.json's content, empty where there is none."""
        path = self.path / "model_card.json"
        return read_card(path) if path.is_file() else {}

    @property
    def dataset(self):
        """What it was trained on, as `datasets.load` takes it: a name, or the path of a folder or archive."""
        known = self.card.get("dataset")
        if not known:
            raise InputError(f"{self.path} has no model_card.json that says what it was trained on; give --dataset.")
        source = Path(known["source"])
        is_pictures = source.name.split(".")[0] == known["name"] and source.exists()  # it may have a known name
        return known["name"] if known["name"] in CLASS_NAMES and not is_pictures else known["source"]

    @property
    def labels_file(self):
        path = self.path / "assets" / "labels.txt"
        if not path.is_file():
            raise InputError(f"{self.path} has no assets/labels.txt, one class name a line; export writes it.")
        return path

    def input_shape(self, signature_name):
        """(height, width, channels) of the `images` that a signature takes."""
        signature = self.signatures.get(signature_name)
        inputs = signature.structured_input_signature[1] if signature else {}
        if set(inputs) != {"images"}:
            raise InputError(
                f"{self.path} has no signature {signature_name!r} from images; it has "
                f"{', '.join(self.signatures) or 'none'}. Expected a classifier that this project exported."
            )
        return tuple(inputs["images"].shape[1:])

    def require_output(self, signature_name, name):
        outputs = self.signatures[signature_name].structured_outputs
        if name not in outputs:
            raise InputError(
                f"{self.path} is no classifier: its {signature_name!r} gives {', '.join(outputs)} and no {name}."
            )

    def weights(self):
        """{path of a weight, as Keras gives it: array}."""
        return weights_of(self.loaded)

    def probabilities(self, images):
        """uint8 [N, *image_shape] to float32 [N, K]."""
        return self.run("serving_default", "probabilities", images)

    def predictions(self, images):
        """uint8 [N, *image_shape] to the likeliest class of each, int [N]."""
        return self.probabilities(images).argmax(axis=1)

    def features(self, images):
        """uint8 [N, *image_shape] to float32 [N, D], what the class scores are a linear function of."""
        return self.run("features", "features", images)

    def run(self, signature_name, output, images):
        import tensorflow as tf

        parts = [
            self.signatures[signature_name](images=tf.constant(images[at : at + BATCH_SIZE]))[output].numpy()
            for at in range(0, len(images), BATCH_SIZE)
        ]
        return np.concatenate(parts)


def load(path):
    """The SavedModel in the folder `path`."""
    import tensorflow as tf

    try:
        return tf.saved_model.load(path)
    except Exception as error:  # of many kinds, as TensorFlow finds one part or another damaged
        raise InputError(f"The SavedModel in {path} cannot be loaded ({error}). Export it again.") from error


def read_card(path):
    """The content of the model_card.json at `path`."""
    try:
        card = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}). Export the model again.") from error
    if not isinstance(card, dict):
        raise InputError(f"{path} is no JSON object but a {type(card).__name__}. Export the model again.")
    return card


def weights_of(loaded):
    """{path of a weight, as Keras gives it: array} of a loaded SavedModel of ours."""
    names = (variable.name.removesuffix(":0") for variable in loaded.variables)
    weights = dict(zip(names, loaded.variables, strict=True))  # each signature's model lists them again
    return {path: variable.numpy() for path, variable in weights.items() if "seed_generator" not in path}


def version_directory(path):
    """`path` itself where a SavedModel lies in it, else its highest version."""
    versions = [below for below in path.glob("*") if below.name.isdecimal() and (below / "saved_model.pb").is_file()]
    if (path / "saved_model.pb").is_file():
        return path
    if versions:
        return max(versions, key=lambda below: int(below.name))
    raise InputError(f"{path} holds no SavedModel: expected a version directory, such as models/all_cnn_c/1.")


def labels_for(artifact, data, labels):
    """`labels` of the dataset `data` as the artifact numbers its classes, matched by their names.

    Raises:
        InputError: the artifact's classes or image shape are not those of the dataset.
    """
    unknown = [name for name in data.class_names if name not in artifact.class_names]
    if unknown:
        raise InputError(
            f"{artifact.path} knows no class {unknown[0]!r} of {data.name}; its classes: "
            f"{', '.join(artifact.class_names[:10])}{', ...' if len(artifact.class_names) > 10 else ''}."
        )
    if any(want not in (None, got) for want, got in zip(artifact.image_shape, data.image_shape, strict=True)):
        raise InputError(
            f"{artifact.path} takes images of shape {artifact.image_shape} and {data.name} has {data.image_shape}."
        )
    return np.array([artifact.class_names.index(name) for name in data.class_names])[labels]
