import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_patchpu.layers.in_chunks import in_chunks


def function(x, kernel, offset):
    """Of each row on its own, and not linear."""
    return ops.sigmoid(ops.matmul(x, kernel)) * ops.sum(x, axis=-1, keepdims=True) + offset


def arrays(num_rows):
    rng = np.random.default_rng(num_rows)
    shapes = (num_rows, 3, 4), (4, 2), (2,)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


@given(num_rows=st.integers(1, 9), size=st.integers(1, 10))
def test_the_same_as_at_once(value_and_gradients, num_rows, size):
    cotangent = np.random.default_rng(0).normal(size=(num_rows, 3, 2)).astype("float32")
    inputs = arrays(num_rows)
    expected, expected_gradients = value_and_gradients(
        lambda *tensors: ops.multiply(cotangent, function(*tensors)), inputs
    )
    value, gradients = value_and_gradients(
        lambda *tensors: ops.multiply(cotangent, in_chunks(function, size, *tensors)), inputs
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_rows, size", [(5, 2), (4, 2), (1, 3)])
def test_each_chunk_is_of_the_size_at_most(num_rows, size):
    sizes = []

    def remember(x, *weights):
        sizes.append(x.shape[0])
        return function(x, *weights)

    x, *weights = arrays(num_rows)
    in_chunks(remember, size, ops.convert_to_tensor(x), *weights)
    assert 0 < max(sizes) <= size


@pytest.mark.tensorflow_only("other backends know every shape when they compile")
def test_a_batch_of_unknown_size():
    import tensorflow as tf

    x, *weights = arrays(5)

    @tf.function(input_signature=[tf.TensorSpec((None, 3, 4))])
    def compute(x):
        outputs = in_chunks(function, 2, x, *weights)
        assert outputs.shape == (None, 3, 2)
        return outputs

    np.testing.assert_allclose(compute(x), function(x, *weights), rtol=1e-5, atol=1e-6)
