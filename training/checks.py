"""What fields of a configuration may be; each check raises ValueError with a sentence that names the field."""


def positive(config, *fields):
    """Each is a number above 0, or None where it is left to the program."""
    for field in fields:
        value = getattr(config, field)
        if value is not None and not value > 0:
            raise ValueError(f"{field} must be above 0, got {value}.")


def not_negative(config, *fields):
    for field in fields:
        if getattr(config, field) < 0:
            raise ValueError(f"{field} must be at least 0, got {getattr(config, field)}.")


def held_out_share(config):
    if not 0 < config.validation_share <= 0.5:
        raise ValueError(f"validation_share must be above 0 and at most 0.5, got {config.validation_share}.")


def served_name(name):
    """A name that can stand in a URL and be a visible folder's."""
    if not name or set("/:") & set(name) or name.startswith("."):
        raise ValueError(f"name must be a word without / or : to be served under, got {name!r}.")
