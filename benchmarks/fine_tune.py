"""What pretrained weights buy on a few pictures, and what fine-tuning costs.

python -m benchmarks.fine_tune --data ./cifar10 --weights mobilenet_0.25_224.weights.h5

Takes some pictures of each class and prints the accuracy on the test pictures of the frozen network, of the network
with its last layers unfrozen, and of the same network trained from scratch on the same pictures with the same
augmentation; the seconds of each stage, the peak memory, and features per second against a bare `predict`.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tyro

SCRATCH_LEARNING_RATE = 1e-3
SCRATCH_MOMENTUM = 0.9  # of batch normalisation: Keras's 0.99 takes more steps than these few pictures give
ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """Measure fine-tuning."""

    data: Path
    """folder with train/<class>/* and test/<class>/*"""
    weights: Path
    """ImageNet weights of the backbone"""
    backbone: str = "mobilenet_025"
    """name in the catalog"""
    pictures: int = 100
    """of each class to train on"""
    test_pictures: int = 200
    """of each class to test on"""
    image_size: int = 128
    """height and width that pictures are resized to"""
    unfreeze: int = 20
    """how many of the last layers are unfrozen"""
    epochs: int = 30
    """at most, unfrozen"""
    scratch_epochs: int = 60
    """from scratch; the best on the validation pictures counts"""


def main(argv=None):
    config = tyro.cli(BenchmarkConfig, args=argv, use_underscores=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        link_pictures(config, folder / "few")
        for regime in "features-only", "fine-tune":
            fine_tune(config, folder, regime)
        from_scratch(config, folder)
        features_per_second(config, folder)


def link_pictures(config, folder):
    for part, count in ("train", config.pictures), ("test", config.test_pictures):
        for source in sorted((config.data / part).iterdir()):
            (folder / part / source.name).mkdir(parents=True)
            for picture in sorted(source.iterdir())[:count]:
                (folder / part / source.name / picture.name).symlink_to(picture.resolve())


def fine_tune(config, folder, regime):
    """Runs the program itself: its accuracy, its stages and its memory."""
    command = [sys.executable, "-m", "training.fine_tune", f"--data={folder / 'few'}", f"--regime={regime}"]
    command += [f"--{name}={getattr(config, name)}" for name in ("backbone", "weights", "image_size")]
    command += [f"--{name}={getattr(config, name)}" for name in ("unfreeze", "epochs")]
    command += [f"--models_root={folder / 'models'}", f"--runs_root={folder / 'runs'}"]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        told = running.stdout.read()
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}:\n{told}")
    lines = told.splitlines()
    stages = next(line for line in lines if line.startswith("Seconds"))
    right = next(line for line in lines if line.startswith("Right on"))
    print(f"{regime}: {right}")
    print(f"    {stages} In all, with start and export, {time.monotonic() - began:.0f} seconds.")
    print(f"    Peak memory {usage.ru_maxrss / 1e6:.2f} GB.", flush=True)


def from_scratch(config, folder):
    """The same network without trained weights, every layer trained, batch normalisation too."""
    import keras

    import zoo
    from training import features, metrics, unfreeze

    keras.utils.set_random_seed(0)
    photos, parts = pictures(config, folder)
    model = zoo.build(config.backbone, input_shape=photos.image_shape, num_classes=photos.num_classes)
    for layer in unfreeze.leaves(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = SCRATCH_MOMENTUM
    began = time.monotonic()
    unfreeze.train(
        model,
        photos,
        parts,
        np.ones(len(photos.labels), np.float32),
        epochs=config.scratch_epochs,
        batch_size=32,
        learning_rate=SCRATCH_LEARNING_RATE,
        patience=config.scratch_epochs,  # its losses fall late and unsteadily
        seed=0,
        logs=folder / "scratch",
    )
    seconds = time.monotonic() - began
    probabilities = features.compute("Scoring the test", model, photos, parts.test)
    accuracy = metrics.accuracy(probabilities, photos.labels[parts.test])
    print(f"from scratch: Right on the test pictures: {accuracy}.")
    print(f"    {seconds:.0f} seconds.", flush=True)


def features_per_second(config, folder):
    """Of the stage that computes them against Keras's predict on pictures that lie decoded in memory.

    In turns, so that what else the machine does slows both; the medians of some rounds. Both trace anew each time.
    """
    import zoo
    from training import features

    photos, parts = pictures(config, folder)
    model = zoo.features(zoo.build(config.backbone, input_shape=photos.image_shape, num_classes=photos.num_classes))
    images = photos.images(parts.test)

    def predict():
        model.make_predict_function(force=True)
        model.predict(images, batch_size=features.BATCH_SIZE, verbose=0)

    def stage():
        features.compute("Features", model, photos, parts.test)

    rounds = [(rate(predict, images), rate(stage, images)) for _ in range(ROUNDS)]
    bare, ours = np.median(rounds, axis=0)
    ratio = np.median([ours / bare for bare, ours in rounds])
    print(f"features: {ours:.0f} a second, bare predict {bare:.0f}: ratio {ratio:.2f}")


def rate(compute, images):
    began = time.monotonic()
    compute()
    return len(images) / (time.monotonic() - began)


def pictures(config, folder):
    """The pictures as `fine_tune` left them decoded: (Photographs, Parts)."""
    from training import photographs

    shape = (config.image_size, config.image_size, 3)
    photos = photographs.read(
        photographs.find(folder / "few", 0), shape, photographs.cache_folder(folder / "runs", folder / "few")
    )
    return photos, photographs.part(photos, 0.15, 0)


if __name__ == "__main__":
    main()
