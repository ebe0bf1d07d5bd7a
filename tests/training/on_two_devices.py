"""Trains on one CPU and on two logical ones: `python on_two_devices.py FOLDER NAME...`.

Writes `<name>.one.npz` and `<name>.two.npz`. A name is a loss, or `patches` and `chunks`: the patch
model, embedding its patches at once and in chunks.
"""

import contextlib
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

import remembered_images  # noqa: E402
from remembered_images import NUM_IMAGES, NUM_LABELS, SIZE, data, outputs_of  # noqa: E402

from keras_patchpu import PatchClassifier, losses, metrics  # noqa: E402
from keras_patchpu.layers import features_in_chunks, patch_embedder  # noqa: E402
from keras_patchpu.models.multi_label_model import MultiLabelModel  # noqa: E402
from keras_patchpu.training.mirrored import mirrored_strategy, synchronize  # noqa: E402

EPOCHS = 3
OPTIONS = {**remembered_images.OPTIONS, "epr": {"expected_positives": 1.6}}
# Parts of 4 and 3 images, and at the end of an epoch of 2 and 1.
BATCH_SIZE = 7


class Quarters(MultiLabelModel):
    """Of a normalized convolution in the quarters of a picture: traced in a moment."""

    def __init__(self, **kwargs):
        images = keras.Input((SIZE, SIZE, 3))
        x = keras.layers.Conv2D(4, 8, strides=8, use_bias=False)(images / 255)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        places = keras.layers.Reshape((4, 4))(keras.layers.AveragePooling2D(4)(x))
        super().__init__(inputs=images, outputs=outputs_of(places), **kwargs)


def train(loss, strategy):
    """Losses, mAP, what `evaluate` says in the end, and all variables with the copy's number."""
    keras.utils.set_random_seed(1)
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        if loss in ("patches", "chunks"):
            sizes = {"image_size": SIZE, "patch_size": 32, "num_levels": 2, "embedding_dim": 16}
            model = PatchClassifier(NUM_LABELS, **sizes, rematerialise=loss == "chunks")
            loss = "wn"
        else:
            model = Quarters()
        # Adam takes squares of gradients, which have to be summed up by then, and brings `epr` on;
        # where none flows it magnifies rounding.
        adam = keras.optimizers.Adam(0.01)
        model.compile(
            adam if loss in ("role", "epr") else keras.optimizers.SGD(0.05, momentum=0.9),
            losses.get(loss, **OPTIONS.get(loss, {})),
            metrics=[metrics.MeanAveragePrecision(max_examples=NUM_IMAGES)],
        )
    if strategy is not None:
        synchronize(model)
    batches = tf.data.Dataset.from_tensor_slices(data()).batch(BATCH_SIZE)
    steps = -(-NUM_IMAGES // BATCH_SIZE)
    history = model.fit(
        batches.repeat(), epochs=EPOCHS, steps_per_epoch=steps, shuffle=False, verbose=0
    )
    evaluated = model.evaluate(batches, verbose=0)
    strategy = strategy or tf.distribute.get_strategy()
    variables = {
        f"variable {number} {variable.name} {device}": copy.numpy()
        for number, variable in enumerate(model.variables)
        for device, copy in enumerate(strategy.experimental_local_results(variable.value))
    }
    return {**history.history, "evaluated": evaluated, **variables}


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    # Two of five blocks are traced in half the time. Several chunks a part of a batch.
    blocks = patch_embedder.FIRST_FIVE_BLOCKS
    patch_embedder.FIRST_FIVE_BLOCKS = dict(list(blocks.items())[:2])
    features_in_chunks.CHUNK = 2**15
    both = {"one": None, "two": mirrored_strategy()}
    assert both["two"].num_replicas_in_sync == 2
    for name in names:
        for devices, strategy in both.items():
            np.savez(pathlib.Path(folder) / f"{name}.{devices}.npz", **train(name, strategy))
