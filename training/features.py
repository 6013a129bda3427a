"""What a frozen network makes of each picture, computed once and kept on disk."""

import concurrent.futures
import hashlib

import numpy as np
import tensorflow as tf

from training.checkpoints import written_whole
from training.progress import progress

BATCH_SIZE = 32


def cached_features(model, photographs):
    """float32 [N, D]: what `compute` gives for all N `photographs`, kept beside their file."""
    path = photographs.file.with_name(f"{photographs.file.stem}-features-{fingerprint(model, photographs)}.npy")
    if path.exists():
        return np.load(path)
    features = compute("Computing features", model, photographs, np.arange(len(photographs.labels)))
    with written_whole(path) as opened:
        np.save(opened, features)
    return features


def fingerprint(model, photographs):
    """Changes with any weight and with the pictures."""
    digest = hashlib.sha256(repr((photographs.file.name, photographs.rows.tolist())).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()[:16]


def compute(stage, model, photographs, indices):
    """float32 [len(indices), D]: what `model`, images uint8 to float32 [N, D], gives for those pictures.

    A batch is read while the one before is computed.
    """
    signature = [tf.TensorSpec((None, *photographs.image_shape), tf.uint8)]
    apply = tf.function(lambda images: model(images, training=False), input_signature=signature)
    batches = np.split(indices, range(BATCH_SIZE, len(indices), BATCH_SIZE))
    done = progress(stage, len(indices))
    outputs = []
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        coming = reader.submit(photographs.images, batches[0])
        for after in [*batches[1:], batches[0][:0]]:
            images = coming.result()
            coming = reader.submit(photographs.images, after)
            outputs.append(apply(images).numpy())
            done(min(len(outputs) * BATCH_SIZE, len(indices)))
    return np.concatenate(outputs)
