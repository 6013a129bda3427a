"""What a frozen network makes of each picture, computed once and kept on disk."""

import concurrent.futures
import hashlib

import numpy as np
import tensorflow as tf

from training.checkpoints import written_whole
from training.progress import progress

BATCH_SIZE = 32


def cached_features(model, photographs):
    """float32 [N, D]: `model`, images uint8 to float32 [N, D], of all N `photographs`, kept beside their file."""
    path = photographs.file.with_name(f"features-{fingerprint(model, photographs)}.npy")
    if path.exists():
        return np.load(path)
    features = compute(model, photographs)
    with written_whole(path) as opened:
        np.save(opened, features)
    return features


def fingerprint(model, photographs):
    """Changes with any weight and with the pictures."""
    digest = hashlib.sha256(repr((model.name, photographs.file.name, photographs.rows.tolist())).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()[:16]


def compute(model, photographs):
    """A batch is read while the one before is computed."""
    count = len(photographs.labels)
    apply = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    features = np.empty((count, model.output_shape[-1]), np.float32)
    done = progress("Computing features", count)
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        for indices, images in read_ahead(reader, photographs, count):
            features[indices] = apply(tf.constant(images)).numpy()
            done(int(indices[-1]) + 1)
    return features


def read_ahead(reader, photographs, count):
    batches = [np.arange(first, min(first + BATCH_SIZE, count)) for first in range(0, count, BATCH_SIZE)]
    coming = reader.submit(photographs.images, batches[0])
    for indices, after in zip(batches, [*batches[1:], None], strict=True):
        images = coming.result()
        if after is not None:
            coming = reader.submit(photographs.images, after)
        yield indices, images
