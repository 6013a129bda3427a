"""A training that can be stopped at any moment and goes on where it was."""

import contextlib
import math
import signal
import sys
import time

import keras
import numpy as np

from training import checkpoints
from training.errors import InputError, Interrupted

SAVE_EVERY_S = 20.0  # so much work is lost at most when the process is killed


def fit(model, batches, validation, epochs, folder):
    """Trains `model`, compiled, for `epochs` passes over `batches`, going on from the newest state in `folder`.

    Keeps there the states, `best.keras` (best on `validation`), `last.keras` and TensorBoard's logs.

    Returns:
        checkpoints.Progress at the end.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with the state saved.
        InputError: the loss is no longer a number, or the disk is full.
    """
    model.optimizer.build(model.trainable_variables)
    start = checkpoints.restore(folder, model)
    keeper = Keeper(folder, start)
    tensorboard = keras.callbacks.TensorBoard(folder, write_graph=False)
    labels = keras.utils.to_categorical(validation.labels, batches.num_classes)
    run(model, batches, epochs, keeper, [tensorboard, keeper], (validation.images, labels))
    with full_disk_in_a_sentence(folder):
        checkpoints.save_model(folder / "last.keras", model)
    return keeper.progress


def run(model, batches, epochs, keeper, callbacks, validation_data):
    """Keras's fit from the step where `keeper` is to the end of `epochs`.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with the state saved.
    """
    with keeper.stops_on_signals():
        for first, steps in segments(keeper.progress.step, batches.steps, epochs):
            model.fit(
                batches.after(first, epochs),
                steps_per_epoch=steps,
                initial_epoch=first // batches.steps,
                epochs=epochs if first % batches.steps == 0 else first // batches.steps + 1,
                validation_data=validation_data,
                validation_batch_size=500,
                shuffle=False,  # the batches come in their order
                callbacks=callbacks,
                verbose=1 if sys.stdout.isatty() else 2,
            )
            if keeper.is_asked_to_stop:
                raise Interrupted


def segments(step, steps_per_epoch, epochs):
    """(first step, steps in each epoch) for each call of Keras's fit: what is left of a begun epoch, then the rest."""
    begun = step % steps_per_epoch
    if begun:
        yield step, steps_per_epoch - begun
        step += steps_per_epoch - begun
    if step < steps_per_epoch * epochs:
        yield step, steps_per_epoch


class Keeper(keras.callbacks.Callback):
    """Saves the state now and then, at each epoch's end and when asked to stop; stops a training that diverges."""

    def __init__(self, folder, progress):
        super().__init__()
        self.folder = folder
        self.progress = progress
        self.is_asked_to_stop = False
        self.began = time.monotonic() - progress.seconds
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise InputError(self.divergence())
        if self.is_asked_to_stop:
            self.model.stop_training = True
        if self.is_asked_to_stop or time.monotonic() - self.saved > SAVE_EVERY_S:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        accuracy = logs["val_accuracy"]
        if accuracy > self.progress.best:
            self.progress = self.progress._replace(best=accuracy)
            with full_disk_in_a_sentence(self.folder):
                checkpoints.save_model(self.folder / "best.keras", self.model)
        self.save()

    def save(self):
        step = int(np.asarray(self.model.optimizer.iterations))
        self.progress = self.progress._replace(step=step, seconds=time.monotonic() - self.began)
        with full_disk_in_a_sentence(self.folder):
            checkpoints.save(self.folder, self.model, self.progress)
        self.saved = time.monotonic()

    def divergence(self):
        step = int(np.asarray(self.model.optimizer.iterations))
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        return (
            f"The loss is not a finite number after step {step}, at learning rate {rate:.3g}; the state saved before "
            f"is in {self.folder}. Try a lower --learning_rate."
        )

    @contextlib.contextmanager
    def stops_on_signals(self):
        """The first Ctrl-C or SIGTERM asks to stop after the step; the next one acts as it always does."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def ask(number, frame):
            self.is_asked_to_stop = True
            signal.signal(number, before[number])

        for number in before:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class StateKeeper(Keeper):
    """A Keeper of networks without a validation accuracy."""

    def on_epoch_end(self, epoch, logs=None):
        self.save()


@contextlib.contextmanager
def full_disk_in_a_sentence(folder):
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Cannot save to {folder} ({error.strerror or error}); training stopped, and what was saved before is "
            "whole. Make room and give the same command to continue."
        ) from error
