"""The options of a loss: the numbers among its arguments that no run decides."""

import inspect

from keras_patchpu import losses
from keras_patchpu.errors import InputError

# What a loss is told of a run, see `make_loss`, with values that any loss takes.
_FACTS = {
    "expected_positives": 1.0,
    "num_examples": 1,
    "num_labels": 1,
    "observed": None,
    "seed": 0,
    "grid": (1, 1),
}


def options_of(loss: str) -> dict[str, float]:
    """The options of a loss with their defaults, such as `theta` of `"wn"`.

    Args:
        loss: a key of `losses.LOSSES`.
    """
    parameters = inspect.signature(losses.LOSSES[loss]).parameters
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in _FACTS and isinstance(parameter.default, int | float)
    }


def check_loss_options(loss: str, values: dict[str, float]) -> None:
    """Checks options of a loss before there is a run.

    Raises:
        InputError: the loss has no option of a name, or does not take a value.
    """
    known = options_of(loss)
    for name in values:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise InputError(f"--loss-options: the loss {loss} has no option {name!r}: {has}")
    try:
        loss_with(loss, values, _FACTS)
    except Exception as error:  # of a huge `map_size` the backend's own
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"--loss-options of {loss}: {reason}") from error


def loss_with(loss: str, values: dict[str, float], facts: dict) -> losses.MultiLabelLoss:
    """The loss with these options, and those of the facts of a run that it asks for."""
    asked = {name: facts[name] for name in facts.keys() & losses.arguments_of(loss)}
    return losses.get(loss, **asked, **values)
