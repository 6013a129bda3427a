import keras
import numpy as np
import pytest

from training.initial import scale_scores
from training.optimizers import SGD, Triangular, schedule


def test_triangle_rises_from_a_fifth_to_the_peak_and_falls_to_7_percent():
    rates = schedule("triangular", 1.5, 1000)
    got = [float(rates(step)) for step in (0, 115, 230, 615, 1000)]
    assert got == pytest.approx([0.3, 0.9, 1.5, 0.8025, 0.105])


def test_schedule_comes_back_from_its_configuration():
    rates = Triangular(1.5, 1000)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rates))
    assert float(again(400)) == float(rates(400))


def stepped(optimizer, weights, steps, gradient):
    """The weights after each step with the same gradient for all."""
    optimizer.build(weights)
    after = []
    for _ in range(steps):
        optimizer.apply([keras.ops.full(weight.shape, gradient) for weight in weights], weights)
        after.append([np.array(weight) for weight in weights])
    return after


def test_without_additions_it_is_keras_sgd():
    given = {"learning_rate": 0.1, "momentum": 0.85, "nesterov": True}
    ours, theirs = (
        stepped(made(**given), [keras.Variable([1.0, -2.0])], 7, 0.3) for made in (SGD, keras.optimizers.SGD)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_biases_of_batch_normalisation_have_their_own_rate():
    norm = keras.layers.BatchNormalization()
    norm.build((None, 2))
    [[gamma, beta]] = stepped(SGD(0.01, norm_bias_rate=64.0), norm.trainable_weights, 1, 1.0)
    np.testing.assert_allclose(gamma, 1 - 0.01, rtol=1e-6)
    np.testing.assert_allclose(beta, -0.64, rtol=1e-6)


@pytest.mark.parametrize("made", [(keras.layers.Dense, 3), (keras.layers.Conv2D, 3, 1)])
def test_scaled_scores_are_learned_as_by_a_network_that_multiplies_them(made):
    """Two networks, one with its scores multiplied by 1/9, the other with that in its first weights and its rate."""
    layer, *sizes = made
    name = "logits" if layer is keras.layers.Dense else "class_maps"
    images = np.random.default_rng(0).normal(size=(8, 4) if name == "logits" else (8, 2, 2, 4)).astype(np.float32)
    scores = []
    for scale, rate in ((1 / 9, 1.0), (1.0, 1 / 81)):
        keras.utils.set_random_seed(0)
        given = keras.Input(images.shape[1:])
        x = keras.layers.Rescaling(scale)(layer(*sizes, name=name)(given))
        model = keras.Model(given, x)
        if scale == 1:
            scale_scores(model, 1 / 9)
        model.compile(SGD(2.0, momentum=0.85, nesterov=True, score_rate=rate), "mse")
        model.fit(images, np.ones(x.shape[1:])[None].repeat(8, 0), epochs=5, verbose=0, shuffle=False)
        scores.append(model.predict(images, verbose=0))
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-3, atol=1e-5)


def test_lookahead_replaces_the_weights_by_their_running_mean_every_five_steps():
    """By hand: each step takes 1 away; the mean after step t of T keeps 0.95**5 * (t / T)**3 of what it was."""
    steps = 12
    weight, want = 10.0, []
    for step in range(1, steps + 1):
        weight -= 1
        if step == 5:
            mean = weight
        if step == 10:
            kept = 0.95**5 * (step / steps) ** 3
            weight = mean = kept * mean + (1 - kept) * weight
        if step == steps:
            weight = mean
        want.append(weight)
    got = stepped(SGD(1.0, lookahead_steps=steps), [keras.Variable([10.0])], steps, 1.0)
    np.testing.assert_allclose(np.ravel(got), want, rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 3, 5, 8, 20])
def test_lookahead_leaves_weights_alone_that_do_not_move(steps):
    weight = keras.Variable([3.0])
    stepped(SGD(0.0, lookahead_steps=steps), [weight], steps, 1.0)
    np.testing.assert_allclose(weight, [3.0], rtol=1e-6)
