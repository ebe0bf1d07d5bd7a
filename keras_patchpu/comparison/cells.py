"""The grid: which losses are compared on which models, with which seeds."""

import dataclasses
from collections.abc import Sequence

from keras_patchpu.errors import InputError
from keras_patchpu.losses import LOSSES
from keras_patchpu.models import MODELS


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of the grid: a key of `MODELS`, one of `LOSSES`, and a seed."""

    model: str
    loss: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files; letters that shells and URLs leave alone, so `en+cl` is `en_cl`."""
        return f"{self.model}-{self.loss.replace('+', '_')}-{self.seed}"

    def __str__(self):
        return f"{self.model} {self.loss}, seed {self.seed}"


def read_grid(groups: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """The cells of groups such as `"patch:wn,an"`, those of the first seed first.

    Raises:
        InputError: there is nothing to compare, a name is unknown, or something is there twice.
    """
    pairs = [pair for group in groups for pair in _read_group(group)]
    if not pairs or not seeds:
        raise InputError("nothing to compare: give --seeds 0 1 and MODEL:LOSS,LOSS as patch:wn,an")
    for what, values in (("--seeds", [*seeds]), ("the grid", [":".join(pair) for pair in pairs])):
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise InputError(f"{twice[0]} is twice in {what}: give it once")
    return [Cell(model, loss, seed) for seed in seeds for model, loss in pairs]


def _read_group(group):
    model, _, losses = group.partition(":")
    if model not in MODELS:
        raise InputError(f"no model {model!r} in {group}: choose of {', '.join(MODELS)}")
    for loss in losses.split(","):
        if loss not in LOSSES:
            raise InputError(f"no loss {loss!r} in {group}: choose of {', '.join(LOSSES)}")
        yield model, loss
