"""What fields of a configuration may be; each check raises ValueError with a sentence that names the field."""

import math

from training.errors import InputError

LONGEST_NAME = 150  # bytes, of the 255 that a folder's name may have: a run's has the dataset and recipe in it too


def positive(config, *fields):
    """Each is a finite number above 0, or None where it is left to the program."""
    for field in fields:
        value = getattr(config, field)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{field} must be {'finite' if value > 0 else 'above 0'}, got {value}.")


def not_negative(config, *fields):
    for field in fields:
        value = getattr(config, field)
        if not 0 <= value < math.inf:
            raise ValueError(f"{field} must be {'finite' if value > 0 else 'at least 0'}, got {value}.")


def below_one(config, *fields):
    for field in fields:
        value = getattr(config, field)
        if not 0 <= value < 1:
            raise ValueError(f"{field} must be at least 0 and below 1, got {value}.")


def seed(config):
    """What NumPy takes, or None where it is left to the program."""
    if config.seed is not None and not 0 <= config.seed < 2**32:
        raise ValueError(f"seed must be at least 0 and below 2**32, got {config.seed}.")


def held_out_share(config):
    if not 0 < config.validation_share <= 0.5:
        raise ValueError(f"validation_share must be above 0 and at most 0.5, got {config.validation_share}.")


def exportable(folder):
    """TensorFlow takes the path of a SavedModel's weights for a pattern of file names when it reads them."""
    place = str(folder.resolve())
    odd = [sign for sign in "[\\" if sign in place]
    if odd:
        raise InputError(
            f"Nothing could load what is exported to {place}: TensorFlow reads no path with {odd[0]} in it. Give "
            "another --name or --models_root."
        )


def served_name(name):
    """A name that can stand in a URL and be a visible folder's."""
    if not name or set("/:") & set(name) or name.startswith("."):
        raise ValueError(f"name must have no / or : in it, and no dot before it, to be served under, got {name!r}.")
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"name must be at most {LONGEST_NAME} bytes long, got {len(name.encode())}.")
