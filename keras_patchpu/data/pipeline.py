"""From `Examples` to batches: decode, shuffle by seed and epoch, augment, batch, prefetch."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_patchpu.data.augmentation import augment_image, check_augmentations
from keras_patchpu.data.decode import decode_and_resize
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.loading import read_encoded
from keras_patchpu.errors import InputError


def drop_unlabelled(examples: Examples) -> Examples:
    """Takes out the images without any positive label: there is no single positive to draw.

    MLSPL leaves them out too. A test split keeps them: there they are negatives of every label.

    Raises:
        InputError: no image is left.
    """
    rows = np.flatnonzero((examples.labels == 1).any(axis=1))
    if not len(rows):
        raise InputError(
            f"{examples.name} {examples.split}: no image has a positive label: choose another split"
        )
    return examples.select(rows)


def drop_unknown(examples: Examples) -> Examples:
    """Takes out the images of which no label is known, present or absent.

    Raises:
        InputError: no image is left that has a positive label.
    """
    drop_unlabelled(examples)
    return examples.select(np.flatnonzero((examples.labels >= 0).any(axis=1)))


def elements(
    examples: Examples, observed: np.ndarray, size: int, resize: str = "stretch"
) -> tf.data.Dataset:
    """One element an image, in order.

    Args:
        examples: N images, L labels.
        observed: `(N, L)`, 1 where a positive label is observed.
        size, resize: as for `decode_and_resize`.

    Returns:
        Dataset of `{"image": uint8 (size, size, 3), "labels": float32 (L,),
        "observed": float32 (L,), "index": int64 ()}`.
    """
    rows = tf.data.Dataset.range(len(examples))
    labels = tf.constant(examples.labels, tf.float32)
    observed = tf.constant(observed, tf.float32)

    def element(image, row):
        return {"image": image, "labels": labels[row], "observed": observed[row], "index": row}

    return tf.data.Dataset.zip(_images(rows, examples, size, resize), rows).map(element)


def training_batches(
    examples: Examples,
    observed: np.ndarray,
    batch_size: int,
    size: int,
    resize: str = "stretch",
    seed: int = 0,
    first_epoch: int = 0,
    epochs: int = 1,
    supervised: bool = False,
    cached: np.ndarray | None = None,
    augment: Sequence[str] = (),
    first_batch: int = 0,
    part: Callable[[int], slice] | None = None,
) -> tf.data.Dataset:
    """Shuffled batches of the epochs `first_epoch` to `epochs - 1`, one after the other.

    Epoch `e` is the permutation `epoch_order(N, seed, e)` whatever came before, so a run resumed at
    epoch `e` sees what an uninterrupted one sees. Every epoch has `ceil(N / batch_size)` batches;
    its last one may be smaller. For `model.fit(dataset, steps_per_epoch=ceil(N / batch_size),
    initial_epoch=first_epoch, epochs=epochs, shuffle=False)`: Keras warns of its own shuffle.

    Args:
        examples: N images, L labels.
        observed: `(N, L)`, 1 where a positive label is observed.
        batch_size: images a batch.
        size, resize: as for `decode_and_resize`.
        seed: seed of the shuffle and of the augmentation.
        first_epoch: the first epoch to give, counted from 0.
        epochs: the epoch to stop before.
        supervised: give the full truth in place of the observed labels.
        cached: the array of `load_images`; without it pictures are read from their files.
        augment: names out of `AUGMENTATIONS`, see `augment_image`.
        first_batch: of `first_epoch`, counted from 0; those before are left out.
        part: given the size of a batch, the slice of it that is read; by default all of it.

    Returns:
        Dataset of `(images, {"observed": float32 (B, L), "index": int64 (B,)})` with images uint8
        `(B, size, size, 3)`; with `supervised`, `"labels"` in place of `"observed"`. The truth is
        in the dataset only then. With `augment` there are also `"crop"`, float32 `(B, 4)`, and
        `"flip"`, bool `(B,)`.

    Raises:
        ValueError: nothing is observed of an image (see `drop_unlabelled`), or a name in `augment`
            is unknown.
    """
    check_augmentations(augment)
    if not supervised and not np.any(observed, axis=1).all():
        row = int(np.flatnonzero(~np.any(observed, axis=1))[0])
        raise ValueError(
            "Invalid value for argument `observed`. Expected a known label in every row. "
            f"Received: none in row {row} ({examples.keys[row]})"
        )
    name, labels = ("labels", examples.labels) if supervised else ("observed", observed)
    # Here, for a graph, such as that of an epoch, would have a copy of it and can hold 2 GB.
    labels = tf.constant(labels, tf.float32)
    batches = functools.partial(_batches, examples, labels, name, size=size, resize=resize)

    def order(epoch):
        skipped = first_batch * batch_size if epoch == first_epoch else 0
        return epoch_order(len(examples), seed, epoch)[skipped:]

    def part_of_order(epoch):
        rows = order(epoch)
        end = len(rows) // batch_size * batch_size
        whole, last = rows[:end].reshape(-1, batch_size), rows[end:]
        return whole[:, part(batch_size)].ravel(), last[part(len(last))]

    def one_epoch(epoch):
        change = None
        if augment:
            change = functools.partial(augment_image, names=augment, seed=seed, epoch=epoch)

        def of(rows, number):
            rows.set_shape((None,))
            rows = tf.data.Dataset.from_tensor_slices(rows)
            return batches(rows, batch_size=number, cached=cached, change=change)

        if part is None:
            return of(tf.numpy_function(order, [epoch], tf.int64), batch_size)
        # The last batch may have a larger part than those before.
        whole, last = tf.numpy_function(part_of_order, [epoch], [tf.int64, tf.int64])
        return of(whole, len(range(batch_size)[part(batch_size)])).concatenate(of(last, batch_size))

    num_batches = -(-len(examples) // batch_size) * (epochs - first_epoch) - first_batch
    dataset = tf.data.Dataset.range(first_epoch, epochs).flat_map(one_epoch)
    return dataset.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(2)


def evaluation_batches(
    examples: Examples,
    batch_size: int,
    size: int,
    resize: str = "stretch",
    cached: np.ndarray | None = None,
    rows: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """All images in order, none dropped, with the full truth; arguments as `training_batches`.

    With `rows` only those images, in the order of the rows; `cached` is that of all.

    Returns:
        Dataset of `(images, {"labels": float32 (B, L), "index": int64 (B,)})`.
    """
    rows = range(len(examples)) if rows is None else rows
    rows = tf.data.Dataset.from_tensor_slices(np.asarray(rows, "int64"))
    labels = tf.constant(examples.labels, tf.float32)
    return _batches(examples, labels, "labels", rows, batch_size, size, resize, cached).prefetch(2)


def epoch_order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """The order of the images in one epoch: int64 `(num_examples,)`, from seed and epoch alone."""
    return np.random.default_rng((seed, int(epoch))).permutation(num_examples)


def _batches(examples, labels, name, rows, batch_size, size, resize, cached, change=None):
    """Batches of the rows that the dataset `rows` gives, in its order, with labels, a tensor.

    `change`, given an image and its row, returns it augmented, with its crop and flip.
    """
    if change is not None:
        pictures = _augmented(rows, examples, size, resize, cached, change).batch(batch_size)
    elif cached is not None:
        take = functools.partial(_take, cached, size)
        pictures = rows.batch(batch_size).map(lambda index: (take(index), {}))
    else:
        pictures = _images(rows, examples, size, resize).batch(batch_size)
        pictures = pictures.map(lambda images: (images, {}))

    def batch(picture, index):
        images, view = picture
        return images, {name: tf.gather(labels, index), "index": index, **view}

    return tf.data.Dataset.zip(pictures, rows.batch(batch_size)).map(batch)


def _augmented(rows, examples, size, resize, cached, change):
    def load(row):
        if cached is None:
            image = _read(examples, size, resize, row)
        else:
            # By an array of one index, which copies: by the index alone it would be a view, and
            # the tensor would share its memory with the cache.
            image = _take(cached, size, [row])[0]
        image, crop, flip = change(image, index=row)
        return image, {"crop": crop, "flip": flip}

    return rows.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _images(rows, examples, size, resize):
    read = functools.partial(_read, examples, size, resize)
    return rows.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _take(cached, size, index):
    # A Python function, for a captured array would be copied into the graph.
    images = tf.numpy_function(cached.__getitem__, [index], tf.uint8)
    return tf.ensure_shape(images, (None, size, size, 3))


def _read(examples, size, resize, row):
    # Read by Python, for a captured list of encoded pictures would be copied into the graph.
    encoded = tf.numpy_function(functools.partial(read_encoded, examples), [row], tf.string)
    encoded.set_shape(())
    return decode_and_resize(encoded, size, resize)
