"""The epochs of a run."""

import math
import time
from collections.abc import Callable

import keras
import numpy as np

from keras_patchpu.data import training_batches
from keras_patchpu.models import MultiLabelModel
from keras_patchpu.training.callbacks import EndOfEpoch, FiniteLoss, Progress
from keras_patchpu.training.checkpoints import Checkpoints, EpochSoFar, Position
from keras_patchpu.training.finished_epoch import FinishedEpoch, print_line
from keras_patchpu.training.interruption import PutOff, RestOfEpoch, loss_mean
from keras_patchpu.training.run import Run
from keras_patchpu.training.run_directory import RunDirectory
from keras_patchpu.training.several_hosts import Hosts
from keras_patchpu.training.shared_batches import shared_batches
from keras_patchpu.training.tensorboard_log import tensorboard_log
from keras_patchpu.training.tensorflow_errors import told_in_a_line
from keras_patchpu.training.weak_negative_log import WeakNegativeLog


def fit(
    run: Run,
    model: MultiLabelModel,
    directory: RunDirectory,
    position: Position,
    so_far: EpochSoFar,
    score_test: Callable[[MultiLabelModel], np.ndarray],
    validate: Callable[[MultiLabelModel], dict[str, str]] | None,
    cached: np.ndarray | None,
    report: Callable[[FinishedEpoch], None] = print_line,
    progress: bool = True,
    hosts: Hosts | None = None,
    measured: Callable[[MultiLabelModel], MultiLabelModel] | None = None,
) -> None:
    """Trains the epochs that are left.

    Stopped by Ctrl-C, or by SIGTERM where that raises an exception, it leaves a checkpoint of the
    last whole batch.

    Args:
        run: what is trained on what.
        model: as it is at `position`.
        directory: to write to.
        position, so_far: where the training goes on.
        score_test: gives the logits `(N, L)` of a model on the N test images.
        validate: gives further columns of the history.
        cached: the training images as `load_images` returns them, or None to read the files.
        report, progress: as of `train`.
        hosts: that train together, of which this is host 0.
        measured: gives the model to measure in place of the one that trains.

    Raises:
        InputError: a file cannot be written, a picture cannot be read any more, the memory does
            not suffice, or the loss is not a number.
    """
    recipe = run.recipe
    batches_an_epoch = num_batches(run)
    history = directory.read_history(position.epochs)
    diagnose = None
    if run.loss == "wn" and run.train.truth_known:
        diagnose = WeakNegativeLog(run, directory, position.epochs, cached)
    board = tensorboard_log(directory.path / "tensorboard", run)
    end_of_epoch = EndOfEpoch(
        run, directory, score_test, history, report, validate, diagnose, board, so_far, measured
    )
    put_off = PutOff(position, batches_an_epoch)
    done = position.batches % batches_an_epoch
    callbacks = [FiniteLoss(run, done), end_of_epoch, put_off]
    if progress:
        # The bar comes first, to be gone before an epoch is reported.
        size = (len(run.train), recipe.batch_size, recipe.epochs)
        callbacks.insert(0, Progress(*size, done))

    with put_off, told_in_a_line(*_images(run, cached)):
        try:
            if position.batches == batches_an_epoch:
                _measure(end_of_epoch, model, position, so_far)
            train_from(run, model, position, so_far, cached, callbacks, hosts)
        except (KeyboardInterrupt, SystemExit):
            if put_off.position > max(position, end_of_epoch.saved):
                # By NumPy, for with a strategy the value has a part on each replica.
                mean = (float(keras.ops.convert_to_numpy(value)) for value in loss_mean(model))
                so_far = EpochSoFar(*mean, time.monotonic() - end_of_epoch.started)
                Checkpoints(directory).save(model, put_off.position, so_far)
            raise


def follow(
    run: Run,
    model: MultiLabelModel,
    position: Position,
    so_far: EpochSoFar,
    cached: np.ndarray | None,
    hosts: Hosts,
) -> None:
    """What `fit` does on the other hosts than host 0; arguments and errors as of `fit`."""
    callbacks = [FiniteLoss(run, position.batches % num_batches(run))]
    with told_in_a_line(*_images(run, cached)):
        train_from(run, model, position, so_far, cached, callbacks, hosts)


def train_from(
    run: Run,
    model: MultiLabelModel,
    position: Position,
    so_far: EpochSoFar,
    cached: np.ndarray | None,
    callbacks: list[keras.callbacks.Callback],
    hosts: Hosts | None,
) -> None:
    """Trains what is left of the epoch that was begun, then all those after it."""
    first = position
    if first.batches:
        if first.batches < num_batches(run):
            rest = RestOfEpoch(model, so_far)
            train_epochs(run, model, first, cached, [rest, *callbacks], hosts)
        first = Position(first.epochs + 1)
    if first.epochs < run.recipe.epochs:
        train_epochs(run, model, first, cached, callbacks, hosts)


def train_epochs(
    run: Run,
    model: MultiLabelModel,
    first: Position,
    cached: np.ndarray | None,
    callbacks: list[keras.callbacks.Callback],
    hosts: Hosts | None,
) -> None:
    """Trains from that position to the end, unless a callback stops it."""
    recipe = run.recipe
    batches = training_batches(
        run.train,
        run.observed,
        batch_size=recipe.batch_size,
        size=recipe.image_size,
        resize=recipe.resize,
        seed=run.seed,
        first_epoch=first.epochs,
        epochs=recipe.epochs,
        supervised=model.loss.supervised,
        cached=cached,
        augment=recipe.augment,
        first_batch=first.batches,
        part=None if hosts is None else hosts.part,
    )
    if hosts is not None:
        sizes = (len(run.train), recipe.batch_size)
        batches = shared_batches(batches, *sizes, first.batches, hosts)
    model.fit(
        batches,
        initial_epoch=first.epochs,
        epochs=recipe.epochs,
        steps_per_epoch=num_batches(run) - first.batches,
        shuffle=False,  # the batches are
        verbose=0,
        callbacks=callbacks,
    )


def num_batches(run: Run) -> int:
    """Of an epoch, the last one of which may be smaller."""
    return math.ceil(len(run.train) / run.recipe.batch_size)


def _images(run, cached):
    """What `told_in_a_line` is told."""
    recipe = run.recipe
    return run.train, recipe.batch_size, recipe.image_size, recipe.resize, cached


def _measure(end_of_epoch, model, position, so_far):
    """Ends an epoch all of whose batches were trained before."""
    end_of_epoch.set_model(model)
    end_of_epoch.on_epoch_begin(position.epochs)
    loss = np.float32(so_far.loss_sum) / np.float32(so_far.num_images)
    end_of_epoch.on_epoch_end(position.epochs, {"loss": loss})
