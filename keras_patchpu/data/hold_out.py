"""A part of a split that training leaves out."""

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.single_positive import hash_key


def hold_out(examples: Examples, seed: int, share: float = 0.1) -> tuple[Examples, Examples]:
    """Splits N images in two, by a hash of the seed and each image's key.

    Which images are held out depends on their keys only: more images move none of the others.

    Returns:
        The images to train on, and those held out; arguments and errors as of `held_out`.
    """
    rows = held_out(examples, seed, share)
    return examples.select(np.flatnonzero(~rows)), examples.select(np.flatnonzero(rows))


def held_out(examples: Examples, seed: int, share: float = 0.1) -> np.ndarray:
    """Which images are held out.

    Args:
        examples: N images, at least 2.
        seed: of the choice.
        share: each image's chance to be held out, above 0 and below 1.

    Returns:
        bool `(N,)`; at least one is true and at least one false.

    Raises:
        ValueError: `share` is not within 0 and 1, or there are less than 2 images.
    """
    if not 0 < share < 1 or len(examples) < 2:
        raise ValueError(
            "Invalid value for argument `share` or `examples`. Expected a share above 0 and below "
            f"1 of 2 images or more. Received: {share=}, {len(examples)} images"
        )
    hashes = _hashes(examples, seed)
    rows = hashes < share * 2.0**64
    # A few images may all fall on one side.
    rows[np.argmin(hashes)] = True
    rows[np.argmax(hashes)] = False
    return rows


def held_out_first(examples: Examples, seed: int, count: int) -> np.ndarray:
    """The images that `held_out` gives for the share that holds out `count` of them.

    So what a run held out is found again where only its number is on record.

    Args:
        examples: N images.
        seed: of the choice.
        count: how many, up to N.

    Returns:
        bool `(N,)`, `count` of them true.
    """
    rows = np.zeros(len(examples), bool)
    rows[np.argsort(_hashes(examples, seed), kind="stable")[:count]] = True
    return rows


def _hashes(examples, seed):
    return np.array([hash_key(seed, f"hold out {key}") for key in examples.keys], "float64")
