"""Training on several GPUs or several machines, to the loss curve of one at the same batch size.

Several GPUs are used when they are visible. Several machines: TensorFlow's environment variable TF_CONFIG on each
(https://www.tensorflow.org/guide/distributed_training), and `runs_root` a folder that all share. The loop is our own,
for Keras's fit does not run on several machines (https://github.com/keras-team/keras/issues/20585).

Every worker draws the whole batch and takes its part. Batch normalisation sees the part, dropout draws alike for all.
"""

import contextlib
import json
import os

import keras
import numpy as np
import tensorflow as tf

from training import checkpoints
from training.errors import InputError, Interrupted
from training.fit import Keeper, full_disk_in_a_sentence, segments
from training.fit import fit as fit_on_one_device
from training.resolution import at_size

# what a collective operation ends with when another worker goes away
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


def choose_strategy(environment=os.environ):
    """What this process trains under; None on one device. Comes before anything else that TensorFlow does.

    Raises:
        InputError: TF_CONFIG is there and does not name this worker.
    """
    if "TF_CONFIG" not in environment:
        return tf.distribute.MirroredStrategy() if len(tf.config.list_physical_devices("GPU")) > 1 else None
    try:
        cluster = json.loads(environment["TF_CONFIG"])
        workers, index = cluster["cluster"]["worker"], cluster["task"]["index"]
        if [*cluster["cluster"]] != ["worker"] or cluster["task"]["type"] != "worker":
            raise ValueError("other jobs than worker")  # a chief too has index 0
        told = f"worker {index} of {len(workers)} at {workers[index]}"
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"TF_CONFIG must name the workers, no other job, and which of them this is, such as "
            f'{{"cluster": {{"worker": ["host1:2222", "host2:2222"]}}, "task": {{"type": "worker", "index": 0}}}}; '
            f"got {environment['TF_CONFIG']!r}."
        ) from error
    print(f"This is {told}.", flush=True)
    return tf.distribute.MultiWorkerMirroredStrategy()


def scope(strategy):
    """Where the model and its optimizer have to be made."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def is_chief(strategy):
    """Whether this process is the one that writes."""
    resolver = strategy and strategy.cluster_resolver
    return not resolver or not resolver.task_id


class Follower(Keeper):
    """A Keeper that leaves the saving to the chief."""

    def on_epoch_end(self, epoch, logs=None):
        self.require_finite(logs["val_loss"])
        self.save()

    def save(self):
        self.progress = self.progress._replace(step=int(np.asarray(self.network.optimizer.iterations)))


def fit(strategy, model, batches, validation, epochs, folder):
    """`training.fit.fit`, under `strategy` where there is one, for a model made and compiled in its scope.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM on any machine, with the state saved.
        InputError: the loss or a weight is no longer a number, the disk is full, another machine is gone, or the batch
            cannot be divided.
    """
    if strategy is None:
        return fit_on_one_device(model, batches, validation, epochs, folder)
    require_divisible(batches.batch_size, strategy.num_replicas_in_sync)
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    start = checkpoints.restore(folder, model)
    keeper = (Keeper if is_chief(strategy) else Follower)(folder, start, model)
    tensorboard = [keras.callbacks.TensorBoard(folder, write_graph=False)] if is_chief(strategy) else []
    try:
        require_same_step(strategy, start.step, folder)
        with keeper.stops_on_signals():
            run(strategy, model, batches, validation, epochs, keeper, [*tensorboard, keeper])
    except LOST as error:
        raise InputError(
            f"Another worker is gone ({type(error).__name__}), so training stopped after step "
            f"{int(np.asarray(model.optimizer.iterations))}; the states in {folder} are whole. Give the same command "
            "on every machine to continue."
        ) from error
    if is_chief(strategy):
        with full_disk_in_a_sentence(folder):
            checkpoints.save_model(folder / "last.keras", model)
    return keeper.progress


def require_divisible(batch_size, replicas):
    if batch_size % replicas:
        raise InputError(
            f"A batch of {batch_size} images cannot be divided among {replicas} devices; give a --batch_size that can."
        )


def require_same_step(strategy, step, folder):
    """Every worker has read the same state.

    Raises:
        InputError: they have not.
    """
    steps = summed(strategy, [step, step**2]) / strategy.num_replicas_in_sync
    if steps[1] != steps[0] ** 2:
        raise InputError(
            f"This worker found step {step} in {folder}, and others found another; --runs_root must be a folder that "
            "all machines share."
        )


def summed(strategy, values):
    """`values` of every replica added up, float64 [N]."""
    each = strategy.run(lambda: tf.constant(values, tf.float64))
    return strategy.reduce("SUM", each, axis=None).numpy()


def run(strategy, model, batches, validation, epochs, keeper, callbacks):
    """Every step from where `keeper` is, with Keras's callbacks called as fit does."""
    score = scorer(model, validation, batches.num_classes)
    clip_norm, model.optimizer.global_clipnorm = model.optimizer.global_clipnorm, None  # it would clip each replica's
    calls = keras.callbacks.CallbackList(
        callbacks, add_progbar=True, model=model, epochs=epochs, steps=batches.steps, verbose=2
    )
    calls.on_train_begin()
    for first, steps, end, size in segments(keeper.progress.step, batches.steps, batches.phases(epochs)):
        data = iter(strategy.distribute_datasets_from_function(parts(batches, first, end, size, strategy)))
        with strategy.scope():
            step = train_step(strategy, at_size(model, size), clip_norm)
        for epoch in range(first // batches.steps, end):
            calls.on_epoch_begin(epoch)
            logs, asked = train_epoch(step, data, range(batches.steps - steps, batches.steps), keeper, calls)
            calls.on_epoch_end(epoch, {**logs, **score()})
            if asked:
                calls.on_train_end()
                raise Interrupted
    calls.on_train_end()


def train_epoch(step, data, steps, keeper, calls):
    """The `steps` of one epoch: (their mean loss and accuracy, whether a worker was asked to stop in the last one).

    Raises:
        Interrupted: a worker was asked to stop before that, and the state is saved.
    """
    results, asked = [], 0.0
    for at in steps:
        calls.on_train_batch_begin(at)
        loss, accuracy, asked = step(next(data), float(keeper.is_asked_to_stop)).numpy().tolist()
        results.append((loss, accuracy))
        if asked:  # one worker's signal stops all of them after the same step
            keeper.is_asked_to_stop = True
        calls.on_train_batch_end(at, {"loss": loss, "accuracy": accuracy})
        if asked and at + 1 < steps.stop:
            keeper.save()
            calls.on_train_end()
            raise Interrupted
    loss, accuracy = np.mean(results, axis=0).tolist()
    return {"loss": loss, "accuracy": accuracy}, bool(asked)


def parts(batches, step, epochs, size, strategy):
    """A function from a worker's InputContext to its Dataset: its part of each batch, one replica's after the other."""
    replicas = strategy.num_replicas_in_sync

    def dataset(context):
        here = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * here

        def part(*batch):
            return tuple(tf.reshape(each, (replicas, -1, *each.shape[1:]))[first : first + here] for each in batch)

        return batches.after(step, epochs, size).map(part).unbatch().prefetch(2)

    return dataset


def train_step(strategy, model, clip_norm):
    """A function of (a distributed batch, whether this worker is asked to stop): loss, accuracy and who is, [3]."""
    replicas = strategy.num_replicas_in_sync
    optimizer = model.optimizer

    def replica_step(batch, asked):
        images, labels = batch
        with tf.GradientTape() as tape:
            probabilities = model(images, training=True)
            loss = model.compute_loss(images, labels, probabilities)  # which Keras divides by the replicas
        gradients = tape.gradient(loss, model.trainable_weights)
        if clip_norm:
            gradients = tf.distribute.get_replica_context().all_reduce("SUM", gradients)
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
            gradients = [gradient / replicas for gradient in gradients]
        optimizer.apply(gradients, model.trainable_weights)  # the sum over the replicas
        right = tf.reduce_mean(keras.metrics.categorical_accuracy(labels, probabilities)) / replicas
        return tf.stack([tf.cast(loss, tf.float32), tf.cast(right, tf.float32), asked])

    @tf.function
    def step(batch, asked):
        return strategy.reduce("SUM", strategy.run(replica_step, args=(batch, asked)), axis=None)

    return step


def scorer(model, validation, num_classes):
    """A function that gives val_loss and val_accuracy; every worker computes them, from the same weights."""
    labels = keras.utils.to_categorical(validation.labels, num_classes)
    predict = tf.function(lambda images: model(images, training=False))

    def score():
        probabilities = np.concatenate(
            [predict(tf.constant(validation.images[at : at + 500])) for at in range(0, len(labels), 500)]
        )
        right = (probabilities.argmax(axis=1) == validation.labels).mean()
        return {"val_loss": float(model.compute_loss(None, labels, probabilities)), "val_accuracy": float(right)}

    return score
