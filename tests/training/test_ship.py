import errno
import json
import os
import re

import numpy as np
import pytest

import zoo
from training import backbones, ship, train
from training.artifact import Artifact
from zoo import cards


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_idx):
    return write_idx(tmp_path_factory.mktemp("data") / "images", count=40)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """Exported versions, by the name of the network."""
    folder = tmp_path_factory.mktemp("trained")

    def version(model, *given):
        arguments = ["--width=0.05", "--epochs=1", "--batch_size=8", f"--data_dir={data}", f"--model={model}", *given]
        train.main([*arguments, f"--models_root={folder / 'models'}", f"--runs_root={folder / 'runs'}"])
        return folder / "models" / model / "1"

    return {"all_cnn_c": version("all_cnn_c"), "sprint_pool": version("sprint_pool", "--seed=3")}


@pytest.fixture(scope="module", params=["all_cnn_c", "sprint_pool"])
def shipped(request, trained, data, tmp_path_factory):
    """(name, version directory, folder of the zoo's weights)."""
    folder = tmp_path_factory.mktemp("weights")
    ship.main([str(trained[request.param]), f"--data_dir={data}", f"--weights_root={folder}"])
    return request.param, trained[request.param], folder


def test_loaded_network_is_the_exported_one_to_the_precision_of_float16(shipped):
    name, version, folder = shipped
    images = np.random.default_rng(1).integers(0, 256, (20, 28, 28, 1), np.uint8)
    got = zoo.load(name, weights="fashion_mnist", folder=folder).predict(images, verbose=0)
    np.testing.assert_allclose(got, Artifact(version).probabilities(images), atol=5e-3)


def test_card_has_class_names_and_the_command_that_trained(shipped, data):
    name, _, folder = shipped
    card = zoo.card(name, weights="fashion_mnist", folder=folder)
    assert card["class_names"][9] == "Ankle boot"
    assert (card["accuracy"]["images"], card["dataset"]["source"]) == (20, "images")
    given = {"all_cnn_c": "", "sprint_pool": "--model=sprint_pool "}[name]
    seed = {"all_cnn_c": "", "sprint_pool": " --seed=3"}[name]
    command = f"python -m training.train {given}--data_dir=images --width=0.05{seed} --epochs=1 --batch_size=8"
    assert card["command"] == command


def test_its_backbone_has_the_front_it_was_trained_with(trained):
    version = trained["all_cnn_c"]
    images = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1), np.uint8)
    model = backbones.build(backbones.plan("all_cnn_c", str(version)), num_classes=3)
    np.testing.assert_allclose(zoo.features(model)(images), Artifact(version).features(images), rtol=1e-4, atol=1e-5)


def edited(version, folder, edit):
    """A version directory whose card `edit` changed; the rest is the other's."""
    for path in version.iterdir():
        if path.name != "model_card.json":
            (folder / path.name).symlink_to(path)
    card = json.loads((version / "model_card.json").read_text("utf-8"))
    edit(card)
    (folder / "model_card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "edit, sentence",
    [
        (lambda card: card.pop("command"), "does not say how the model was made"),
        (lambda card: card["model"].update(name="INPUT -> FC"), "holds the pattern INPUT -> FC; only networks with a"),
        (
            lambda card: card["model"]["front"][0].update(registered_name="convzoo>Zca", class_name="Zca"),
            "begins with a Zca, which is no layer of Keras",
        ),
        (lambda card: card["model"].update(width=0.1), "differ in 'conv1/kernel'"),
        (lambda card: card["accuracy"].update(interval=[0.99, 1.0]), "the card says 99.00% to 100.00%"),
        (
            lambda card: card["dataset"].update(name="fashion_mnst", source="fashion_mnst"),
            "Did you mean 'fashion_mnist'",
        ),
    ],
)
def test_what_cannot_be_shipped_is_a_sentence(trained, data, tmp_path, capsys, edit, sentence):
    version = edited(trained["all_cnn_c"], tmp_path, edit)
    chosen = [] if "mnst" in sentence else [f"--data_dir={data}"]
    with pytest.raises(SystemExit) as stopped:
        ship.main([str(version), *chosen, f"--weights_root={tmp_path / 'weights'}"])
    assert stopped.value.code == 2
    assert re.search(re.escape(sentence), capsys.readouterr().err)
    assert not (tmp_path / "weights").exists()


def test_full_disk_leaves_the_pair_that_was_there(tmp_path, monkeypatch):
    card = {"name": "all_cnn_c", "dataset": {"name": "mnist"}}
    ship.write(card, {"conv1/kernel": np.zeros(3, "float16")}, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        ship.write(card | {"more": 1}, {"conv1/kernel": np.ones(3, "float16")}, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_too_big_for_a_wheel_is_refused(tmp_path):
    card = {"name": "all_cnn_c", "dataset": {"name": "mnist"}}
    random = np.random.default_rng(0).normal(size=2_500_000).astype("float16")
    with pytest.raises(ship.InputError, match=r"at most 4,000,000 go into the zoo\. Train it with a smaller --width"):
        ship.write(card, {"conv1/kernel": random}, tmp_path)
    assert cards.shipped(tmp_path) == {}
