"""Block 1 of the paper's figure 1: an image becomes patches at several resolutions."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="keras_patchpu")
class PatchPyramid(keras.layers.Layer):
    """Cuts an image, and each of its halvings, into a grid of patches (paper, section 3.1.1).

    Level 0 is the image. Each next level is the previous one at half height and width (bilinear,
    half-pixel centres: on even sizes the mean of 2x2 pixels). Every level is cut into patches of
    `(patch_size, patch_size)` with the same stride; what is left over at the right and at the
    bottom is not seen. Patches are ordered by level, row and column:

    1. resize: `(B, S, S, C)` -> `(B, S / 2^r, S / 2^r, C)` for the levels r = 0, 1, ...
    2. extract: -> `(B, rows_r * columns_r, P, P, C)`
    3. optional random subset of each level (training only)
    4. concatenate the levels: `(B, M, P, P, C)`

    Args:
        patch_size: height and width P of a patch in pixels.
        num_levels: number of resolutions, the image itself included.
        patches_per_level: `None` for all patches, or `num_levels` integers: while training, at
            most that many patches of a level are kept, drawn anew for every image and step
            without replacement. Inference always uses all of them.
        seed: seed of that draw.

    Call arguments:
        images: `(B, S, S, C)`, or `(B, H, W, C)`, in any range; height and width must be known.
        training: whether to draw a subset.

    Returns:
        Patches `(B, M, P, P, C)`.

    Raises:
        ValueError: if a level is smaller than one patch.
    """

    def __init__(self, patch_size=64, num_levels=4, patches_per_level=None, seed=0, **kwargs):
        super().__init__(**kwargs)
        if num_levels < 1 or patch_size < 1:
            raise ValueError(
                "Invalid value for argument `num_levels` or `patch_size`. Expected positive "
                f"integers. Received: num_levels={num_levels}, patch_size={patch_size}"
            )
        if patches_per_level is not None:
            patches_per_level = tuple(int(count) for count in patches_per_level)
            if len(patches_per_level) != num_levels or min(patches_per_level) < 1:
                raise ValueError(
                    "Invalid value for argument `patches_per_level`. Expected None or "
                    f"{num_levels} positive integers. Received: {patches_per_level}"
                )
        self.patch_size = patch_size
        self.num_levels = num_levels
        self.patches_per_level = patches_per_level
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def grids(self, height: int, width: int) -> list[tuple[int, int]]:
        """The (rows, columns) of patches of each level for images of `(height, width)` pixels."""
        grids = []
        for level in range(self.num_levels):
            rows, columns = height // self.patch_size, width // self.patch_size
            if rows == 0 or columns == 0:
                raise ValueError(
                    f"Level {level} is {height}x{width} pixels, smaller than one patch of "
                    f"{self.patch_size}. Use larger images, fewer levels or smaller patches. "
                    f"Received: num_levels={self.num_levels}, patch_size={self.patch_size}"
                )
            grids.append((rows, columns))
            height, width = height // 2, width // 2
        return grids

    def num_patches(self, height: int, width: int) -> int:
        """M, the number of patches at inference for images of `(height, width)` pixels."""
        return sum(rows * columns for rows, columns in self.grids(height, width))

    def boxes(self, height: int, width: int) -> np.ndarray:
        """Where each patch lies in the image: `(M, 4)` of `ymin, xmin, ymax, xmax` in pixels.

        A level of an odd size is not exactly half of the one before, so boxes are scaled by the
        ratio of the true sizes.
        """
        boxes = []
        level_height, level_width = height, width
        for rows, columns in self.grids(height, width):
            row, column = np.mgrid[:rows, :columns].reshape(2, -1)
            corners = np.stack([row, column, row + 1, column + 1], axis=1) * self.patch_size
            scale = np.array([height / level_height, width / level_width] * 2)
            boxes.append(corners * scale)
            level_height, level_width = level_height // 2, level_width // 2
        return np.concatenate(boxes)

    def call(self, images, training=False):
        levels = []
        level_images = ops.cast(images, self.compute_dtype)
        for level, grid in enumerate(self.grids(*images.shape[1:3])):
            if level > 0:
                height, width = level_images.shape[1:3]
                level_images = ops.image.resize(
                    level_images,
                    (height // 2, width // 2),
                    interpolation="bilinear",
                    data_format="channels_last",
                )
            patches = self._extract(level_images, *grid)
            if training and self.patches_per_level is not None:
                patches = self._subset(patches, self.patches_per_level[level])
            levels.append(patches)
        return ops.concatenate(levels, axis=1)

    def _extract(self, images, rows, columns):
        """`(B, H, W, C)` -> `(B, rows * columns, P, P, C)`."""
        size, channels = self.patch_size, images.shape[-1]
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            window = [1, size, size, 1]
            patches = tf.image.extract_patches(images, window, window, [1, 1, 1, 1], "VALID")
            return ops.reshape(patches, (-1, rows * columns, size, size, channels))
        # Stride equals size, so a reshape does it; keras.ops.image.extract_patches is a
        # convolution with an identity kernel, 28 to 170 times slower.
        images = images[:, : rows * size, : columns * size]
        patches = ops.reshape(images, (-1, rows, size, columns, size, channels))
        patches = ops.transpose(patches, (0, 1, 3, 2, 4, 5))
        return ops.reshape(patches, (-1, rows * columns, size, size, channels))

    def _subset(self, patches, count):
        """`(B, m, P, P, C)` -> `(B, min(count, m), P, P, C)`, another subset for every image."""
        if count >= patches.shape[1]:
            return patches
        shape = (ops.shape(patches)[0], patches.shape[1])
        order = ops.argsort(keras.random.uniform(shape, seed=self.seed_generator), axis=1)
        keep = ops.sort(order[:, :count], axis=1)
        return ops.take_along_axis(patches, keep[:, :, None, None, None], axis=1)

    def save_own_variables(self, store):
        # Keras leaves seed generators out of a file; a resumed training would repeat its draws.
        if self.patches_per_level is not None:
            store["seed_state"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store):
        # The weights may be those of a model that takes all patches.
        if self.patches_per_level is not None and "seed_state" in store.keys():
            self.seed_generator.state.assign(store["seed_state"])

    def compute_output_shape(self, images_shape):
        # With a random subset M differs between training and inference, so it stays open.
        num_patches = None if self.patches_per_level else self.num_patches(*images_shape[1:3])
        size = self.patch_size
        return (images_shape[0], num_patches, size, size, images_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "patch_size": self.patch_size,
            "num_levels": self.num_levels,
            "patches_per_level": self.patches_per_level,
            "seed": self.seed,
        }
