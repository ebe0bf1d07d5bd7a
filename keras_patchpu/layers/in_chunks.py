"""A function of many rows, computed for some of them at a time, and once more for its gradient."""

from collections.abc import Callable

import keras
from keras import ops


def in_chunks(function: Callable, size: int, inputs, *weights):
    """What `function(inputs, *weights)` is, without keeping anything of it for the gradient.

    What the function makes of a row must depend on that row and the weights alone. Values and
    gradients are then the same up to the order in which those by the weights are summed.

    Args:
        function: of `(n, ...)` and the weights, for any n, to `(n, ...)` of the same dtype. It
            writes to no variable.
        size: rows at a time, at least 1; the last chunk may be smaller.
        inputs: `(N, ...)`; N may be unknown under TensorFlow.
        *weights: float32 tensors or variables that gradients flow to. None flow to what else the
            function holds.

    Returns:
        `(N, ...)`.
    """
    weights = [ops.cast(weight, "float32") for weight in weights]
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_chunks(function, size, inputs, weights)
    function = keras.remat(function)
    whole = inputs.shape[0] // size * size
    chunks = []
    if whole:
        outputs = ops.map(
            lambda chunk: function(chunk, *weights),
            ops.reshape(inputs[:whole], (-1, size, *inputs.shape[1:])),
        )
        chunks.append(ops.reshape(outputs, (whole, *outputs.shape[2:])))
    if whole < inputs.shape[0]:
        chunks.append(function(inputs[whole:], *weights))
    return ops.concatenate(chunks)


def _tensorflow_chunks(function, size, inputs, weights):
    # `tf.map_fn` and `tf.while_loop` would keep all of it for the gradient.
    import tensorflow as tf

    def over_chunks(body, num_rows, sums=()):
        """Rows of all chunks, and sums over the chunks of what else `body(start, end)` gives."""
        count = -(-num_rows // size)
        row_shape = []

        def step(index, rows, *sums):
            chunk, *terms = body(index * size, (index + 1) * size)
            row_shape[:] = chunk.shape[1:]
            sums = [total + term for total, term in zip(sums, terms, strict=True)]
            return index + 1, rows.write(index, chunk), *sums

        rows = tf.TensorArray(inputs.dtype, count, infer_shape=False, element_shape=None)
        # One chunk after the other: several at once would take the memory of several.
        _, rows, *sums = tf.while_loop(
            lambda index, *_: index < count, step, [0, rows, *sums], parallel_iterations=1
        )
        return tf.ensure_shape(rows.concat(), [None, *row_shape]), *sums

    @tf.custom_gradient
    def compute(inputs, *weights):
        num_rows = tf.shape(inputs)[0]

        def gradients(upstream):
            def body(start, end):
                chunk = inputs[start:end]
                with tf.GradientTape() as tape:
                    tape.watch([chunk, *weights])
                    outputs = function(chunk, *weights)
                return tape.gradient(outputs, [chunk, *weights], upstream[start:end])

            return over_chunks(body, num_rows, map(tf.zeros_like, weights))

        def body(start, end):
            return [function(inputs[start:end], *weights)]

        return *over_chunks(body, num_rows), gradients

    return compute(inputs, *weights)
