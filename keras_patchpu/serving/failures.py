"""What a client says when it gets no answer: the same for every protocol, in one line."""

from keras_patchpu.errors import InputError

_LONGEST = 300


def no_such_model(url: str, words: str) -> InputError:
    """The server runs, but has not loaded the model or the version."""
    return InputError(
        f"{url}: the server has no such model or version ({_short(words)}): correct the URL, or "
        "see in the server's log why it was not loaded"
    )


def refused(url: str, words: str) -> InputError:
    """The server does not take the request."""
    return InputError(
        f"{url}: the server refused the request ({_short(words)}): give the URL of a model that "
        "keras_patchpu.serving.export wrote"
    )


def not_an_export(url: str, words: str) -> InputError:
    """There is an answer, but not one of TF Serving or of a model that `export` wrote."""
    return InputError(
        f"{url}: this is not the answer of an exported model ({_short(words)}): give the URL of a "
        "model that keras_patchpu.serving.export wrote"
    )


def unavailable(url: str, words: str) -> ConnectionError:
    """Nobody listens, the server has too much to do, or it failed."""
    return ConnectionError(
        f"{url} does not answer now ({_short(words)}): see that TF Serving runs there, by default "
        "with REST on port 8501 and gRPC on 8500, and that it is not asked for too much at a time"
    )


def too_late(url: str, words: str) -> TimeoutError:
    """There was no answer in time."""
    return TimeoutError(
        f"{url}: no answer in time ({_short(words)}): allow more time or ask for less at a time"
    )


def _short(words: str) -> str:
    return " ".join(words.split())[:_LONGEST]
