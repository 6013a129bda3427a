import keras
import numpy as np
import pytest

from training import recipes

FAST = recipes.Recipe(
    name="small",
    epochs=1,
    batch_size=4,
    learning_rate=0.5,
    optimizer="adamw",
    schedule="cosine",
    weight_decay=0.1,
    inputs="unit",
    dropout=0.5,
)
PAPER = recipes.recipe("paper")


def prepared(recipe, steps):
    images = keras.Input((8, 8, 1), dtype="uint8")
    x = keras.layers.Conv2D(2, 3)(keras.layers.Rescaling(1 / 255)(images))
    x = keras.layers.Flatten()(keras.layers.Dropout(0.4)(x))
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))
    recipes.compile_for_training(model, recipe, steps)
    model.optimizer.build(model.trainable_variables)
    return model


def rates(model, steps):
    found = []
    for step in steps:
        model.optimizer.iterations.assign(step)
        found.append(float(np.asarray(model.optimizer.learning_rate)))
    return found


def test_cosine_rises_to_the_peak_and_falls_to_nothing():
    model = prepared(FAST, steps=100)
    assert rates(model, [0, 10, 20, 60, 100]) == pytest.approx([0, 0.25, 0.5, 0.25, 0], abs=1e-7)


def test_papers_steps_are_after_200_250_and_300_of_350_epochs():
    model = prepared(PAPER, steps=3500)
    assert rates(model, [0, 1999, 2000, 2499, 2500, 2999, 3000]) == pytest.approx(
        [0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005, 0.00005]
    )


def test_papers_steps_scale_to_the_epochs_asked_for():
    assert rates(prepared(PAPER, steps=35), [19, 20, 25, 30]) == pytest.approx([0.05, 0.005, 0.0005, 0.00005])


def test_adamw_takes_weight_decay_of_kernels_and_nothing_of_biases():
    model = prepared(FAST, steps=100)
    model.optimizer.iterations.assign(20)
    before = [np.asarray(weight) for weight in model.trainable_weights]
    nothing = [keras.ops.zeros_like(weight) for weight in model.trainable_weights]
    model.optimizer.apply(nothing, model.trainable_weights)
    for was, weight in zip(before, model.trainable_weights, strict=True):
        kept = 1 - 0.5 * 0.1 if was.ndim > 1 else 1.0
        np.testing.assert_allclose(np.asarray(weight), kept * was, rtol=1e-6)


def test_papers_weight_decay_is_the_gradients_share_of_kernels():
    model = prepared(PAPER, steps=100)
    kernels = [np.asarray(weight) for weight in model.trainable_weights if len(weight.shape) > 1]
    # a loss of w**2 * 0.001 / 2 has the gradient 0.001 * w
    assert float(sum(model.losses)) == pytest.approx(sum(float((w**2).sum()) * 0.001 / 2 for w in kernels), rel=1e-5)


def test_dropout_is_the_networks_own_times_the_recipes():
    for recipe, rate in (FAST, 0.2), (PAPER, 0.4):
        layers = prepared(recipe, steps=100).layers
        assert [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)] == [pytest.approx(rate)]


def test_airbench_starts_its_convolutions_as_the_identity():
    given = dict(batch_size=4, epochs=1)
    kernels = prepared(recipes.recipe("airbench", **given), steps=100).get_weights()[0]
    np.testing.assert_array_equal(kernels[:, :, 0, 0], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    "name, share, why", [("fast", 1.5, "from 0 to 1, got 1.5"), ("paper", 0.5, "0 with inputs zca")]
)
def test_low_resolution_that_cannot_be_is_refused(name, share, why):
    with pytest.raises(ValueError, match=f"low_resolution_share must be {why}"):
        recipes.recipe(name, low_resolution_share=share)


def test_what_only_sgd_has_is_refused_for_adamw():
    with pytest.raises(ValueError, match="are of sgd, got optimizer adamw"):
        recipes.recipe("fast", lookahead=True)


def test_unknown_recipe_gets_the_nearest_and_the_list():
    with pytest.raises(ValueError, match="Did you mean 'fast'.*Known recipes: fast, paper, airbench"):
        recipes.recipe("fats")


@pytest.mark.parametrize(
    "field, value, bounds",
    [
        ("learning_rate", float("inf"), "finite"),
        ("clip_norm", 0, "above 0"),
        ("clip_norm", -1.0, "above 0"),
        ("score_scale", 0.0, "above 0"),
        ("weight_decay", -5.0, "at least 0"),
        ("norm_bias_rate", float("nan"), "at least 0"),
        ("dropout", -1.0, "at least 0"),
        ("momentum", 2.0, "at least 0 and below 1"),
        ("label_smoothing", 5.0, "at least 0 and below 1"),
        ("label_smoothing", float("nan"), "at least 0 and below 1"),
    ],
)
def test_number_out_of_its_bounds_is_refused(field, value, bounds):
    with pytest.raises(ValueError, match=f"{field} must be {bounds}.*got {value}"):
        recipes.recipe("paper", **{field: value})


def test_dropout_that_makes_a_rate_of_one_is_refused():
    with pytest.raises(ValueError, match="dropout 10 multiplies the rate 0.4 of dropout.* to 4, and rates are below 1"):
        prepared(recipes.recipe("fast", dropout=10.0), steps=1)
