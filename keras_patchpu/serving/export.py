"""A trained model as a SavedModel for TF Serving."""

import contextlib
import logging
import os
import pathlib
import shutil
from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_patchpu.data.claimed_file import claimed
from keras_patchpu.errors import InputError
from keras_patchpu.serving.answer_functions import answer_functions
from keras_patchpu.serving.description import Description
from keras_patchpu.serving.export_process import export_in_process
from keras_patchpu.serving.server_files import write_server_files
from keras_patchpu.serving.warm_up import write_warm_up


def export(
    model: keras.Model,
    directory: str | os.PathLike,
    label_names: Sequence[str],
    version: int | None = 1,
    resize: str = "stretch",
) -> pathlib.Path:
    """Writes `directory/<version>/`, a SavedModel with tag `serve`, whole or not at all.

    It has warm-up requests in it, and a `Description` for `LocalModel`; `models.config` and
    `batching.txt` for the server are beside it. Where Keras runs on another backend than
    TensorFlow, a process of its own loads the model from a file and exports it.

    Two signatures, `serving_default` from `image_bytes` `(N,)`, JPEG, PNG, GIF or BMP, decoded and
    resized by the code that evaluation uses, and `serve_images` from `images` `(N, S, S, 3)`
    float32 in 0..255, give, K being the smaller of 5 and L:

    - `scores` `(N, L)` in 0..1
    - `labels` `(N, K)` strings, best first, and `label_scores` `(N, K)`
    - `attention_maps` `(N, K, h, w)` of those labels on the finest grid of patches: the sum over
      the levels, in 0..1
    - `status` `(N,)` strings: `"ok"`, or what is wrong with the picture, whose other outputs are
      then 0 and `""`. A broken picture does not fail the others of its batch.

    Args:
        model: one of `keras_patchpu.models`, or another with `image_size` S, `attention_grids`,
            `attention_boxes`, and a dict output with `logits` `(N, L)` and `attention` `(N, L, M)`.
        directory: of the model; made if it is not there.
        label_names: the L names, in the order of the logits.
        version: a positive integer, or None for the next one that is free.
        resize: how a picture becomes a square, as in training: `"stretch"` or `"pad"`.

    Returns:
        The path of the version.

    Raises:
        ValueError: if the number of names is not that of the model's labels, or `version` is not
            positive.
        InputError: if the version exists, or something cannot be written, as on a full disk.
    """
    if version is not None and version < 1:
        raise ValueError(
            "Invalid value for argument `version`. Expected a positive integer. "
            f"Received: version={version}"
        )
    if keras.backend.backend() != "tensorflow":
        return export_in_process(
            model,
            directory=os.fspath(directory),
            label_names=list(label_names),
            version=version,
            resize=resize,
        )
    from_bytes, from_images, layers = answer_functions(model, label_names, resize)
    directory = pathlib.Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Two runs may have the same name.
        with claimed(directory / ".export", f"export to {directory}"):
            target = directory / str(version or next_version(directory))
            if target.exists():
                raise InputError(f"{target} exists and is not overwritten: give another version")
            # Not a number, so TF Serving does not take it for a version before it is one.
            unfinished = directory / f".unfinished-{target.name}"
            shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
            try:
                _write(model, unfinished, from_bytes, from_images, layers)
                Description.of(model, label_names, resize).write(unfinished)
                write_warm_up(unfinished, directory.resolve().name, model.image_size)
                os.replace(unfinished, target)
                write_server_files(directory)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{directory / str(version or '')} cannot be written ({reason}): see to the disk"
        ) from error
    return target


def next_version(directory: pathlib.Path) -> int:
    """The version after the largest that a model's directory holds, from 1."""
    if not directory.is_dir():
        return 1
    return 1 + max((int(p.name) for p in directory.iterdir() if p.name.isdecimal()), default=0)


def _write(model, path, from_bytes, from_images, layers):
    archive = keras.export.ExportArchive()
    for layer in layers:
        archive.track(layer)
    archive.add_endpoint(
        "serving_default", from_bytes, [tf.TensorSpec((None,), tf.string, name="image_bytes")]
    )
    shape = (None, model.image_size, model.image_size, 3)
    archive.add_endpoint(
        "serve_images", from_images, [tf.TensorSpec(shape, tf.float32, name="images")]
    )
    with _without_notes(tf.get_logger()):
        archive.write_out(path, verbose=False)


@contextlib.contextmanager
def _without_notes(logger):
    """TensorFlow tells interactive Python, as in a notebook, where it puts its assets."""
    level = logger.level
    logger.setLevel(max(logging.WARNING, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        logger.setLevel(level)
