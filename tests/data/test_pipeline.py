import dataclasses
import io
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_patchpu.data import (
    Examples,
    decode_and_resize,
    elements,
    evaluation_batches,
    load_images,
    read_voc,
    training_batches,
)
from keras_patchpu.errors import InputError

SIZE = 16


def make_examples(num_examples=7, num_labels=3):
    """Pictures in memory, each of one grey: its row number times ten."""
    images = []
    for row in range(num_examples):
        file = io.BytesIO()
        Image.fromarray(np.full((20, 30), 10 * row, np.uint8)).save(file, "PNG")
        images.append(file.getvalue())
    labels = np.ones((num_examples, num_labels), np.float32)
    labels[:, -1] = -np.arange(num_examples) % 2
    none = [np.zeros((0, 4))] * num_examples
    return Examples(
        name="greys",
        split="train",
        label_names=tuple(f"label {column}" for column in range(num_labels)),
        keys=tuple(f"{row}.png" for row in range(num_examples)),
        images=images,
        labels=labels,
        boxes=none,
        box_labels=none,
        box_difficult=none,
    )


def make_observed(examples):
    observed = np.zeros_like(examples.labels)
    observed[np.arange(len(examples)), np.arange(len(examples)) % 2] = 1
    return observed


@pytest.fixture(params=["cached", "read"])
def examples_and_cached(request):
    examples = make_examples()
    if request.param == "read":
        return examples, None
    return examples, load_images(examples, SIZE, progress=False)


def test_elements_follow_the_element_spec():
    examples = make_examples()
    observed = make_observed(examples)
    dataset = elements(examples, observed, SIZE)
    assert dataset.element_spec == {
        "image": tf.TensorSpec((SIZE, SIZE, 3), tf.uint8),
        "labels": tf.TensorSpec((3,), tf.float32),
        "observed": tf.TensorSpec((3,), tf.float32),
        "index": tf.TensorSpec((), tf.int64),
    }
    rows = list(dataset.as_numpy_iterator())
    assert [row["index"] for row in rows] == list(range(7))
    for row in rows:
        np.testing.assert_array_equal(row["image"], 10 * row["index"])
        np.testing.assert_array_equal(row["labels"], examples.labels[row["index"]])
        np.testing.assert_array_equal(row["observed"], observed[row["index"]])


def test_training_batches_belong_together_and_hold_no_truth(examples_and_cached):
    examples, cached = examples_and_cached
    observed = make_observed(examples)
    dataset = training_batches(examples, observed, 3, SIZE, cached=cached)
    assert dataset.element_spec == (
        tf.TensorSpec((None, SIZE, SIZE, 3), tf.uint8),
        {
            "observed": tf.TensorSpec((None, 3), tf.float32),
            "index": tf.TensorSpec((None,), tf.int64),
        },
    )
    assert dataset.cardinality() == 3
    for images, targets in dataset.as_numpy_iterator():
        np.testing.assert_array_equal(images[:, 0, 0, 0], 10 * targets["index"])
        np.testing.assert_array_equal(targets["observed"], observed[targets["index"]])


def test_supervised_batches_hold_the_truth_alone(examples_and_cached):
    examples, cached = examples_and_cached
    dataset = training_batches(examples, None, 3, SIZE, supervised=True, cached=cached)
    for _, targets in dataset.as_numpy_iterator():
        assert set(targets) == {"labels", "index"}
        np.testing.assert_array_equal(targets["labels"], examples.labels[targets["index"]])


def indices(dataset):
    return [targets["index"].tolist() for _, targets in dataset.as_numpy_iterator()]


def test_the_order_is_that_of_seed_and_epoch(examples_and_cached):
    examples, cached = examples_and_cached
    dataset = training_batches(
        examples, make_observed(examples), 3, SIZE, seed=5, epochs=3, cached=cached
    )
    batches = indices(dataset)
    assert [len(batch) for batch in batches] == [3, 3, 1] * 3
    for epoch in range(3):
        expected = np.random.default_rng((5, epoch)).permutation(7).tolist()
        assert sum(batches[3 * epoch : 3 * epoch + 3], []) == expected
    assert indices(dataset) == batches


def test_a_resumed_run_sees_the_rest_of_the_uninterrupted_one(examples_and_cached):
    examples, cached = examples_and_cached
    options = {"seed": 1, "epochs": 4, "cached": cached}
    whole = indices(training_batches(examples, make_observed(examples), 3, SIZE, **options))
    resumed = training_batches(examples, make_observed(examples), 3, SIZE, first_epoch=2, **options)
    assert indices(resumed) == whole[6:]
    assert resumed.cardinality() == 6


def test_fit_in_two_parts_equals_fit_in_one():
    class Linear(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3, kernel_initializer="zeros")

        def call(self, images):
            return self.dense(keras.ops.mean(images / 255, axis=(1, 2)))

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean(keras.ops.square(y_pred - y["observed"]))

    examples = make_examples()

    def fit(model, first_epoch, epochs):
        dataset = training_batches(
            examples,
            make_observed(examples),
            3,
            SIZE,
            seed=3,
            first_epoch=first_epoch,
            epochs=epochs,
        )
        model.fit(
            dataset,
            steps_per_epoch=3,
            initial_epoch=first_epoch,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        )
        return model.get_weights()

    def new_model():
        model = Linear()
        model.compile(optimizer=keras.optimizers.SGD(0.5))
        return model

    expected = fit(new_model(), 0, 4)
    model = new_model()
    fit(model, 0, 2)
    for weights, whole in zip(fit(model, 2, 4), expected, strict=True):
        np.testing.assert_array_equal(weights, whole)


def test_fewer_images_than_a_batch(examples_and_cached):
    examples, cached = examples_and_cached
    dataset = training_batches(examples, make_observed(examples), 64, SIZE, epochs=2, cached=cached)
    assert [len(batch) for batch in indices(dataset)] == [7, 7]
    assert indices(evaluation_batches(examples, 64, SIZE, cached=cached)) == [list(range(7))]


def test_evaluation_gives_all_in_order_with_the_truth(examples_and_cached):
    examples, cached = examples_and_cached
    dataset = evaluation_batches(examples, 3, SIZE, cached=cached)
    assert dataset.cardinality() == 3
    batches = list(dataset.as_numpy_iterator())
    assert [len(images) for images, _ in batches] == [3, 3, 1]
    assert set(batches[0][1]) == {"labels", "index"}
    np.testing.assert_array_equal(
        np.concatenate([targets["labels"] for _, targets in batches]), examples.labels
    )
    greys = np.concatenate([images[:, 3, 3, 1] for images, _ in batches])
    np.testing.assert_array_equal(greys, 10 * np.arange(7))


def test_evaluation_of_some_rows(examples_and_cached):
    examples, cached = examples_and_cached
    dataset = evaluation_batches(examples, 2, SIZE, cached=cached, rows=[5, 0, 6])
    assert indices(dataset) == [[5, 0], [6]]
    batches = list(dataset.as_numpy_iterator())
    greys = np.concatenate([images[:, 3, 3, 1] for images, _ in batches])
    np.testing.assert_array_equal(greys, [50, 0, 60])
    truth = np.concatenate([targets["labels"] for _, targets in batches])
    np.testing.assert_array_equal(truth, examples.labels[[5, 0, 6]])


def test_training_without_an_observed_label_is_refused():
    examples = make_examples()
    observed = make_observed(examples)
    observed[4] = 0
    with pytest.raises(ValueError, match=r"none in row 4 \(4.png\)"):
        training_batches(examples, observed, 3, SIZE)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_load_images_equals_decoding_each_file(tmp_path, make_voc, resize):
    examples = read_voc(make_voc(tmp_path), "train")
    loaded = load_images(examples, SIZE, resize, progress=False)
    assert loaded.dtype == np.uint8 and loaded.shape == (6, SIZE, SIZE, 3)
    for image, path in zip(loaded, examples.images, strict=True):
        with open(path, "rb") as file:
            np.testing.assert_array_equal(image, decode_and_resize(file.read(), SIZE, resize))
    batches = evaluation_batches(examples, 4, SIZE, resize).as_numpy_iterator()
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), loaded)


@pytest.mark.parametrize(("terminal", "asked"), [(True, True), (True, False), (False, True)])
def test_load_images_shows_its_progress_on_a_terminal_when_asked(
    capsys, monkeypatch, terminal, asked
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert load_images(make_examples(), SIZE, keep=False, progress=asked) is None
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("reading images" in captured.err) == (terminal and asked)


def message_of(examples, keep=True):
    with pytest.raises(InputError) as error:
        load_images(examples, SIZE, keep=keep, progress=False)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("keep", [True, False])
def test_broken_files_are_named(tmp_path, make_voc, keep):
    examples = read_voc(make_voc(tmp_path), "train")
    with open(examples.images[2], "r+b") as file:
        file.truncate(600)
    message = message_of(examples, keep)
    assert message.startswith(f"{examples.images[2]} is not a picture that can be read (truncated")
    with open(examples.images[1], "w") as file:
        file.write("this is text")
    message = message_of(examples, keep)
    assert message.startswith(f"{examples.images[1]} (and 1 more) is not a picture")


def test_a_file_that_is_gone_and_a_broken_picture_in_memory(tmp_path):
    examples = dataclasses.replace(make_examples(1), images=[str(tmp_path / "gone.jpg")])
    assert "gone.jpg is not a picture that can be read (No such file" in message_of(examples)
    examples = dataclasses.replace(make_examples(1), images=[b"\x89PNG"])
    assert message_of(examples).startswith("0.png is not a picture")


def test_zero_bytes_at_the_end_of_a_picture_survive():
    examples = make_examples(1)
    seen = []
    padded = dataclasses.replace(examples, images=[examples.images[0] + b"\0" * 5])
    for images, _ in evaluation_batches(padded, 1, SIZE).as_numpy_iterator():
        seen.append(images)
    np.testing.assert_array_equal(seen[0], 0)


def half(number):
    """The rows of one of two hosts; all of them of a batch of an odd number."""
    return lambda size: (
        slice(size) if size % 2 else slice(size * number // 2, size * (number + 1) // 2)
    )


@pytest.mark.parametrize("num_examples", [7, 9, 10, 12])
def test_the_parts_of_a_batch_are_that_batch(num_examples):
    examples = make_examples(num_examples)
    options = {"batch_size": 4, "size": SIZE, "seed": 2, "epochs": 2, "augment": ("crop", "colour")}
    options |= {"observed": make_observed(examples), "first_batch": 1}
    whole = list(training_batches(examples, **options).as_numpy_iterator())
    parts = [
        list(training_batches(examples, part=half(number), **options).as_numpy_iterator())
        for number in (0, 1)
    ]
    assert len(whole) == len(parts[0]) == len(parts[1])
    for (images, targets), *halves in zip(whole, *parts, strict=True):
        if len(images) % 2:
            together = halves[0]
            np.testing.assert_array_equal(halves[0][0], halves[1][0])
        else:
            assert [len(half[0]) for half in halves] == [len(images) // 2] * 2
            together = keras.tree.map_structure(lambda *both: np.concatenate(both), *halves)
        np.testing.assert_array_equal(together[0], images)
        keras.tree.map_structure(np.testing.assert_array_equal, together[1], targets)
