"""What stops the epochs in the middle, and how they go on from there."""

import dataclasses
import os
import pathlib
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_patchpu.data import draw_single_positive, read_digits, read_voc
from keras_patchpu.errors import InputError
from keras_patchpu.training import Checkpoints, Recipe, Run, RunDirectory, evaluate, make_model
from keras_patchpu.training.checkpoints import EpochSoFar, Position
from keras_patchpu.training.fitting import fit
from keras_patchpu.training.tensorflow_errors import told_in_a_line

# 9 images are 2 batches of 4 and one of 1.
RECIPE = Recipe(
    image_size=32,
    patch_size=16,
    num_levels=1,
    embedding_dim=8,
    epochs=2,
    batch_size=4,
    optimizer="adam",
    schedule="cosine",
)


def make_run(train, test, loss, **further):
    observed = draw_single_positive(train.labels, seed=0, keys=train.keys)
    run = Run(train, test, observed, "uniform", loss, RECIPE, seed=0, expected_positives=2.0)
    return dataclasses.replace(run, **further)


@pytest.fixture(scope="module")
def digits():
    return read_digits("train", num_examples=9), read_digits("test", num_examples=5)


class Training:
    """`fit` in a directory, from where the last one stopped."""

    def __init__(self, run, path):
        self.run = run
        self.directory = RunDirectory(path)
        self.directory.start({})
        self.checkpoints = Checkpoints(self.directory)
        self.measure = lambda model: np.zeros(self.run.test.labels.shape)

    def __call__(self):
        position, so_far, model = self.checkpoints.load()
        self.model = model or make_model(self.run)
        further = {"validate": None, "cached": None, "report": lambda epoch: None}
        fit(
            *(self.run, self.model, self.directory, position, so_far, self.measure),
            **further,
            progress=False,
        )

    def result(self):
        rows = [(row["epoch"], row["loss"]) for row in self.directory.read_history()]
        variables = [*self.model.variables, *self.model.optimizer.variables]
        return rows, [keras.ops.convert_to_numpy(variable) for variable in variables]


@pytest.fixture
def signal_after(monkeypatch):
    """`signal_after(number, step)`: sends it to this process where that step has been trained."""

    def send(number, step):
        fit_model = keras.Model.fit

        class Send(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if int(self.model.optimizer.iterations) == step:
                    os.kill(os.getpid(), number)

        # What `MultiLabelModel.fit` calls, and how.
        monkeypatch.setattr(
            keras.Model,
            "fit",
            lambda self, x, y, b, e, v, callbacks, **options: fit_model(
                self, x, y, b, e, v, [Send(), *callbacks], **options
            ),
        )

    return send


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    training = Training(make_run(*digits, "en"), tmp_path_factory.mktemp("whole"))
    training()
    return training.result()


def assert_same_result(training, uninterrupted):
    (rows, weights), (same_rows, same_weights) = training.result(), uninterrupted
    assert rows == same_rows
    for one, other in zip(weights, same_weights, strict=True):
        np.testing.assert_array_equal(one, other)


# `en` ranks its scores at the beginning of an epoch: doing so once more in its middle would show.
@pytest.mark.long
@pytest.mark.parametrize("step", [2, 5])
def test_stopped_within_an_epoch(digits, uninterrupted, signal_after, tmp_path, monkeypatch, step):
    training = Training(make_run(*digits, "en"), tmp_path)
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal_after(signal.SIGINT, step)
            training()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert training.checkpoints.positions()[0] == (step // 3, step % 3)
    monkeypatch.undo()
    training()
    assert_same_result(training, uninterrupted)
    assert training.checkpoints.positions()[0] == (2, 0)
    # Seconds before the stop count.
    assert all(float(row["images_per_second"]) < 1000 for row in training.directory.read_history())


@pytest.mark.long
def test_stopped_while_an_epoch_is_measured(digits, uninterrupted, tmp_path):
    training = Training(make_run(*digits, "en"), tmp_path)
    measure = training.measure

    def interrupted(model):
        raise KeyboardInterrupt

    training.measure = interrupted
    with pytest.raises(KeyboardInterrupt):
        training()
    assert training.checkpoints.positions() == [(0, 3)]
    with pytest.raises(KeyboardInterrupt):  # once more at the same place
        training()
    assert training.checkpoints.positions() == [(0, 3)]
    training.measure = measure
    training()
    assert_same_result(training, uninterrupted)


def test_stopped_before_the_first_batch_leaves_nothing(digits, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    training = Training(make_run(*digits, "an"), tmp_path)
    monkeypatch.setattr(keras.Model, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training()
    assert training.checkpoints.positions() == []


def test_a_loss_that_is_no_number_is_told_with_its_batch(digits, tmp_path):
    run = make_run(*digits, "wn")
    # The order of an epoch is that of `training_batches`.
    order = np.random.default_rng((0, 0)).permutation(9)
    observed = run.observed.copy()
    observed[order[5], 0] = np.nan
    training = Training(dataclasses.replace(run, observed=observed), tmp_path)
    with pytest.raises(InputError) as error:
        training()
    message = str(error.value)
    assert message.startswith("epoch 1, batch 2: the loss is nan: start anew with another ")
    assert "\n" not in message
    assert training.checkpoints.positions() == []


def test_a_picture_that_disappears_while_a_model_trains(make_voc, tmp_path):
    voc = make_voc(tmp_path / "data", num_train=9, num_val=3, size=40)
    # Pictures are read ahead, but not those of several epochs.
    recipe = dataclasses.replace(RECIPE, epochs=8)
    run = make_run(read_voc(voc, "train"), read_voc(voc, "val"), "an", recipe=recipe)
    training = Training(run, tmp_path)
    picture = pathlib.Path(run.train.images[5])
    measure = training.measure

    def measure_and_delete(model):
        picture.unlink(missing_ok=True)
        return measure(model)

    training.measure = measure_and_delete
    with pytest.raises(InputError) as error:
        training()
    message = str(error.value)
    assert message.startswith(f"{picture} is not a picture that can be read (No such file")
    assert "\n" not in message
    # What was trained is kept, and goes on where the picture is back.
    assert 1 <= training.checkpoints.positions()[0].epochs < 8


class Constant:
    """Scores all pictures alike."""

    image_size = 32

    def predict_on_batch(self, images):
        return {"logits": np.zeros((len(images), 20), "float32")}


@pytest.mark.parametrize("damage", ["deleted", "no picture"])
def test_a_picture_that_disappears_while_a_model_is_measured(make_voc, tmp_path, damage):
    examples = read_voc(make_voc(tmp_path, num_train=5), "train")
    assert evaluate(Constant(), examples, 2).num_images == 5
    picture = pathlib.Path(examples.images[3])
    if damage == "deleted":
        picture.unlink()
    else:
        picture.write_bytes(b"no picture")
    with pytest.raises(InputError) as error:
        evaluate(Constant(), examples, 2)
    message = str(error.value)
    assert message.startswith(f"{picture} is not a picture") and "\n" not in message


def test_too_little_memory_is_told_in_a_line(digits):
    images = (digits[0], 16, 640, "stretch", None)
    with pytest.raises(InputError) as error, told_in_a_line(*images):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\ntensor")
    assert str(error.value) == (
        "there is not enough memory for batches of 16 images of 640 pixels: start anew with a "
        "smaller --batch-size"
    )


def test_other_errors_are_passed_on(digits):
    with pytest.raises(tf.errors.InternalError), told_in_a_line(digits[0], 16, 32, "stretch", None):
        raise tf.errors.InternalError(None, None, "a bug")


def test_positions_are_in_order():
    assert Position(0, 0) < Position(0, 17) < Position(1, 0) < Position(10, 2)
    assert EpochSoFar() == (0.0, 0.0, 0.0)
