"""The layers of Query2Label that Keras has not: positions, queries and a classifier a label."""

import math

import keras
import numpy as np
from keras import ops


def sine_positions(rows: int, columns: int, dim: int) -> np.ndarray:
    """Sines and cosines of each place's row, then of its column, as DETR has them.

    With the row y in 1..rows as an angle `2 pi y / rows` and `f_i = 10000^(-i / (dim / 4))`, the
    first `dim / 2` entries are `sin(f_0 y), cos(f_0 y), sin(f_1 y), ...`; the others are those of
    the column.

    Args:
        rows: h.
        columns: w.
        dim: a multiple of 4.

    Returns:
        float32 `(h * w, dim)`.
    """
    frequencies = 10_000.0 ** (-np.arange(dim // 4) / (dim // 4))

    def encode(count):
        angles = 2 * math.pi * np.arange(1, count + 1) / count
        angles = angles[:, None] * frequencies
        return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(count, dim // 2)

    by_row = np.repeat(encode(rows), columns, axis=0)
    by_column = np.tile(encode(columns), (rows, 1))
    return np.concatenate([by_row, by_column], axis=1).astype("float32")


@keras.saving.register_keras_serializable(package="keras_patchpu")
class AddPositions(keras.layers.Layer):
    """Adds `sine_positions` to the places of a feature map.

    Args:
        rows: h.
        columns: w.

    Call arguments:
        places: `(B, h * w, d)`.

    Returns:
        `(B, h * w, d)`.
    """

    def __init__(self, rows, columns, **kwargs):
        super().__init__(**kwargs)
        self.rows = rows
        self.columns = columns

    def call(self, places):
        positions = sine_positions(self.rows, self.columns, places.shape[-1])
        return places + ops.cast(positions, places.dtype)

    def compute_output_shape(self, places_shape):
        return places_shape

    def get_config(self):
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}


@keras.saving.register_keras_serializable(package="keras_patchpu")
class LabelQueries(keras.layers.Layer):
    """A trainable vector for each label, the same for every image; starts as N(0, 1).

    Args:
        num_labels: L.

    Call arguments:
        places: `(B, M, d)`, of which only the shape counts.

    Returns:
        `(B, L, d)`.
    """

    def __init__(self, num_labels, **kwargs):
        super().__init__(**kwargs)
        self.num_labels = num_labels

    def build(self, places_shape):
        self.queries = self.add_weight(
            shape=(self.num_labels, places_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="queries",
        )

    def call(self, places):
        shape = (ops.shape(places)[0], self.num_labels, places.shape[-1])
        return ops.broadcast_to(ops.cast(self.queries, self.compute_dtype), shape)

    def compute_output_shape(self, places_shape):
        return (places_shape[0], self.num_labels, places_shape[-1])

    def get_config(self):
        return {**super().get_config(), "num_labels": self.num_labels}


@keras.saving.register_keras_serializable(package="keras_patchpu")
class GroupWiseLinear(keras.layers.Layer):
    """A logit for each label from its own embedding: `logit_l = w_l . e_l + b_l`.

    Weights and biases start uniform within `1 / sqrt(d)`, as the authors' do.

    Call arguments:
        embeddings: `(B, L, d)`.

    Returns:
        `(B, L)`.
    """

    def build(self, embeddings_shape):
        num_labels, dim = embeddings_shape[1:]
        limit = 1 / math.sqrt(dim)
        for name, shape in {"label_weights": (num_labels, dim), "bias": (num_labels,)}.items():
            initializer = keras.initializers.RandomUniform(-limit, limit)
            setattr(self, name, self.add_weight(shape=shape, initializer=initializer, name=name))

    def call(self, embeddings):
        return ops.sum(embeddings * self.label_weights, axis=-1) + self.bias

    def compute_output_shape(self, embeddings_shape):
        return embeddings_shape[:2]
