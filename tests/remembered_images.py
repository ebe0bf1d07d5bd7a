"""Ten images that losses remember, and a model of them that is compiled in a moment."""

import keras
import numpy as np

from keras_patchpu.models.multi_label_model import MultiLabelModel

NUM_IMAGES, NUM_LABELS, SIZE = 10, 3, 64
OBSERVED = np.eye(NUM_LABELS, dtype="float32")[[2, 1, 0, 2, 1, 0, 1, 2, 2, 0]]
OBSERVED[3, 0] = -1
SIZES = {"num_examples": NUM_IMAGES, "num_labels": NUM_LABELS}
EXPECTED = {**SIZES, "expected_positives": 1.6, "observed": OBSERVED}
# Of the losses that remember images, but for those that need none.
OPTIONS = {
    **dict.fromkeys(("role", "en", "ep", "en+cl"), EXPECTED),
    "en+scl": {**EXPECTED, "map_size": 3, "grid": (2, 2)},
    **dict.fromkeys(("ll_r", "ll_ct"), {"delta_rel": 7}),
    "ll_cp": {**SIZES, "delta_rel": 7},
    "em+apl": {**SIZES, "warmup_epochs": 1, "beta": 0.5},
}


def outputs_of(places):
    """What a model gives that attends to four places `(B, 4, F)`."""
    scores = keras.layers.Dense(NUM_LABELS, name="scores")(places)
    attention = keras.layers.Softmax()(keras.layers.Permute((2, 1))(scores))
    return {
        "logits": keras.ops.mean(scores, axis=1),
        "image_embeddings": keras.ops.matmul(attention, places),
        "attention": attention,
    }


@keras.saving.register_keras_serializable(package="tests")
class Colours(MultiLabelModel):
    """Of the colours of the four quarters of a picture."""

    def __init__(self, **kwargs):
        images = keras.Input((SIZE, SIZE, 3))
        places = keras.layers.Reshape((4, 3))(keras.layers.AveragePooling2D(32)(images / 255))
        super().__init__(inputs=images, outputs=outputs_of(places), **kwargs)

    def get_config(self):
        return {"name": self.name}


def data():
    """Images of coarse noise, and what a loss may be told of them."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (NUM_IMAGES, 8, 8, 3))
    images = np.kron(coarse, np.ones((1, 8, 8, 1))).astype("float32")
    corner, size = rng.uniform(0, 0.5, (2, NUM_IMAGES, 2))
    return images, {
        "index": np.arange(NUM_IMAGES),
        "observed": OBSERVED,
        "crop": np.concatenate([corner, corner + 0.25 + 0.5 * size], axis=1).astype("float32"),
        "flip": rng.integers(0, 2, NUM_IMAGES).astype(bool),
    }
