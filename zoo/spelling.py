"""What a wrong name is answered with."""

import difflib


def did_you_mean(name, known):
    """Such as " Did you mean 'all_cnn_c'?", with the nearest of the names `known`; empty where none is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
