"""A training that can be stopped at any moment and goes on where it was."""

import contextlib
import signal
import sys
import time

import keras
import numpy as np

from training import checkpoints
from training.errors import InputError, Interrupted
from training.resolution import at_size

SAVE_EVERY_S = 20.0  # so much work is lost at most when the process is killed


def fit(model, batches, validation, epochs, folder):
    """Trains `model`, compiled, for `epochs` passes over `batches`, going on from the newest state in `folder`.

    Keeps there the states, `best.keras` (best on `validation`), `last.keras` and TensorBoard's logs.

    Returns:
        checkpoints.Progress at the end.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with the state saved.
        InputError: the loss or a weight is no longer a number, or the disk is full.
    """
    model.optimizer.build(model.trainable_variables)
    start = checkpoints.restore(folder, model)
    keeper = Keeper(folder, start, model)
    tensorboard = keras.callbacks.TensorBoard(folder, write_graph=False)
    labels = keras.utils.to_categorical(validation.labels, batches.num_classes)
    run(model, batches, epochs, keeper, [Validation(model, validation.images, labels), tensorboard, keeper])
    with full_disk_in_a_sentence(folder):
        checkpoints.save_model(folder / "last.keras", model)
    return keeper.progress


def run(model, batches, epochs, keeper, callbacks):
    """Keras's fit from the step where `keeper` is to the end of `epochs`, at the resolution of each phase.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with the state saved.
    """
    with keeper.stops_on_signals():
        for first, steps, end, size in segments(keeper.progress.step, batches.steps, batches.phases(epochs)):
            at_size(model, size).fit(
                batches.after(first, end, size),
                steps_per_epoch=steps,
                initial_epoch=first // batches.steps,
                epochs=epochs,
                shuffle=False,  # the batches come in their order
                callbacks=[*callbacks, Ends(end, keeper)],
                verbose=1 if sys.stdout.isatty() else 2,
            )
            if keeper.is_asked_to_stop:
                raise Interrupted


def segments(step, steps_per_epoch, phases):
    """(first step, steps in each epoch, epochs that are over at its end, size of the images) of what runs in one go.

    That is what is left of a begun epoch, then the rest of its phase, then each phase; see Batches.phases.
    """
    for end, size in phases:
        begun = step % steps_per_epoch
        if begun and step < end * steps_per_epoch:
            yield step, steps_per_epoch - begun, step // steps_per_epoch + 1, size
            step += steps_per_epoch - begun
        if step < end * steps_per_epoch:
            yield step, steps_per_epoch, end, size
            step = end * steps_per_epoch


class Ends(keras.callbacks.Callback):
    """Ends Keras's fit once so many epochs are over, or when `keeper` is asked to stop, with the state saved.

    In mid-epoch by an exception: where `stop_training` is set Keras tells and logs the epoch as if it were whole.
    """

    def __init__(self, epochs, keeper):
        super().__init__()
        self.epochs, self.keeper = epochs, keeper

    def on_train_batch_end(self, batch, logs=None):
        if self.keeper.is_asked_to_stop and batch + 1 < self.params["steps"]:
            self.keeper.save()
            raise Interrupted

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epochs or self.keeper.is_asked_to_stop:
            self.model.stop_training = True


class Validation(keras.callbacks.Callback):
    """Adds to what each epoch tells how `network` does on images of the full size, whatever size it is trained at."""

    def __init__(self, network, images, labels=None):
        super().__init__()
        self.network, self.images, self.labels = network, images, labels

    def on_epoch_end(self, epoch, logs):
        scores = self.network.evaluate(self.images, self.labels, batch_size=500, verbose=0, return_dict=True)
        logs.update({f"val_{name}": value for name, value in scores.items()})


class Keeper(keras.callbacks.Callback):
    """Saves the state of `network` now and then and at each epoch's end; stops one that diverges before it is saved."""

    def __init__(self, folder, progress, network):
        super().__init__()
        self.folder = folder
        self.network = network  # self.model may be a smaller one of the same layers
        self.progress = progress
        self.is_asked_to_stop = False
        self.began = time.monotonic() - progress.seconds
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.require_finite(logs["loss"])
        if time.monotonic() - self.saved > SAVE_EVERY_S and batch + 1 < self.params["steps"]:  # else with its scores
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        self.require_finite(logs["val_loss"])
        accuracy = logs["val_accuracy"]
        if accuracy > self.progress.best:
            self.progress = self.progress._replace(best=accuracy)
            with full_disk_in_a_sentence(self.folder):
                checkpoints.save_model(self.folder / "best.keras", self.network)
        self.save()

    def save(self):
        self.require_finite(*self.network.get_weights())
        step = int(np.asarray(self.network.optimizer.iterations))
        self.progress = self.progress._replace(step=step, seconds=time.monotonic() - self.began)
        with full_disk_in_a_sentence(self.folder):
            checkpoints.save(self.folder, self.network, self.progress)
        self.saved = time.monotonic()

    def require_finite(self, *values):
        """Of losses and weights: the last step's divergence is in no loss of the training images."""
        if all(np.isfinite(value).all() for value in values):
            return
        step = int(np.asarray(self.network.optimizer.iterations))
        rate = float(np.asarray(self.network.optimizer.learning_rate))
        saved = f"; the state saved before is in {self.folder}" if any(self.folder.glob("state-*.npz")) else ""
        raise InputError(
            f"The loss or a weight is not a finite number after step {step}, at learning rate {rate:.3g}{saved}. "
            "Try a lower --learning_rate."
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
        self.require_finite(logs.get("val_loss", 0.0))
        self.save()


@contextlib.contextmanager
def full_disk_in_a_sentence(folder):
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Cannot save to {folder} ({error.strerror or error}); training stopped, and what was saved before is "
            "whole. Once it can be written to, the same command continues."
        ) from error
