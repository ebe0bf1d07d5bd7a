"""Running averages of score maps, seen through the crop and flip of the picture."""

import keras
from keras import ops

from keras_patchpu.crop_and_flip import restore_maps
from keras_patchpu.losses.per_image_state import observed_labels, read_rows, write_rows
from keras_patchpu.losses.running_scores import RunningScores


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
            crop, flip: see `transform_maps`.
        """
        maps = self.read_maps(index)
        present, covered = restore_maps(score_maps, crop, flip, *maps.shape[2:])
        maps = ops.where(covered, self.mu * maps + (1 - self.mu) * present, maps)
        write_rows(self.maps, index, ops.where(observed[:, :, None, None] < 0, 0.0, maps))

    def get_config(self):
        return {**super().get_config(), "map_size": self.map_size}
