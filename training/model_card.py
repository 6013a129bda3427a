"""What a version directory says about how its model came to be."""

import dataclasses
import importlib.metadata
import platform
import shlex
from pathlib import Path

from training import recipes
from zoo.account import account
from zoo.front import front_of


def model_card(config, data, model, accuracy, seconds):
    """model_card.json's content: where the model comes from, how good it is and what it costs."""
    return {
        "name": config.served_name,
        "model": {
            "name": config.model,
            "width": config.width,
            "image_shape": list(data.image_shape),
            "front": front_of(model, config.model),
        },
        "dataset": described(data),
        "recipe": dataclasses.asdict(config.recipe),
        "seed": config.seed,
        "command": command(config),
        **measured(model, accuracy, seconds),
    }


def command(config):
    """The command line that trains like `config`: what it leaves out is the program's default, or the recipe's."""
    plain = [field for field in dataclasses.fields(config) if field.name != "recipe"]
    flags = [flag(field.name, getattr(config, field.name)) for field in plain if is_told(field, config)]
    start = recipes.recipe(config.recipe.name)
    for field in dataclasses.fields(start):
        if getattr(config.recipe, field.name) != getattr(start, field.name):
            flags.append(flag(field.name, getattr(config.recipe, field.name)))
    if start.name != type(config)().recipe.name:
        flags.insert(0, flag("recipe", start.name))
    return shlex.join(["python", "-m", "training.train", *flags])


def is_told(field, config):
    return getattr(config, field.name) != field.default and not field.name.endswith("_root")


def flag(name, value):
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no_{name}"
    return f"--{name}={value}"


def described(data):
    """The dataset `data`: where it comes from, its size, and by which seed pictures were split."""
    return {
        "name": data.name,
        "source": data.source,
        "classes": data.num_classes,
        "train_images": len(data.train.labels),
        "test_images": len(data.test.labels),
        **({} if data.split_seed is None else {"split_seed": data.split_seed}),
    }


def measured(model, accuracy, seconds):
    """The part of a card that any classifier has: how good it is, and what any model has."""
    return {"accuracy": scored(accuracy), **made(model, seconds)}


def scored(accuracy):
    """A metrics.Accuracy on the test images, with its interval."""
    return {
        "test": accuracy.share,
        "interval": list(accuracy.interval),
        "confidence": 0.95,
        "correct": accuracy.correct,
        "images": accuracy.total,
    }


def made(model, seconds):
    """The part of a card that any model has: what it costs, and what it was made with."""
    return {
        "parameters": model.count_params(),
        "multiply_adds": account(model).total("multiply_adds"),
        "libraries": {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")},
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
        "processor": processor(),
    }


def processor():
    """The processor's name as Linux gives it, or what the platform calls it elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()
