"""Networks of keras.applications: uint8 images in, each family's own preprocessing inside, a new head.

    model = zoo.build("mobilenet_025", input_shape=(224, 224, 3), num_classes=5, weights="imagenet")

Layer names that others may rely on: `images`, `backbone` (a model itself: everything up to what the classifier sees,
float32 [N, D]), `logits` and `probabilities`. To train the last twenty layers only:

    backbone = model.get_layer("backbone")
    for layer in backbone.layers[:-20]:
        layer.trainable = False
"""

import re
import warnings

import keras
import numpy as np

from zoo import weight_files
from zoo.backbones import BACKBONES, HIDDEN_LAYERS, PREPROCESSING

L = keras.layers

MEAN = np.array([0.485, 0.456, 0.406])  # of ImageNet's pixels in 0..1, RGB
DEVIATION = np.array([0.229, 0.224, 0.225])


def build(name, *, input_shape, num_classes, weights=None):
    """The network `name` of BACKBONES: images uint8 [N, H, W, 3] to probabilities float32 [N, num_classes].

    Args:
        name: a name of BACKBONES.
        input_shape: (height, width, 3). With VGG's trained weights it must be (224, 224, 3).
        num_classes: how many classes there are.
        weights: None for random ones, "imagenet" for Keras's own download, or the path of a file of weights made for
            the same function of keras.applications, ".weights.h5" or the older ".h5", with or without top. The
            classifier starts from them too where they have one for `num_classes` classes.

    Raises:
        ValueError: images that are not RGB or too small, a file that does not fit (with the first layer that
            differs), a download that failed (with the file's address and where to put it by hand).
    """
    if input_shape[-1] != 3:
        raise ValueError(f"{name} takes RGB images, [H, W, 3], and input_shape is {tuple(input_shape)}.")
    published = published_network(name, input_shape=input_shape, weights=None, classes=num_classes)
    classifier = weight_files.weighted(published.layers)[-1]
    backbone = keras.Model(published.input, L.Flatten(name="features")(classifier.input), name="backbone")
    images = keras.Input(input_shape, dtype="uint8", name="images")
    features = backbone(preprocess(images, BACKBONES[name].family))
    logits = L.Dense(num_classes, name="logits")
    probabilities = L.Softmax(name="probabilities", dtype="float32")(logits(features))
    if weights is not None:
        _load(name, published, logits, weights)
    return keras.Model(images, probabilities, name=name)


def published_network(name, **arguments):
    """What keras.applications itself builds for `name`, its classifier giving scores without a softmax."""
    function = getattr(keras.applications, BACKBONES[name].function)
    if BACKBONES[name].alpha != 1.0:
        arguments["alpha"] = BACKBONES[name].alpha
    return function(classifier_activation=None, **arguments)


def preprocess(images, family):
    """Pixels 0..255 [N, H, W, 3] as the family's preprocess_input scales them, in layers that Keras can save."""
    match PREPROCESSING[family]:
        case "tf":
            return L.Rescaling(1 / 127.5, -1, name="preprocess")(images)
        case "torch":
            scale, offset = 1 / (255 * DEVIATION), -MEAN / DEVIATION
        case "caffe":
            images = keras.ops.flip(images, axis=-1)
            scale, offset = 1.0, -np.array([103.939, 116.779, 123.68])  # BGR, as they were for Caffe's VGG
        case None:
            scale, offset = 1.0, np.zeros(3)
    return L.Rescaling(np.asarray(scale).tolist(), offset.tolist(), name="preprocess")(images)


def _load(name, published, logits, weights):
    """Gives trained `weights` to the layers of `published`, and to `logits` where the classes are as many."""
    layers, family = weight_files.weighted(published.layers), BACKBONES[name].family
    stored = _imagenet(name) if weights == "imagenet" else weight_files.read(weights, published.layers)
    weight_files.check(stored, layers, f"{weights} does not fit {name}", top=1 + HIDDEN_LAYERS.get(family, 0))
    for layer, (_, arrays) in zip(layers[:-1], stored, strict=False):
        if family == "efficientnet" and isinstance(layer, L.Normalization) and np.allclose(arrays[1], DEVIATION):
            arrays[1] = arrays[1] ** 2  # the published files have deviations for variances (tensorflow#49930)
        weight_files.assign(layer, arrays)
    random = [layer.name for layer in layers[len(stored) : -1]]
    if random:
        warnings.warn(
            f"{weights} is without top, so {', '.join(random)} of {name} start from random weights.", stacklevel=4
        )
    if len(stored) == len(layers) and stored[-1].arrays[0].shape[-1] == logits.units:
        classifier = zip(stored[-1].arrays, logits.weights, strict=True)
        logits.set_weights([array.reshape(variable.shape) for array, variable in classifier])


def _imagenet(name):
    """What Keras's own file, downloaded by Keras where it is not in its cache, holds for each layer."""
    try:
        trained = published_network(name, weights="imagenet")
    except Exception as error:  # Keras raises no narrower one
        failed = re.match(r"URL fetch failure on (\S+): (?:None -- )?(.*)", str(error))
        if not failed:
            raise
        address, reason = failed.groups()
        raise ValueError(
            f"The weights of {name} could not be had from {address} ({reason}). Fetch that file where there is a "
            f"network, and put it at ~/.keras/models/{address.rpartition('/')[2]} or give its path for `weights`."
        ) from error
    return [weight_files.Stored(layer.name, layer.get_weights()) for layer in weight_files.weighted(trained.layers)]
