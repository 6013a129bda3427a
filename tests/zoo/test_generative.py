"""DCGAN's rules (arXiv 1511.06434, section 3), and a variational autoencoder that follows the same ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.account import account
from zoo.catalog import ENTRIES
from zoo.generative import GAN_LATENTS, VAE_LATENTS, Sample, conv_vae, dcgan

SHAPES = [(28, 28, 1), (32, 48, 3)]
PARTS = {"conv_vae": (conv_vae, "encoder", "decoder"), "dcgan": (dcgan, "generator", "discriminator")}


def photographs(count, shape):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def latents(count, size):
    return np.random.default_rng(0).normal(size=(count, size)).astype("float32")


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def vae(request):
    keras.utils.set_random_seed(0)
    return conv_vae("conv_vae", input_shape=request.param, width=0.25)


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def gan(request):
    keras.utils.set_random_seed(0)
    return dcgan("dcgan", input_shape=request.param, width=0.125)


def test_uint8_images_are_reconstructed_on_the_same_scale(vae):
    images = photographs(3, vae.input_shape[1:])
    reconstructions = vae.predict(images, verbose=0)
    assert (reconstructions.shape, reconstructions.dtype) == (images.shape, np.float32)
    assert 0 <= reconstructions.min() and 1 < reconstructions.max() <= 255


def test_a_reconstruction_is_the_decoded_mean_of_the_code(vae):
    images = photographs(3, vae.input_shape[1:])
    mean, log_variance = vae.get_layer("encoder").predict(images, verbose=0)
    assert mean.shape == log_variance.shape == (3, VAE_LATENTS)
    decoded = vae.get_layer("decoder").predict(mean, verbose=0)
    np.testing.assert_allclose(decoded, vae.predict(images, verbose=0), rtol=1e-4)


def test_while_training_the_code_is_drawn_from_its_gaussian():
    mean, deviation = np.full((20_000, 1), 3.0, "float32"), 0.5
    keras.utils.set_random_seed(0)
    sample = Sample()
    code = [mean, np.full_like(mean, 2 * np.log(deviation))]
    drawn = sample(code, training=True).numpy()
    assert drawn.mean() == pytest.approx(3, abs=0.02)
    assert drawn.std() == pytest.approx(deviation, abs=0.02)
    np.testing.assert_array_equal(sample(code), mean)


def test_latents_become_images_of_the_shape_asked_for(gan):
    generator = gan.get_layer("generator")
    images = generator.predict(latents(3, GAN_LATENTS), verbose=0)
    assert images.shape == (3, *gan.get_layer("discriminator").input_shape[1:])
    assert 0 <= images.min() and images.max() <= 255


def test_the_discriminator_takes_uint8_and_generated_images_alike(gan):
    discriminator = gan.get_layer("discriminator")
    images = photographs(3, discriminator.input_shape[1:])
    np.testing.assert_allclose(discriminator(images), discriminator(images.astype("float32")), rtol=1e-6)
    assert discriminator(images).shape == (3, 1)


def test_a_gradient_reaches_every_weight_of_the_vae(vae):
    images = photographs(4, vae.input_shape[1:])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(vae(images, training=True) - images.astype("float32")))
    assert_reached(tape, loss, vae)


def test_a_gradient_reaches_every_weight_of_both_players(gan):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.softplus(-gan(latents(4, GAN_LATENTS), training=True)))
    assert_reached(tape, loss, gan)


def assert_reached(tape, loss, model):
    gradients = tape.gradient(loss, model.trainable_weights)
    pairs = zip(model.trainable_weights, gradients, strict=True)
    assert [weight.path for weight, gradient in pairs if gradient is None or not np.any(gradient)] == []


@pytest.mark.parametrize("name", PARTS)
def test_the_catalogs_counts_are_the_built_networks(name):
    entry = ENTRIES[name]
    model = zoo.build(name, input_shape=entry.input_shape)
    assert model.count_params() == entry.parameters
    assert account(model).total("multiply_adds") == entry.multiply_adds
    assert [layer.name for layer in model.layers if isinstance(layer, keras.Model)] == [*PARTS[name][1:]]


@pytest.mark.parametrize("name", PARTS)
def test_nothing_pools_and_no_layer_is_fully_connected(name):
    kinds = {layer.kind for layer in account(PARTS[name][0](name, input_shape=(32, 32, 3), width=0.1)).layers}
    assert not any("Pool" in kind or kind == "Dense" for kind in kinds)


@pytest.mark.parametrize("name", PARTS)
def test_transposed_kernels_cover_every_place_alike(name):
    layers = account(PARTS[name][0](name, input_shape=(32, 32, 3), width=0.1)).layers
    windows = [layer.window for layer in layers if layer.kind == "Conv2DTranspose"]
    assert windows
    assert all(kernel % stride == 0 for window in windows for kernel, stride in zip(*window[:2], strict=True))


def test_dcgan_normalises_all_but_its_output_and_its_input():
    layers = account(dcgan("dcgan", input_shape=(64, 64, 3), width=0.05)).layers
    kinds = [(layer.name, layer.kind) for layer in layers if layer.kind in ("BatchNormalization", "LeakyReLU", "ReLU")]
    generator = [("generator/norm{0}", "BatchNormalization"), ("generator/relu{0}", "ReLU")]
    discriminator = [("discriminator/norm{0}", "BatchNormalization"), ("discriminator/relu{0}", "LeakyReLU")]
    expected = [(name.format(at), kind) for at in (1, 2, 3, 4) for name, kind in generator]
    expected += [(name.format(at), kind) for at in (1, 2, 3, 4) for name, kind in discriminator][1:]
    assert kinds == expected


def test_dcgan_is_the_papers_at_64_pixels():
    layers = {layer.name: layer.output_shape for layer in account(dcgan("dcgan", input_shape=(64, 64, 3))).layers}
    maps = [(4, 4, 1024), (8, 8, 512), (16, 16, 256), (32, 32, 128)]  # Figure 1
    assert [layers[f"generator/up{at}"] for at in (1, 2, 3, 4)] == maps
    assert layers["generator/pixels"] == (64, 64, 3)


def test_dcgan_weights_start_narrow():
    model = dcgan("dcgan", input_shape=(32, 32, 3), width=0.5)
    kernels = [weight.numpy().std() for weight in model.trainable_weights if len(weight.shape) == 4]
    assert kernels == pytest.approx([0.02] * len(kernels), rel=0.2)


def test_a_vae_is_saved_and_loaded(vae, tmp_path):
    vae.save(tmp_path / "vae.keras")
    images = photographs(2, vae.input_shape[1:])
    again = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(again.predict(images, verbose=0), vae.predict(images, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("shape, times", [((27, 28, 1), 0), ((30, 30, 3), 1), ((12, 12, 1), 1)])
def test_images_that_cannot_be_halved_twice_are_refused(shape, times):
    with pytest.raises(ValueError, match=f"{shape[0]}x{shape[1]} pixels can be halved {times} times"):
        conv_vae("conv_vae", input_shape=shape)
