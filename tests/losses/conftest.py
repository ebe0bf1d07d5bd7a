"""How losses are compared with references written in NumPy."""

import numpy as np
import pytest


def central_differences(function, array, step=1e-6):
    """Gradient of a float64 function, one entry at a time."""
    gradient = np.zeros(array.shape)
    for entry in np.ndindex(array.shape):
        moved = [array.astype("float64") for _ in range(2)]
        moved[0][entry] += step
        moved[1][entry] -= step
        gradient[entry] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient


@pytest.fixture(scope="session")
def check(value_and_gradients):
    """`check(loss, reference, logits)`: equal values, one an image, and equal gradients.

    `loss` and `reference` are functions of logits `(B, L)`, in `keras.ops` and in NumPy.
    """

    def check(loss, reference, logits):
        value, (gradient,) = value_and_gradients(loss, [logits.astype("float32")])
        expected = np.asarray(reference(logits.astype("float64")))
        assert value.shape == expected.shape == logits.shape[:1]
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
        differences = central_differences(lambda x: np.sum(reference(x)), logits)
        np.testing.assert_allclose(gradient, differences, rtol=2e-3, atol=2e-5)

    return check


@pytest.fixture(scope="session")
def train():
    """`train(loss, epoch, epochs, batches)`: an epoch of `(y_true, y_pred)`; the values a batch."""

    def train(loss, epoch, epochs, batches):
        loss.begin_epoch(epoch, epochs)
        values = []
        for y_true, y_pred in batches:
            loss.training = True
            values.append(float(loss(y_true, y_pred)))
        return values

    return train
