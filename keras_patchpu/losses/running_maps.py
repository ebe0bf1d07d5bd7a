"""Running averages of score maps, seen through the crop and flip of the picture."""

import keras
from keras import ops

from keras_patchpu.losses.per_image_state import observed_labels, read_rows, write_rows
from keras_patchpu.losses.running_scores import RunningScores


def interpolation(places, size):
    """Weights of bilinear interpolation along one axis.

    Args:
        places: `(B, n)` in the axis of `size` cells, 0 and 1 being its ends. Beyond the centres of
            the outermost cells these go on.
        size: cells of the axis.

    Returns:
        `(B, n, size)`, each row summing to 1.
    """
    centres = ops.clip(places * size - 0.5, 0, size - 1)
    cells = ops.arange(size, dtype=centres.dtype)
    return ops.relu(1 - ops.abs(centres[..., None] - cells))


def centres(size):
    """The centres `(1, size)` of the cells of an axis, 0 and 1 being its ends."""
    return (ops.arange(size, dtype="float32")[None] + 0.5) / size


def mirrored(places, flip):
    """`1 - places` `(B, n)` where `flip` `(B,)` is true."""
    return ops.where(flip[:, None], 1 - places, places)


def see_through(maps, crop, flip, shape):
    """What a changed picture shows of maps of the whole one: the crop, resized, then mirrored.

    Bilinear, as `tf.image.resize` resizes a picture: half-pixel centres.

    Args:
        maps: `(B, L, R, C)`.
        crop: `(B, 4)` of ymin, xmin, ymax, xmax, fractions of the whole picture.
        flip: `(B,)` bool, left to right.
        shape: `(h, w)`.

    Returns:
        `(B, L, h, w)`.
    """
    ymin, xmin, ymax, xmax = ops.split(crop, 4, axis=1)
    rows = ymin + centres(shape[0]) * (ymax - ymin)
    columns = xmin + mirrored(centres(shape[1]), flip) * (xmax - xmin)
    return ops.einsum(
        "bhr,blrc,bwc->blhw",
        interpolation(rows, maps.shape[2]),
        maps,
        interpolation(columns, maps.shape[3]),
    )


def put_back(maps, crop, flip, shape):
    """The maps of a changed picture in their place in the whole one, the inverse of `see_through`.

    Args:
        maps: `(B, L, h, w)`.
        crop, flip: see `see_through`.
        shape: `(R, C)`.

    Returns:
        maps: `(B, L, R, C)`, of no meaning outside of the crop.
        inside: `(B, 1, R, C)` bool, the cells whose centres are in the crop.
    """
    ymin, xmin, ymax, xmax = ops.split(crop, 4, axis=1)
    rows = (centres(shape[0]) - ymin) / (ymax - ymin)
    columns = (centres(shape[1]) - xmin) / (xmax - xmin)
    inside = ops.logical_and(is_inside(rows)[:, :, None], is_inside(columns)[:, None, :])
    maps = ops.einsum(
        "brh,blhw,bcw->blrc",
        interpolation(rows, maps.shape[2]),
        maps,
        interpolation(mirrored(columns, flip), maps.shape[3]),
    )
    return maps, inside[:, None]


def is_inside(places):
    """Which places lie in [0, 1)."""
    return ops.logical_and(places >= 0, places < 1)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class RunningMaps(RunningScores):
    """H, the running average of each image's score maps, beside its `RunningScores`.

    H starts as 1 all over the map of an observed positive and 0 elsewhere. Maps are float16,
    `map_size` squared cells each: 82,081 images of COCO with 80 labels take 2,574,060,160 bytes
    with 14 x 14 cells, the grid of a ResNet at 448 pixels, and 2,606,892,880 with the scores. With
    `map_size` 17 it is 3.8 GB, with 18 more than 4.

    Args:
        num_examples, num_labels, expected_positives, observed, mu: see `RunningScores`.
        map_size: rows and columns of a map.
    """

    def __init__(
        self,
        num_examples,
        num_labels,
        expected_positives,
        observed=None,
        mu=0.8,
        map_size=14,
        name="running_maps",
    ):
        super().__init__(num_examples, num_labels, expected_positives, observed, mu, name=name)
        if not map_size == int(map_size) > 0:
            raise ValueError(
                "Invalid value for argument `map_size`. Expected a positive integer. "
                f"Received: map_size={map_size}"
            )
        positives = observed_labels(observed, num_examples, num_labels)[:, :, None, None] > 0
        self.map_size = map_size
        self.maps = self.add_weight(
            shape=(num_examples, num_labels, map_size, map_size),
            dtype="float16",
            initializer=lambda shape, dtype: ops.tile(
                ops.cast(positives, dtype), (1, 1, map_size, map_size)
            ),
            trainable=False,
            autocast=False,
            name="maps",
        )

    def read_maps(self, index):
        """`(B, L, S, S)` float32, of the rows `index` `(B,)`."""
        return ops.cast(read_rows(self.maps, index), "float32")

    def update_maps(self, index, observed, score_maps, crop, flip) -> None:
        """`H = mu H + (1 - mu) F` in the place of the crop, H elsewhere; 0 for known negatives.

        Args:
            index: `(B,)` int32.
            observed: `(B, L)`.
            score_maps: F, `(B, L, h, w)`.
            crop, flip: see `see_through`.
        """
        maps = self.read_maps(index)
        present, inside = put_back(score_maps, crop, flip, maps.shape[2:])
        maps = ops.where(inside, self.mu * maps + (1 - self.mu) * present, maps)
        write_rows(self.maps, index, ops.where(observed[:, :, None, None] < 0, 0.0, maps))

    def get_config(self):
        return {**super().get_config(), "map_size": self.map_size}
