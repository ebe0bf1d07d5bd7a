"""Arrays that several hosts have in common: batches, of which each read a part, and weights."""

import functools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_patchpu.models import MultiLabelModel
from keras_patchpu.training.checkpoints import EpochSoFar, Position
from keras_patchpu.training.compiled_model import make_model
from keras_patchpu.training.run import Run
from keras_patchpu.training.several_hosts import Hosts


def make_shared_model(run: Run, hosts: Hosts) -> MultiLabelModel:
    """`make_model(run)`, of which each host has all variables."""
    with hosts.distribution.scope():
        model = make_model(run)
        # Not by `fit`, which would take the batches for what one host has read.
        model.make_train_function()
    return model


def start_alike(
    model: MultiLabelModel,
    trained: MultiLabelModel | None,
    position: Position,
    so_far: EpochSoFar,
    hosts: Hosts,
) -> tuple[Position, EpochSoFar]:
    """Puts all hosts where host 0 is; the checkpoint need not be within reach of the others.

    Args:
        model: what `make_shared_model` gave.
        trained: on host 0 what its checkpoint has, of that position; None without any.
        position, so_far: those of host 0, on the others anything.

    Returns:
        The position of host 0 and what it had trained of the epoch.
    """
    from jax.experimental import multihost_utils

    figures = multihost_utils.broadcast_one_to_all(np.array([*position, *so_far], "float32"))
    epochs, batches, *sums = figures.tolist()
    position, so_far = Position(int(epochs), int(batches)), EpochSoFar(*sums)
    if position == Position():
        return position, so_far
    variables = [*model.variables, *model.optimizer.variables]
    source = model if trained is None else trained
    arrays = [
        keras.ops.convert_to_numpy(variable)
        for variable in [*source.variables, *source.optimizer.variables]
    ]
    # As bytes of one array: each array would be compiled for.
    whole = np.concatenate([np.atleast_1d(array).ravel().view("uint8") for array in arrays])
    whole = multihost_utils.broadcast_one_to_all(whole)
    parts = np.split(whole, np.cumsum([array.nbytes for array in arrays])[:-1])
    for variable, array, part in zip(variables, arrays, parts, strict=True):
        variable.assign(_global_array(part.view(array.dtype).reshape(array.shape), None, hosts))
    return position, so_far


def shared_batches(
    batches: tf.data.Dataset, num_examples: int, batch_size: int, first_batch: int, hosts: Hosts
) -> Iterator:
    """The batches of all hosts from those of this one, as `training_batches` gives them.

    Args:
        batches: of this host, with `part=hosts.part`.
        num_examples, batch_size: of an epoch of all hosts.
        first_batch: of the first epoch.

    Yields:
        Batches of `jax.Array`s with the sizes of those of a single host.
    """
    sizes = [batch_size] * (num_examples // batch_size)
    sizes += [num_examples % batch_size] if num_examples % batch_size else []
    number = first_batch
    for batch in batches.as_numpy_iterator():
        share = functools.partial(_global_array, size=sizes[number % len(sizes)], hosts=hosts)
        yield keras.tree.map_structure(share, batch)
        number += 1


class LocalCopy:
    """A model on one device, to be measured in place of one that several devices or hosts train."""

    def __init__(self):
        self.copy = None

    def __call__(self, model: MultiLabelModel) -> MultiLabelModel:
        """Gives the copy, with the weights that `model` has now."""
        if self.copy is None:
            self.copy = type(model).from_config(model.get_config())
            self.copy.loss = model.loss  # which who measures may ask; not compiled, not trained
        for mine, its in zip(self.copy.layers, model.layers, strict=True):
            mine.set_weights(its.get_weights())
        return self.copy


def _global_array(rows, size, hosts):
    """`rows` as the part of this host of a batch of that size; with None all have all of them."""
    import jax

    distribution = hosts.distribution
    axes = [None] * rows.ndim
    if size is not None and size % distribution.num_model_replicas == 0:
        axes[0] = distribution.batch_dim_name
    shape = rows.shape if size is None else (size, *rows.shape[1:])
    layout = keras.distribution.TensorLayout(axes, distribution.device_mesh).backend_layout
    return jax.make_array_from_process_local_data(layout, rows, shape)
