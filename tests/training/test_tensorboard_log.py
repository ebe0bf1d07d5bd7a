"""What a run shows in TensorBoard, read back by TensorBoard's own reader."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import precision_recall_curve
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.pr_curve import metadata

from keras_patchpu.errors import InputError
from keras_patchpu.training import make_model, tensorboard_log
from keras_patchpu.training.tensorboard_log import (
    MICRO,
    MOST_CURVES,
    MOST_PICTURES,
    TensorBoardLog,
    most_frequent,
    shows_pictures,
)

NUM_IMAGES, NUM_LABELS = 6, 10


class Board:
    """An event folder as TensorBoard reads it."""

    def __init__(self, path):
        self.events = EventAccumulator(str(path), size_guidance={"tensors": 0}).Reload()

    def tags(self, plugin):
        return set(self.events.PluginTagToContent(plugin))

    def values(self, tag):
        """By step."""
        found = self.events.Tensors(tag)
        return {event.step: tf.make_ndarray(event.tensor_proto) for event in found}


@pytest.fixture(scope="module")
def model(digits_run):
    return make_model(digits_run)


@pytest.fixture
def write(model, tmp_path):
    """`write(run, logits, epochs=(1,))`: what `Board` reads of these epochs."""

    def run_epochs(run, logits=None, epochs=(1,), figures=None):
        log = TensorBoardLog(tmp_path / "tensorboard", run)
        logits = np.zeros((len(run.test), NUM_LABELS)) if logits is None else logits
        for epoch in epochs:
            log(model, epoch, figures or {"loss": 0.5}, logits)
        return Board(tmp_path / "tensorboard")

    return run_epochs


def curve_of(truth, scores, threshold):
    """scikit-learn's precision and recall where scores of at least the threshold are positives."""
    precision, recall, thresholds = precision_recall_curve(truth, scores)
    place = np.searchsorted(thresholds, threshold)
    if place == len(thresholds):  # nothing is: there scikit-learn says a precision of 1
        return 0.0, 0.0
    return precision[place], recall[place]


def test_scalars(write, digits_run):
    figures = {"loss": 0.25, "test_map": 12.5, "weak_negatives/precision": 0.75}
    board = write(digits_run, epochs=(3, 4), figures=figures)
    assert board.tags("scalars") == set(figures)
    for name, value in figures.items():
        assert board.values(name) == {3: value, 4: value}


def test_curves_are_those_of_scikit_learn(write, with_test_labels):
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 0, 1], (NUM_IMAGES, NUM_LABELS), p=[0.2, 0.5, 0.3])
    labels[:, 9] = 0  # without a positive there is no curve
    logits = rng.normal(scale=3, size=labels.shape)
    logits[0, 0], logits[1, 1] = 100, -100  # scores of 1 and 0
    board = write(with_test_labels(labels), logits)

    scores = 1 / (1 + np.exp(-logits))
    kept = {MICRO: slice(None), **{str(c): c for c in range(9) if (labels[:, c] == 1).any()}}
    assert len(kept) > 5
    assert board.tags(metadata.PLUGIN_NAME) == {f"pr_curves/{n}/pr_curves" for n in kept}
    for name, columns in kept.items():
        known = labels[:, columns] >= 0
        truth, values = labels[:, columns][known], scores[:, columns][known]
        (curve,) = board.values(f"pr_curves/{name}/pr_curves").values()
        thresholds = np.linspace(0, 1, curve.shape[1])
        assert len(thresholds) == 201
        expected = np.array([curve_of(truth, values, t) for t in thresholds])
        np.testing.assert_allclose(curve[metadata.PRECISION_INDEX], expected[:, 0], rtol=1e-6)
        np.testing.assert_allclose(curve[metadata.RECALL_INDEX], expected[:, 1], rtol=1e-6)
        assert curve[metadata.TRUE_POSITIVES_INDEX, 0] == (truth == 1).sum()
        assert curve[metadata.FALSE_POSITIVES_INDEX, 0] == (truth == 0).sum()


def test_curves_are_written_after_every_epoch(write, digits_run):
    run = dataclasses.replace(digits_run, recipe=dataclasses.replace(digits_run.recipe, epochs=40))
    board = write(run, epochs=(1, 2, 3))
    assert set(board.values(f"pr_curves/{MICRO}/pr_curves")) == {1, 2, 3}


def test_without_truth_there_are_no_curves(write, with_test_labels, digits_run):
    labels = np.where(digits_run.test.labels == 1, 1, -1)
    board = write(with_test_labels(labels, truth_known=False))
    assert board.tags("scalars") == {"loss"} and board.tags("images")
    assert metadata.PLUGIN_NAME not in board.events.summary_metadata
    assert not [tag for tag in board.events.Tags()["tensors"] if tag.startswith("pr_curves")]


def test_without_a_positive_there_are_neither_curves_nor_pictures(write, with_test_labels):
    board = write(with_test_labels(np.zeros((NUM_IMAGES, NUM_LABELS))))
    assert board.events.Tags()["tensors"] == ["loss"]


def test_pictures(write, digits_run, model):
    board = write(digits_run, epochs=(1, 2))
    test = digits_run.test
    tags = board.tags("images")
    expected = {
        f"pictures/{key}/{test.label_names[column]}"
        for key, labels in zip(test.keys, test.labels, strict=True)
        for column in np.flatnonzero(labels)
    }
    assert tags <= expected and len({tag.split("/")[1] for tag in tags}) == 4
    for tag in tags:
        found = board.values(tag)
        assert set(found) == {1, 2}
        width, height, encoded = found[1]
        picture = Image.open(io.BytesIO(encoded))
        assert picture.size == (int(width), int(height)) and picture.height > 64
        assert np.ptp(np.asarray(picture)) > 0


def test_names_of_all_kinds(write, digits_run):
    names = ('größe/5 "a" <b>', "日本", " ", *"3456789")
    labels = np.tile([1.0, 1, 0, 0, 0, 0, 0, 0, 0, 0], (NUM_IMAGES, 1))
    test = dataclasses.replace(digits_run.test, label_names=names, labels=labels)
    board = write(dataclasses.replace(digits_run, test=test))
    assert f"pr_curves/{names[0]}/pr_curves" in board.tags(metadata.PLUGIN_NAME)
    assert {tag.split("/", 2)[2] for tag in board.tags("images")} == set(names[:2])


def test_a_resumed_run_adds_to_the_same_charts(write, digits_run):
    write(digits_run, epochs=(1,))
    board = write(digits_run, epochs=(2,))
    assert board.values("loss") == {1: 0.5, 2: 0.5}


@given(epochs=st.integers(1, 1000))
def test_pictures_are_few_and_evenly_spread(epochs):
    shown = [epoch for epoch in range(1, epochs + 1) if shows_pictures(epoch, epochs)]
    assert len(shown) == min(epochs, MOST_PICTURES) and shown[-1] == epochs
    gaps = np.diff([0, *shown])
    assert gaps.max() - gaps.min() <= 1


def test_the_most_frequent_labels():
    counts = np.array([0, 3, 1, 3, 2])
    labels = np.where(np.arange(4)[:, None] < counts, 1, -1)
    assert most_frequent(labels).tolist() == [1, 3, 4, 2]
    many = np.ones((2, 1000))
    many[1, :500] = 0
    assert most_frequent(many).tolist() == list(range(500, 500 + MOST_CURVES))


def test_where_tensorboard_is_not_installed(digits_run, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert tensorboard_log.tensorboard_log(tmp_path / "tensorboard", digits_run) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(digits_run, tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(InputError) as error:
        TensorBoardLog(tmp_path / "tensorboard", digits_run)
    message = str(error.value)
    assert "tensorboard cannot be written" in message and "\n" not in message
