"""What a version directory says about how its model came to be."""

import dataclasses
import importlib.metadata
import platform
from pathlib import Path

from zoo.account import account


def model_card(config, data, model, accuracy, seconds):
    """model_card.json's content: where the model comes from, how good it is and what it costs."""
    return {
        "name": config.served_name,
        "model": {"name": config.model, "width": config.width, "image_shape": list(data.image_shape)},
        "dataset": described(data),
        "recipe": dataclasses.asdict(config.recipe),
        "seed": config.seed,
        **measured(model, accuracy, seconds),
    }


def described(data):
    """The dataset `data`: where it comes from and its size."""
    return {
        "name": data.name,
        "source": data.source,
        "classes": data.num_classes,
        "train_images": len(data.train.labels),
        "test_images": len(data.test.labels),
    }


def measured(model, accuracy, seconds):
    """The part of a card that any classifier has: how good it is, and what any model has."""
    return {"accuracy": accuracy_entry(accuracy), **made(model, seconds)}


def accuracy_entry(accuracy):
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
