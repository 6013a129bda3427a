"""Train a generative network of the zoo and export it for serving.

python -m training.train_generative --model conv_vae --dataset fashion_mnist
"""

import dataclasses
import sys
from pathlib import Path
from typing import Literal, NamedTuple

import tyro

from training import checks, folders
from training.errors import InputError, command_line, continued, exit_with_a_sentence
from training.quiet import import_tensorflow


class Recipe(NamedTuple):
    """Adam at one learning rate, on images as they are."""

    epochs: int
    batch_size: int
    learning_rate: float
    beta_1: float = 0.9
    name: str = "adam"
    flips: str = "none"
    shift: int = 0
    cutout: int = 0
    low_resolution_share: float = 0.0


RECIPES = {
    "conv_vae": Recipe(epochs=10, batch_size=128, learning_rate=1e-3),
    "dcgan": Recipe(epochs=20, batch_size=128, learning_rate=2e-4, beta_1=0.5),  # arXiv 1511.06434, section 4
}


@dataclasses.dataclass(frozen=True)
class GenerativeConfig:
    """Train a generative network of the zoo and export it as the next version of a served model.

    A training that was stopped or killed goes on when the same command is given again.
    """

    model: Literal["conv_vae", "dcgan"] = "conv_vae"
    """the network"""
    dataset: str = "fashion_mnist"
    """fashion_mnist, mnist, cifar10, cifar100, or the path of a folder or tar archive of pictures"""
    data_dir: Path | None = None
    """folder with the IDX files of fashion_mnist or mnist; by default they are looked for, then downloaded"""
    image_size: int | None = None
    """height and width that a folder's pictures are resized to; by default their own if equal and small, else 64"""
    width: float = 1.0
    """multiplies the network's numbers of filters"""
    epochs: int | None = None
    """passes over the training images; by default the recipe's"""
    batch_size: int | None = None
    """images per step; by default the recipe's"""
    learning_rate: float | None = None
    """of Adam; by default the recipe's"""
    classifier: Path | None = None
    """an exported classifier, such as models/all_cnn_c, on whose features the Fréchet distance between images made
    and test images is measured; without it there is none"""
    seed: int = 0
    """decides the first weights, the order of the images and all noise"""
    name: str | None = None
    """what the model is served as; by default the network's name"""
    models_root: Path = Path("models")
    """folder of the exported models"""
    runs_root: Path = Path("runs")
    """folder of logs, sample grids and checkpoints"""

    def __post_init__(self):
        checks.positive(self, "image_size", "epochs", "batch_size", "learning_rate", "width")
        checks.seed(self)
        if self.name is not None:
            checks.served_name(self.name)

    @property
    def served_name(self):
        return self.name or self.model

    @property
    def recipe(self):
        given = {name: getattr(self, name) for name in ("epochs", "batch_size", "learning_rate")}
        return RECIPES[self.model]._replace(**{name: value for name, value in given.items() if value is not None})


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    with exit_with_a_sentence(continued(command_line("training.train_generative", argv))):
        config = tyro.cli(GenerativeConfig, args=argv, prog="python -m training.train_generative", use_underscores=True)
        import_tensorflow()
        train(config)


def train(config):
    """Dataset, model, training, measures, export: the version directory."""
    import keras

    from training import checkpoints, datasets
    from training.export import require_kin
    from training.train import run_folder

    checks.exportable(config.models_root / config.served_name)
    folders.require_writable(config.models_root / config.served_name, config.runs_root)
    keras.utils.set_random_seed(config.seed)
    data = datasets.load(config.dataset, data_dir=config.data_dir, image_size=config.image_size, seed=config.seed)
    require_kin(config.models_root / config.served_name, (), config.model)
    distance = distance_of(config.classifier, data)
    folder = run_folder(config, data)
    trainer = build(config, data)
    with folders.locked(folder):
        seconds = fit(trainer, config, data, folder, distance)
        measures = trainer.tested(data.test.images)
        if distance:
            measures["frechet_distance"] = distance.to_made(trainer, config.seed)
            measures["frechet_distance_training_images"] = distance.to(data.train.images)  # what no network gets below
        path = publish(trainer, config, data, measures, seconds)
        checkpoints.clear(folder)
    print(f"Trained in {seconds:.0f} seconds; sample grids in {folder}.{' On the test images:' * bool(measures)}")
    for name, value in measures.items():
        print(f"{name.replace('_', ' ')}: {value:.4g}")
    print(f"SavedModel: {path}")
    return path


def distance_of(path, data):
    """The Distance from the test images by the features of the classifier in `path`; None without one."""
    if path is None:
        return None
    from training.artifact import Artifact
    from training.samples import Distance

    artifact = Artifact(path)
    shape = artifact.input_shape("features")
    if shape != data.image_shape:
        raise InputError(f"The classifier {path} takes images of shape {shape} and {data.name} has {data.image_shape}.")
    if min(len(data.test.images), len(data.train.images)) < 2:
        raise InputError(f"{data.name} has too few images for --classifier: expected two to test and two to train on.")
    return Distance(artifact.features, data.test.images)


def build(config, data):
    """The network with its losses and optimizers, a Vae or a Gan."""
    import keras

    import zoo
    from training.gan import Gan
    from training.vae import Vae

    try:
        network = zoo.build(config.model, input_shape=data.image_shape, width=config.width)
    except ValueError as error:
        raise InputError(f"{config.model} cannot be built for {data.name}, {data.image_shape}: {error}") from error

    def adam():
        return keras.optimizers.Adam(config.recipe.learning_rate, config.recipe.beta_1)

    if config.model == "dcgan":
        trainer = Gan(network, config.seed)
        trainer.compile(adam(), adam(), jit_compile=False)
    else:
        trainer = Vae(network)
        trainer.compile(adam(), jit_compile=False)
        trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def fit(trainer, config, data, folder, distance):
    """Trains from the newest state in `folder`; returns the seconds it took in all."""
    import keras

    from training import checkpoints
    from training.batches import Batches
    from training.fit import StateKeeper, run
    from training.samples import Samples

    recipe = config.recipe
    keeper = StateKeeper(folder, checkpoints.restore(folder, trainer), trainer)
    batches = Batches(data.train, data.num_classes, recipe, config.seed)
    callbacks = [
        *trainer.tests(data.test.images),
        Samples(folder, data.test.images, config.seed, distance),
        keras.callbacks.TensorBoard(folder, write_graph=False),
        keeper,
    ]
    run(trainer, batches, recipe.epochs, keeper, callbacks)
    return keeper.progress.seconds


def publish(trainer, config, data, measures, seconds):
    """The next version of the model, with its signatures and its card."""
    from training import model_card
    from training.export import export_signatures

    card = {
        "name": config.served_name,
        "model": {"name": config.model, "width": config.width, "image_shape": list(data.image_shape)},
        "dataset": model_card.described(data),
        "recipe": config.recipe._asdict(),
        "seed": config.seed,
        "measures": measures,
        **model_card.made(trainer.served, seconds),
    }
    return export_signatures(trainer.signatures(), config.models_root, card["name"], (), card)


if __name__ == "__main__":
    main()
