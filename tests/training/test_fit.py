import dataclasses
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from training import checkpoints, recipes
from training.batches import Batches
from training.datasets import Split
from training.errors import InputError, Interrupted
from training.fit import Keeper, Validation, fit, run

# the recipe with the most to remember: momentum, running means, which images were mirrored last, the resolution
RECIPE = recipes.recipe(
    "airbench", epochs=3, batch_size=4, learning_rate=0.05, dropout=1.0, shift=1, low_resolution_share=0.6
)
STEPS = 5  # an epoch


def interrupted_at(step):
    """Batches that press Ctrl-C when that of `step` is made."""

    def press(seed):
        if seed[1] == step:
            signal.raise_signal(signal.SIGINT)
        return seed

    class InterruptedBatches(Batches):
        def batch(self, indices, seed):
            pressed = tf.numpy_function(press, [seed], tf.int64, stateful=False)
            return super().batch(indices, tf.ensure_shape(pressed, seed.shape))

    return InterruptedBatches


def split(count):
    random = np.random.default_rng(count)
    return Split(random.integers(0, 256, (count, 8, 8, 1), np.uint8), random.integers(0, 3, count).astype(np.int32))


def prepared(batches_class=Batches, recipe=RECIPE):
    """(model with batch normalisation and dropout, compiled; its batches): the same ones every time."""
    keras.utils.set_random_seed(3)
    images = keras.Input((8, 8, 1), dtype="uint8")
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(images))
    x = keras.layers.Dropout(0.3)(keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x)))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))
    batches = batches_class(split(4 * STEPS), 3, recipe, seed=3)
    recipes.compile_for_training(model, recipe, batches.steps * recipe.epochs)
    return model, batches


def trained(folder, **given):
    folder.mkdir(exist_ok=True)
    model, batches = prepared(**given)
    return model, fit(model, batches, split(6), RECIPE.epochs, folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(weights, Progress, folder) of a training that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    model, progress = trained(folder)
    return model.get_weights(), progress, folder


def test_training_runs_every_step_and_keeps_best_last_and_logs(whole):
    _, progress, folder = whole
    assert progress.step == STEPS * RECIPE.epochs
    assert 0 <= progress.best <= 1 and progress.seconds > 0
    assert {"best.keras", "last.keras", "train", "validation"} <= {path.name for path in folder.iterdir()}
    assert list((folder / "train").glob("events.out.tfevents.*"))


def test_last_model_loads_without_us(whole):
    weights, _, folder = whole
    for got, want in zip(keras.saving.load_model(folder / "last.keras").get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("step", [7, 13])  # of 5 an epoch; from the third on the images have their full size
def test_interrupted_training_goes_on_to_the_very_same_weights(whole, tmp_path, step):
    with pytest.raises(Interrupted):
        trained(tmp_path, batches_class=interrupted_at(step))
    stopped = checkpoints.restore(tmp_path, prepared_and_built())
    assert 0 < stopped.step < STEPS * RECIPE.epochs
    model, progress = trained(tmp_path)
    assert progress.step == STEPS * RECIPE.epochs
    for got, want in zip(model.get_weights(), whole[0], strict=True):
        np.testing.assert_array_equal(got, want)


def prepared_and_built():
    model, _ = prepared()
    model.optimizer.build(model.trainable_variables)
    return model


def test_signals_act_as_before_once_training_is_over(tmp_path):
    def handler(number, frame):
        pass

    before = signal.signal(signal.SIGINT, handler)
    try:
        trained(tmp_path)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_loss_that_is_no_number_stops_with_step_and_learning_rate(tmp_path):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30, schedule="steps")
    with pytest.raises(InputError, match=r"after step \d+, at learning rate [\d.e+]+\. Try a lower --learning_rate"):
        trained(tmp_path, recipe=recipe)


def test_divergence_in_the_very_last_step_is_told_and_never_saved(tmp_path):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e38, schedule="steps", batch_size=4 * STEPS, epochs=1)
    tmp_path.mkdir(exist_ok=True)
    model, batches = prepared(recipe=recipe)
    with pytest.raises(InputError, match="The loss or a weight is not a finite number after step 1,"):
        fit(model, batches, split(6), 1, tmp_path)
    assert not list(tmp_path.glob("*.keras")) and not list(tmp_path.glob("state-*"))


@pytest.mark.parametrize("batch, epochs_told, step", [(2, 1, 8), (4, 2, 10)])  # the last one of an epoch is 4
def test_epoch_that_was_stopped_is_neither_told_nor_logged_nor_taken_for_the_best(tmp_path, batch, epochs_told, step):
    model, batches = prepared()
    model.optimizer.build(model.trainable_variables)
    keeper = Keeper(tmp_path, checkpoints.Progress(), model)
    held_out = Validation(model, split(6).images, keras.utils.to_categorical(split(6).labels, 3))
    ended = []

    def ask_to_stop(at, logs):  # as a signal does, which Python may hand over some steps later
        keeper.is_asked_to_stop |= bool(ended) and at == batch

    asks = keras.callbacks.LambdaCallback(
        on_train_batch_end=ask_to_stop,
        on_epoch_end=lambda epoch, logs: ended.append(epoch),
    )
    with pytest.raises(Interrupted):
        run(model, batches, RECIPE.epochs, keeper, [held_out, asks, keeper])
    assert len(ended) == epochs_told
    assert checkpoints.restore(tmp_path, model).step == step
