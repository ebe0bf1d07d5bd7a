"""What replicas of one model, under a `tf.distribute` strategy, tell each other."""

import keras


def over_replicas(tensors):
    """These tensors of all replicas, one after another: for each replica the whole batch.

    What is computed of it is then the same on all of them. Gradients flow back to the replica whose
    part it is, summed over all. Where there is one replica, the tensors as they are.

    Args:
        tensors: a nest of `(b, ...)`; b may differ between replicas and be 0.

    Returns:
        The same nest of `(B, ...)`.
    """
    context = replica_context()
    if context is None:
        return tensors

    def gather(tensor):
        if tensor.dtype == "bool":  # which it refuses
            return gather(keras.ops.cast(tensor, "int32")) != 0
        gathered = context.all_gather(tensor, axis=0)
        gathered.set_shape((None, *tensor.shape[1:]))  # which it forgets
        return gathered

    return keras.tree.map_structure(gather, tensors)


def moments_over_replicas(mean, variance, count):
    """Mean and variance over the batches of all replicas from those over their own.

    Args:
        mean, variance: `(channels,)`.
        count: how many numbers each is of, a float32 scalar.
    """
    context = replica_context()
    if context is None:
        return mean, variance
    import tensorflow as tf

    # Those of no numbers are not numbers.
    sums = [
        tf.where(count > 0, count * term, tf.zeros_like(term))
        for term in (mean, variance + mean**2)
    ]
    total, *sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [count, *sums])
    mean = sums[0] / total
    return mean, tf.maximum(sums[1] / total - mean**2, 0.0)


def own_copies(variable) -> list:
    """The value of a `keras.Variable`; of one that replicas have a copy of each, that of this one.

    Outside of a replica those of all. What is written to one must be written to all.
    """
    value = variable.value
    # A tensor of PyTorch has `values`, too.
    if keras.backend.backend() != "tensorflow" or not hasattr(value, "values"):
        return [value]
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:
        return list(value.values)
    return [value.values[tf.get_static_value(context.replica_id_in_sync_group)]]


def replica_context():
    """The context of one of several replicas that runs; None where there is one, or none runs."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context
