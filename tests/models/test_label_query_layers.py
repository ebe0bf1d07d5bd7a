"""Positions, queries and the classifier of each label."""

import math

import keras
import numpy as np
import pytest

from keras_patchpu.models.label_query_layers import (
    AddPositions,
    GroupWiseLinear,
    LabelQueries,
    sine_positions,
)


def test_positions_one_by_one():
    rows, columns, dim = 2, 3, 8
    positions = sine_positions(rows, columns, dim)
    assert positions.shape == (rows * columns, dim)
    for y in range(rows):
        for x in range(columns):
            expected = []
            for number, count in ((y + 1, rows), (x + 1, columns)):
                angle = 2 * math.pi * number / count
                for i in range(dim // 2):  # DETR: divisors 10000^(2 (i // 2) / (dim / 2))
                    divided = angle / 10_000 ** (2 * (i // 2) / (dim // 2))
                    expected.append(math.cos(divided) if i % 2 else math.sin(divided))
            np.testing.assert_allclose(positions[y * columns + x], expected, atol=1e-6)


def test_positions_are_added():
    places = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")
    added = AddPositions(2, 3)(places)
    np.testing.assert_allclose(added, places + sine_positions(2, 3, 8), rtol=1e-6)


def test_queries_are_the_same_for_every_image():
    layer = LabelQueries(3)
    queries = layer(np.zeros((2, 5, 400), "float32"))
    assert queries.shape == (2, 3, 400)
    np.testing.assert_array_equal(queries[0], layer.queries)
    np.testing.assert_array_equal(queries[1], layer.queries)
    assert np.std(layer.queries.numpy()) == pytest.approx(1, abs=0.1)


def test_group_wise_linear_by_hand():
    layer = GroupWiseLinear()
    layer.build((None, 2, 3))
    layer.label_weights.assign([[1, 2, 3], [4, 5, 6]])
    layer.bias.assign([0.5, -0.5])
    logits = layer(np.array([[[1, 0, 0], [0, 1, 0]], [[1, 1, 1], [0, 0, 2]]], "float32"))
    np.testing.assert_array_equal(logits, [[1.5, 4.5], [6.5, 11.5]])


def test_group_wise_linear_starts_as_the_authors_do():
    layer = GroupWiseLinear()
    layer.build((None, 100, 25))
    for variable in (layer.label_weights, layer.bias):
        values = variable.numpy()
        assert np.abs(values).max() <= 0.2
        assert np.abs(values).max() > 0.18
        assert np.std(values) == pytest.approx(0.2 / math.sqrt(3), rel=0.15)


@pytest.mark.parametrize("layer", [AddPositions(2, 3), LabelQueries(4), GroupWiseLinear()])
def test_layers_from_their_config(layer):
    clone = type(layer).from_config(layer.get_config())
    assert clone.get_config() == layer.get_config()
    shape = clone.compute_output_shape((None, 6, 8))
    assert clone(keras.KerasTensor((None, 6, 8))).shape == shape
