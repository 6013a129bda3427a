import concurrent.futures
import io
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

import zoo
from training import pictures
from training.errors import InputError
from training.export import export, publish, require_kin
from training.signatures import decode

CLASS_NAMES = ("cat", "dog", "Ä€sel")
SHAPES = {"colour": (20, 24, 3), "grey": (28, 28, 1)}


def tiny(shape):
    """(classifier, features): one convolution, so that pictures that differ are told apart."""
    keras.utils.set_random_seed(7)
    images = keras.Input(shape, dtype="uint8", name="anything")
    x = keras.layers.Rescaling(1 / 50)(images)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(5, 3, activation="relu")(x))
    scores = keras.layers.Dense(len(CLASS_NAMES), name="logits")(keras.layers.Dropout(0.5)(x))
    return keras.Model(images, keras.layers.Softmax()(scores)), keras.Model(images, x)


class Exported:
    def __init__(self, root, shape):
        self.model, self.features = tiny(shape)
        self.path = export(self.model, root, "pets", class_names=CLASS_NAMES, card={"name": "pets"})
        self.signatures = tf.saved_model.load(self.path).signatures
        self.images = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
        self.probabilities = self.model.predict(self.images, verbose=0)


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    return {name: Exported(tmp_path_factory.mktemp(name), shape) for name, shape in SHAPES.items()}


@pytest.fixture(params=SHAPES)
def exported(request, exports):
    return exports[request.param]


def encode(image, suffix="png", mode=None):
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    content = io.BytesIO()
    picture.convert(mode or picture.mode).save(content, {"jpg": "JPEG"}.get(suffix, suffix.upper()))
    return content.getvalue()


def specs(signature, side):
    given = signature.structured_input_signature[1] if side == "inputs" else signature.structured_outputs
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in given.items()}


def test_signatures_are_the_contracts_names_dtypes_and_shapes(exported):
    shape, k = list(exported.images.shape[1:]), len(CLASS_NAMES)
    images, probabilities = {"images": (tf.uint8, [None, *shape])}, {"probabilities": (tf.float32, [None, k])}
    expected = {
        "serving_default": (images, probabilities),
        "encoded": ({"image_bytes": (tf.string, [None])}, probabilities),
        "classify": (
            {"inputs": (tf.string, [None])},
            {"classes": (tf.string, [None, k]), "scores": (tf.float32, [None, k])},
        ),
        "features": (images, {"features": (tf.float32, [None, 5])}),
    }
    assert {
        name: (specs(each, "inputs"), specs(each, "outputs")) for name, each in exported.signatures.items()
    } == expected


FRESH = """
import sys
import numpy as np, tensorflow as tf
given = np.load(sys.argv[2])
signatures = tf.saved_model.load(sys.argv[1]).signatures
got = signatures["serving_default"](images=tf.constant(given["images"]))["probabilities"].numpy()
assert not {"zoo", "training"} & set(sys.modules), sorted(sys.modules)
np.testing.assert_allclose(got, given["probabilities"], atol=1e-5)
print("same")
"""


def test_fresh_process_without_zoo_or_training_gives_the_same_probabilities(exports, tmp_path):
    exported = exports["grey"]
    np.savez(tmp_path / "given.npz", images=exported.images, probabilities=exported.probabilities)
    command = [sys.executable, "-c", FRESH, str(exported.path), str(tmp_path / "given.npz")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "same", run.stderr


@pytest.mark.parametrize("count", [1, 5])
def test_batch_dimension_is_free(exported, count):
    images, pngs = exported.images[:count], [encode(image) for image in exported.images[:count]]
    sent = tf.constant(images)
    strings = tf.constant(pngs, tf.string, shape=[count])
    assert exported.signatures["serving_default"](images=sent)["probabilities"].shape == (count, len(CLASS_NAMES))
    assert exported.signatures["features"](images=sent)["features"].shape == (count, 5)
    assert exported.signatures["encoded"](image_bytes=strings)["probabilities"].shape == (count, len(CLASS_NAMES))


def test_features_are_the_feature_models(exported):
    got = exported.signatures["features"](images=tf.constant(exported.images))["features"]
    np.testing.assert_allclose(got, exported.features.predict(exported.images, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_encoded_lossless_pictures_give_the_probabilities_of_their_pixels(exported, suffix):
    got = exported.signatures["encoded"](image_bytes=[encode(image, suffix) for image in exported.images])
    np.testing.assert_allclose(got["probabilities"], exported.probabilities, atol=1e-5)


@pytest.mark.parametrize(
    "suffix, mode",
    [
        *(("jpg", None), ("jpg", "L"), ("gif", "L"), ("bmp", "L")),
        *(("png", "RGBA"), ("png", "LA"), ("webp", None), ("webp", "RGBA")),
    ],
)
def test_every_format_and_size_is_decoded_as_for_training(exports, suffix, mode):
    for exported in exports.values():
        big = np.linspace(0, 255, 90 * 70 * 3).astype(np.uint8).reshape(90, 70, 3)
        content = encode(big, suffix, mode)
        pixels = pictures.decode(content, exported.images.shape[1:])
        got = exported.signatures["encoded"](image_bytes=[content])["probabilities"]
        want = exported.model.predict(pixels[np.newaxis], verbose=0)
        np.testing.assert_allclose(got, want, atol=0.01)  # Pillow rounds between its two passes


@pytest.mark.parametrize("shape, most", [((400, 500, 3), 0), ((80, 100, 3), 2), ((32, 32, 3), 4)])
def test_photograph_is_decoded_as_for_training(shape, most):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (20, 25, 3)).astype(np.uint8)
    fine = np.asarray(Image.fromarray(coarse).resize((500, 400), Image.Resampling.BICUBIC)).astype(float)
    content = io.BytesIO()
    pixels = (fine + random.normal(0, 8, fine.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(content, "JPEG", quality=85)
    served = decode(tf.constant([content.getvalue()]), shape)[0].numpy().astype(int)
    assert np.abs(served - pictures.decode(content.getvalue(), shape)).max() <= most


def test_classify_gives_all_classes_best_first(exported):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encode(exported.images[0])]))
    example = tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature}))
    got = exported.signatures["classify"](inputs=[example.SerializeToString()])
    order = np.argsort(-exported.probabilities[0])
    assert [name.decode() for name in got["classes"].numpy()[0]] == [CLASS_NAMES[at] for at in order]
    np.testing.assert_allclose(got["scores"][0], exported.probabilities[0][order], atol=1e-5)


def test_labels_and_card_are_beside_the_model(exported):
    assert (exported.path / "assets" / "labels.txt").read_text("utf-8").splitlines() == list(CLASS_NAMES)
    assert json.loads((exported.path / "model_card.json").read_text("utf-8")) == {"name": "pets"}


def test_warmup_file_has_one_answerable_request_for_each_signature(exported):
    path = exported.path / "assets.extra" / "tf_serving_warmup_requests"
    asked = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        assert exported.signatures[request.model_spec.signature_name](**inputs)
        asked.append((request.model_spec.name, request.model_spec.signature_name))
    assert asked == [("pets", name) for name in ("serving_default", "encoded", "classify", "features")]


def test_concurrent_publishers_each_get_a_version_of_their_own(tmp_path):
    home = tmp_path / "m"
    barrier = threading.Barrier(8)

    def publish_one(publisher):
        scratch = home / f"unpublished-{publisher}"
        scratch.mkdir(parents=True)
        (scratch / "saved_model.pb").write_text(str(publisher))
        barrier.wait(timeout=30)
        return publish(scratch, home)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(publish_one, range(8)))
    assert sorted(path.name for path in home.iterdir()) == [str(version) for version in range(1, 9)]
    assert [(path / "saved_model.pb").read_text() for path in paths] == [str(publisher) for publisher in range(8)]


def test_next_version_is_above_all_others_and_readable_by_any_user(tmp_path):
    (tmp_path / "m" / "41").mkdir(parents=True)
    (tmp_path / "m" / "notes").mkdir()
    model, _ = tiny((16, 16, 1))
    path = export(model, tmp_path, "m", class_names=CLASS_NAMES, card={})
    assert path == tmp_path / "m" / "42"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_model_of_other_classes_needs_a_name_of_its_own(tmp_path, capsys):
    labels = tmp_path / "m" / "3" / "assets" / "labels.txt"
    require_kin(tmp_path / "m", ("cat", "dog"), "pets")
    labels.parent.mkdir(parents=True)
    labels.write_text("cat\ndog\n")
    require_kin(tmp_path / "m", ("dog", "cat"), "pets")
    assert capsys.readouterr().out == ""
    require_kin(tmp_path / "m", ("cat", "dog", "mouse"), "more")
    assert "m/3 knows the classes cat, dog; more has the classes cat, dog, mouse." in capsys.readouterr().out
    with pytest.raises(InputError, match="give the new model a name of its own with --name"):
        require_kin(tmp_path / "m", ("oak", "elm"), "trees")
    with pytest.raises(InputError, match="m/3 knows the classes cat, dog; conv_vae has no classes. .*--name"):
        require_kin(tmp_path / "m", (), "conv_vae")


def test_network_that_makes_images_is_followed_by_no_classifier(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m/1/model_card.json").write_text("{}")
    require_kin(tmp_path / "m", (), "conv_vae")
    with pytest.raises(InputError, match="m/1 knows no classes; pets has the classes cat, dog. .*--name"):
        require_kin(tmp_path / "m", ("cat", "dog"), "pets")


def test_sliding_network_is_the_signature_dense(tmp_path):
    model, _ = tiny((16, 16, 3))
    sliding = zoo.convolutionize(model)
    path = export(model, tmp_path, "m", class_names=CLASS_NAMES, card={}, sliding=sliding)
    loaded = tf.saved_model.load(path)
    assert specs(loaded.signatures["dense"], "inputs") == {"images": (tf.uint8, [None, None, None, 3])}
    assert specs(loaded.signatures["dense"], "outputs") == {"class_maps": (tf.float32, [None, None, None, 3])}
    images = np.random.default_rng(0).integers(0, 256, (2, 19, 17, 3), np.uint8)
    class_maps = loaded.signatures["dense"](images=tf.constant(images))["class_maps"]
    assert class_maps.shape == (2, 4, 2, 3)
    corner = loaded.signatures["serving_default"](images=tf.constant(images[:, 3:, 1:]))["probabilities"]
    np.testing.assert_allclose(class_maps[:, 3, 1], corner, atol=1e-5)


def test_failed_export_leaves_nothing(tmp_path):
    model, _ = tiny((16, 16, 1))
    with pytest.raises(TypeError):
        export(model, tmp_path, "m", class_names=CLASS_NAMES, card={"not": Path})
    assert list((tmp_path / "m").iterdir()) == []
