"""Options for training on several GPUs or hosts, and the model that they share."""

import argparse
import contextlib
from collections.abc import Iterator

import tensorflow as tf
from shared_options import positive

from keras_patchpu import models, training
from keras_patchpu.errors import InputError


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--strategy`, and what each of several hosts is told."""
    parser.add_argument(
        "--strategy",
        choices=["mirrored"],
        help="train on all GPUs of this machine at once, each with a part of every batch; "
        "default: on one",
    )
    several = parser.add_argument_group(
        "several hosts that train together, under KERAS_BACKEND=jax (docs/several_hosts.md)",
        "The same command on each with its own --host-id. All read the data; host 0 alone writes, "
        "and reads what --resume goes on from.",
    )
    several.add_argument("--coordinator", metavar="HOST:PORT", help="where all reach host 0")
    several.add_argument("--num-hosts", type=positive, metavar="N", help="how many there are")
    several.add_argument("--host-id", type=int, metavar="I", help="of this one, from 0")


def hosts_of(options: argparse.Namespace) -> training.Hosts | None:
    """What the options say of several hosts, not connected yet."""
    given = (options.coordinator, options.num_hosts, options.host_id)
    if given == (None, None, None):
        return None
    if None in given:
        raise InputError("--coordinator, --num-hosts and --host-id go together: give all three")
    return training.Hosts(*given)


@contextlib.contextmanager
def shared_model(
    name: str,
    run: training.Run,
    hosts: training.Hosts | None,
    strategy: tf.distribute.Strategy | None,
) -> Iterator[models.MultiLabelModel]:
    """The model of a run, on all the devices that are to train it.

    Args:
        name: of the recipe.
        run: to train.
        hosts: to connect with, see `Hosts.connected`.
        strategy: of `training.mirrored_strategy`.
    """
    if hosts is not None:
        with hosts.connected(name, run.recipe.batch_size):
            yield training.make_shared_model(run, hosts)
        return
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        model = training.make_model(run)
    yield model
