"""What the losses that remember each training image have in common."""

import numpy as np
from keras import ops

from keras_patchpu.replicas import own_copies


def check_sizes(num_examples, num_labels) -> None:
    """Raises a `ValueError` unless both are positive integers."""
    if not (num_examples == int(num_examples) > 0 and num_labels == int(num_labels) > 0):
        raise ValueError(
            "Invalid value for argument `num_examples` or `num_labels`. Expected positive "
            f"integers. Received: num_examples={num_examples}, num_labels={num_labels}"
        )


def observed_labels(observed, num_examples, num_labels) -> np.ndarray:
    """The observed labels of the training set; zeros, all unobserved, where there are none given.

    Args:
        observed: `(N, L)`: 1 observed positive, 0 unobserved, -1 known negative; or `None`.
        num_examples: N, the number of training images.
        num_labels: L.

    Returns:
        `(N, L)`.

    Raises:
        ValueError: the sizes are no positive integers, or `observed` has another shape.
    """
    check_sizes(num_examples, num_labels)
    shape = (num_examples, num_labels)
    if observed is None:
        return np.zeros(shape, "int8")
    if np.shape(observed) != shape:
        raise ValueError(
            f"Invalid value for argument `observed`. Expected the shape {shape} "
            f"of (num_examples, num_labels). Received shape: {np.shape(observed)}"
        )
    return np.asarray(observed)


def read_rows(variable, index):
    """`variable[index]`.

    Args:
        variable: a `keras.Variable` `(N, ...)`.
        index: `(B,)` int32.

    Returns:
        `(B, ...)`.
    """
    value = own_copies(variable)[0]
    if hasattr(value, "sparse_read"):
        # TensorFlow copies a variable that is read as a whole, once rows of it were written.
        return value.sparse_read(index)
    return ops.take(variable, index, axis=0)


def write_rows(variable, index, rows) -> None:
    """`variable[index] = rows`, of which the gradient is stopped.

    Args:
        variable: a `keras.Variable` `(N, ...)`.
        index: `(B,)` int32, no row twice.
        rows: `(B, ...)`; the same on all replicas.
    """
    rows = ops.cast(ops.stop_gradient(rows), variable.dtype)
    for value in own_copies(variable):
        if hasattr(value, "scatter_nd_update"):
            # In place; outside of XLA, assigning would copy all N rows in every step.
            value.scatter_nd_update(index[:, None], rows)
        else:
            variable.assign(ops.scatter_update(variable, index[:, None], rows))
