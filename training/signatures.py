"""The signatures of an exported classifier: named inputs and outputs with a free batch dimension.

`classify` is TensorFlow Serving's: serialized tf.Example in, `classes` and `scores` out. The functions are traced
without autograph, so nothing in them branches on a tensor.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import zoo
from training.orientation import orientation, upright


class Signature(NamedTuple):
    """`function` takes tensors in the order of `inputs` and gives {output name: tensor}.

    `model` owns the variables; `example` is one request, for the warm-up.
    """

    name: str
    function: Callable
    inputs: list
    model: keras.Model
    example: dict[str, np.ndarray]


def signatures(model, class_names, sliding=None):
    """The signatures of a classifier: four, and `dense` where the network slides over larger images.

    Args:
        model: images uint8 [N, H, W, C] to probabilities float32 [N, K], with the zoo's names of layers.
        class_names: one for each of the K classes.
        sliding: `model` as `zoo.convolutionize` gives it, for images of any size to class maps float32 [N, h, w, K].
    """
    shape, features = model.input_shape[1:], zoo.features(model)
    image = np.zeros((1, *shape), np.uint8)
    picture = tf.io.encode_png(image[0]).numpy() if shape[-1] in (1, 3) else b""
    images = keras.InputSpec(shape=(None, *shape), dtype="uint8", name="images")

    def probabilities(images):
        return tf.cast(model(images, training=False), tf.float32)

    def serve(images):
        return {"probabilities": probabilities(images)}

    def encoded(image_bytes):
        return {"probabilities": probabilities(decode(image_bytes, shape))}

    def classify(inputs):
        parsed = tf.io.parse_example(inputs, {"image/encoded": tf.io.FixedLenFeature([], tf.string)})
        return best_first(probabilities(decode(parsed["image/encoded"], shape)), class_names)

    def serve_features(images):
        return {"features": tf.cast(features(images, training=False), tf.float32)}

    def dense(images):
        return {"class_maps": tf.cast(sliding(images, training=False), tf.float32)}

    any_size = keras.InputSpec(shape=(None, None, None, shape[-1]), dtype="uint8", name="images")
    rows = [
        Signature("serving_default", serve, [images], model, {"images": image}),
        Signature("encoded", encoded, [strings("image_bytes")], model, {"image_bytes": np.array([picture], object)}),
        Signature("classify", classify, [strings("inputs")], model, {"inputs": np.array([example(picture)], object)}),
        Signature("features", serve_features, [images], features, {"images": image}),
    ]
    return [*rows, Signature("dense", dense, [any_size], sliding, {"images": image})] if sliding else rows


def strings(name):
    return keras.InputSpec(shape=(None,), dtype="string", name=name)


def decode(image_bytes, shape):
    """Strings [N], each a JPEG, PNG, WebP, GIF (its first frame) or BMP of any size, to uint8 [N, *shape].

    What is transparent in a PNG or WebP has its own colour. Turned upright and resized as `pictures.decode` does it
    for training: a triangle filter, widened where it shrinks.
    """
    height, width, channels = shape

    def decode_webp(content):
        image = tf.io.decode_image(content, expand_animations=False)  # with 3 channels it refuses one that has 4
        image.set_shape((None, None, None))
        return image[:, :, :3]

    def decode_one(content):
        decoded = tf.case(
            [
                # as Pillow does
                (tf.io.is_jpeg(content), lambda: tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")),
                (tf.strings.substr(content, 0, 4) == b"RIFF", lambda: decode_webp(content)),
            ],
            lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
        )
        image = upright(decoded, orientation(content))
        image.set_shape((None, None, 3))
        image = tf.image.rgb_to_grayscale(image) if channels == 1 else image
        return tf.cast(tf.round(tf.image.resize(image, (height, width), antialias=True)), tf.uint8)

    return tf.map_fn(decode_one, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def best_first(probabilities, class_names):
    """{classes: string [N, K], scores: float32 [N, K]}, each row in falling order of score."""
    scores, order = tf.math.top_k(probabilities, k=len(class_names))
    return {"classes": tf.gather(tf.constant(list(class_names)), order), "scores": scores}


def example(picture):
    """A serialized tf.Example with the encoded `picture`, as `classify` takes it."""
    feature = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[picture]))}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
