import keras
import numpy as np
import pytest

from training import features, photographs


def tiny(seed):
    keras.utils.set_random_seed(seed)
    images = keras.Input((8, 8, 3), dtype="uint8", name="images")
    x = keras.layers.Conv2D(5, 3)(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture
def photos(tmp_path, write_picture):
    for name in "cat", "dog":
        for number in range(35):
            write_picture(tmp_path / "set" / name / f"{number}.png", (number * 7, 3 * number, len(name)), (8, 8))
    return photographs.read(photographs.find(tmp_path / "set", 0), (8, 8, 3), tmp_path / "cache")


def test_features_are_the_models_predictions_of_every_picture(photos):
    model = tiny(1)
    expected = model.predict(photos.images(range(70)), verbose=0)
    np.testing.assert_allclose(features.cached_features(model, photos), expected, rtol=1e-5)


def test_some_pictures_in_the_order_asked_for(photos):
    model = tiny(1)
    expected = model.predict(photos.images([69, 0, 3]), verbose=0)
    np.testing.assert_allclose(features.compute("some", model, photos, np.array([69, 0, 3])), expected, rtol=1e-5)


def test_features_are_computed_once_for_the_same_weights_and_pictures(photos, capsys):
    first = features.cached_features(tiny(1), photos)
    capsys.readouterr()
    np.testing.assert_array_equal(features.cached_features(tiny(1), photos), first)
    assert "Computing" not in capsys.readouterr().out
    assert not np.allclose(features.cached_features(tiny(2), photos), first)
    assert "Computing" in capsys.readouterr().out
