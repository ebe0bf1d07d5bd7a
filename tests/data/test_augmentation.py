import functools

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_patchpu import PatchClassifier, losses, metrics
from keras_patchpu.crop_and_flip import transform_boxes
from keras_patchpu.data import Examples, evaluation_batches, training_batches
from keras_patchpu.data.augmentation import AUGMENTATIONS, augment_image

SIZE = 64
SOME = ("flip", "crop", "randaugment")


def make_picture(seed=0, size=SIZE):
    picture = np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)
    picture[10 : size // 2, 5 : size // 3] = (200, 40, 10)
    return picture


def augmented(picture, names, numbers, seed=0, epoch=0):
    """The results of `augment_image` for several indices."""
    function = tf.function(functools.partial(augment_image, names=names, seed=seed))
    for index in numbers:
        image, crop, flip = function(
            tf.constant(picture), epoch=tf.constant(epoch), index=tf.constant(index)
        )
        yield image.numpy(), crop.numpy(), bool(flip)


def test_no_names_change_nothing():
    image, crop, flip = augment_image(make_picture(), (), 0, 0, 0)
    np.testing.assert_array_equal(image, make_picture())
    np.testing.assert_array_equal(crop, [0, 0, 1, 1])
    assert not flip


@pytest.mark.parametrize("names", [("crop",), ("flip",), ("flip", "crop")])
def test_pixels_come_from_where_crop_and_flip_say(names):
    # Red tells the column of a pixel, green its row.
    row, column = np.mgrid[:SIZE, :SIZE]
    ramps = np.stack([4 * column, 4 * row, 0 * row], axis=2).astype(np.uint8)
    flips, crops = set(), set()
    for image, crop, flip in augmented(ramps, names, range(12)):
        flips.add(flip)
        crops.add(tuple(crop))
        top, left, bottom, right = crop * SIZE
        middles = (np.arange(SIZE) + 0.5) / SIZE
        # Beyond the middles of its outermost pixels a crop repeats them.
        rows = np.clip(top + middles * (bottom - top) - 0.5, top, bottom - 1)
        columns = np.clip(left + middles * (right - left) - 0.5, left, right - 1)
        columns = columns[::-1] if flip else columns
        np.testing.assert_allclose(image[..., 0], np.tile(4 * columns, (SIZE, 1)), atol=0.51)
        np.testing.assert_allclose(image[..., 1].T, np.tile(4 * rows, (SIZE, 1)), atol=0.51)
    assert flips == ({False, True} if "flip" in names else {False})
    assert len(crops) == (12 if "crop" in names else 1)


def test_boxes_go_where_their_pixels_go():
    box = np.array([12, 20, 44, 52]) / SIZE
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[12:44, 20:52] = 255
    for image, crop, flip in augmented(picture, ("crop", "flip"), range(20)):
        rows, columns = np.nonzero(image[..., 0] > 127)
        seen = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])
        moved = transform_boxes(box, crop, flip)[0] * SIZE
        np.testing.assert_allclose(seen, moved, atol=1)


@pytest.mark.parametrize("name", ["colour", "randaugment"])
def test_colours_leave_every_pixel_where_it_is(name):
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[:32] = (200, 80, 40)
    picture[:, 20:50] = (30, 120, 90)
    border = np.zeros((SIZE, SIZE), bool)  # where sharpness may change something
    border[31:33], border[:, 19:21], border[:, 49:51] = True, True, True
    changes = 0
    for image, crop, flip in augmented(picture, (name,), range(12)):
        np.testing.assert_array_equal(crop, [0, 0, 1, 1])
        assert not flip
        changes += (image != picture).any()
        for colour in np.unique(picture.reshape(-1, 3), axis=0):
            region = (picture == colour).all(axis=2) & ~border
            assert len(np.unique(image[region], axis=0)) == 1
    assert changes > 5


@hypothesis.settings(max_examples=25)
@hypothesis.given(
    names=st.lists(st.sampled_from(AUGMENTATIONS), max_size=5),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 2**31),
    index=st.integers(0, 2**40),
    size=st.sampled_from([3, 16, 33]),
)
def test_any_draw_gives_a_picture_and_a_box_within_it(names, seed, epoch, index, size):
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)
    image, crop, flip = augment_image(tf.constant(picture), names, seed, epoch, index)
    assert image.dtype == tf.uint8 and image.shape == (size, size, 3)
    assert crop.dtype == tf.float32 and crop.shape == (4,)
    assert flip.dtype == tf.bool and flip.shape == ()
    ymin, xmin, ymax, xmax = crop.numpy()
    assert 0 <= ymin < ymax <= 1 and 0 <= xmin < xmax <= 1
    # Sides are whole pixels.
    assert (ymax - ymin + 0.5 / size) * (xmax - xmin + 0.5 / size) > 0.25 - 1e-5
    again = augment_image(tf.constant(picture), names, seed, epoch, index)
    np.testing.assert_array_equal(image, again[0])
    # Another order of names is the same set of changes, and each draws for itself.
    reordered = augment_image(tf.constant(picture), names[::-1], seed, epoch, index)
    np.testing.assert_array_equal(image, reordered[0])
    if "crop" in names:
        np.testing.assert_array_equal(
            crop, augment_image(tf.constant(picture), ["crop"], seed, epoch, index)[1]
        )


def test_crops_and_flips_are_spread_as_documented():
    size, count = 256, 1000

    def view(index):
        return augment_image(tf.zeros((size, size, 3), tf.uint8), ("crop", "flip"), 3, 0, index)[1:]

    dataset = tf.data.Dataset.range(count).map(view).batch(count)
    crop, flip = next(dataset.as_numpy_iterator())
    assert abs(flip.mean() - 0.5) < 3 * 0.5 / np.sqrt(count)
    height, width = (crop[:, 2:] - crop[:, :2]).T
    area = height * width
    assert 0.245 < area.min() < 0.26 and area.max() > 0.99
    assert scipy.stats.kstest(area, "uniform", (0.25, 0.75)).pvalue > 0.01
    aspect = width / height
    assert 0.74 < aspect.min() < 0.77 and 1.3 < aspect.max() < 1.35
    assert abs(np.log(aspect).mean()) < 0.03
    for start, side in ((crop[:, 0], height), (crop[:, 1], width)):
        loose = side < 0.95
        place = start[loose] / (1 - side[loose])
        assert scipy.stats.kstest(place, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(flip, area)[0, 1]) < 4 / np.sqrt(count)


def test_colour_factors_are_spread_as_documented():
    greys = np.full((8, 8, 3), 100, np.uint8)
    values = [image[0, 0, 0] for image, _, _ in augmented(greys, ("colour",), range(200))]
    # Of a grey picture only the brightness changes.
    assert 60 <= min(values) < 64 and 136 < max(values) <= 140
    assert abs(np.mean(values) - 100) < 4 * 80 / np.sqrt(12 * 200)


def make_examples(num_examples=7):
    pictures = np.stack([make_picture(row, 16) for row in range(num_examples)])
    labels = np.eye(3, dtype=np.float32)[np.arange(num_examples) % 3]
    keys = tuple(f"{row}.png" for row in range(num_examples))
    images = [tf.io.encode_png(picture).numpy() for picture in pictures]
    return Examples("pictures", "train", ("a", "b", "c"), keys, images, labels), pictures


def views(dataset, threads=0, first_epoch=0, num_examples=7):
    """What a data set gives for each epoch and image, as bytes."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    found, seen = {}, 0
    for images, targets in dataset.with_options(options).as_numpy_iterator():
        for image, index, crop, flip in zip(
            images, targets["index"], targets["crop"], targets["flip"], strict=True
        ):
            key = (first_epoch + seen // num_examples, int(index))
            found[key] = (image.tobytes(), crop.tobytes(), bool(flip))
            seen += 1
    assert len(found) == seen
    return found


def test_seed_epoch_and_index_alone_decide():
    examples, pictures = make_examples()
    batches = functools.partial(
        training_batches, examples, examples.labels, size=16, seed=4, augment=SOME
    )
    expected = views(batches(batch_size=3, epochs=3, cached=pictures))
    for (epoch, index), found in list(expected.items())[::4]:
        image, crop, flip = augment_image(tf.constant(pictures[index]), SOME, 4, epoch, index)
        assert found == (image.numpy().tobytes(), crop.numpy().tobytes(), bool(flip))
        image, _, _ = augment_image(tf.constant(pictures[index]), SOME, 5, epoch, index)
        assert found[0] != image.numpy().tobytes()
    # Pictures decoded rather than cached, in other batches, by one thread.
    assert views(batches(batch_size=7, epochs=3), threads=1) == expected
    resumed = batches(batch_size=1, epochs=3, first_epoch=2, cached=pictures)
    resumed = views(resumed, threads=8, first_epoch=2)
    assert resumed == {key: expected[key] for key in expected if key[0] == 2}
    # No two draws are alike.
    assert len({crop for _, crop, _ in expected.values()}) == len(expected)


def test_batches_with_crop_and_flip():
    examples, pictures = make_examples()
    dataset = training_batches(
        examples, examples.labels, 3, 16, cached=pictures, augment=["crop"], supervised=True
    )
    images, targets = dataset.element_spec
    assert images == tf.TensorSpec((None, 16, 16, 3), tf.uint8)
    assert targets == {
        "labels": tf.TensorSpec((None, 3), tf.float32),
        "index": tf.TensorSpec((None,), tf.int64),
        "crop": tf.TensorSpec((None, 4), tf.float32),
        "flip": tf.TensorSpec((None,), tf.bool),
    }
    assert dataset.cardinality() == 3
    _, targets = next(evaluation_batches(examples, 7, 16, cached=pictures).as_numpy_iterator())
    assert set(targets) == {"labels", "index"}


def test_the_cache_stays_as_it_is(tmp_path):
    examples, pictures = make_examples()
    np.save(tmp_path / "cache.npy", pictures)
    # Writing into a memory map opened for reading ends the process.
    mapped = np.load(tmp_path / "cache.npy", mmap_mode="r")
    writeable = np.load(tmp_path / "cache.npy")
    found = []
    for cached in (mapped, writeable):
        dataset = training_batches(
            examples, examples.labels, 3, 16, epochs=8, cached=cached, augment=["randaugment"]
        )
        found.append(views(dataset))
    assert found[0] == found[1]
    np.testing.assert_array_equal(writeable, pictures)


@pytest.mark.parametrize("names", [("flip", "cutmix"), "flip"])
def test_unknown_names_are_refused(names):
    examples, pictures = make_examples()
    with pytest.raises(ValueError, match=r"`augment`.*'randaugment'\). Received: augment=.*flip"):
        training_batches(examples, examples.labels, 3, 16, cached=pictures, augment=names)
    with pytest.raises(ValueError, match="`augment`"):
        augment_image(pictures[0], names, 0, 0, 0)


def test_a_model_trains_on_augmented_pictures():
    examples, _ = make_examples()
    dataset = training_batches(
        examples, examples.labels, 3, 64, epochs=2, seed=1, augment=AUGMENTATIONS
    )
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=16)
    loss = losses.get(
        "role", num_examples=7, num_labels=3, expected_positives=1.2, observed=examples.labels
    )
    measured = [metrics.MeanAveragePrecision(max_examples=8)]
    model.compile(keras.optimizers.SGD(0.01), loss=loss, metrics=measured)
    history = model.fit(dataset, epochs=2, steps_per_epoch=3, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert len(history.history) == 2  # the loss and the metric
