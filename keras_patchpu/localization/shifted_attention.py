"""Finer maps than the grid of patches has: the attention to the same image at shifted places."""

import itertools

import keras
import numpy as np

from keras_patchpu.errors import InputError
from keras_patchpu.models import MultiLabelModel

# Shifts to each side of a finest patch, by parts of its size: 3 quarters, so that every place is
# seen in up to 4 x 4 positions in it.
PARTS = 4


class ShiftedAttention:
    """Images to maps of labels, `(B, S, S, 3)` to `(B, L, h, w)`, in cells of a quarter patch.

    A patch says that a label is somewhere in it. The same image, moved by a part of a patch, is cut
    elsewhere, and the label is in the overlap of the patches that see it. A cell has the mean over
    49 shifts of the attention that its place gets, as `attention_maps` sums it over the levels; it
    is that of the patches around it, so the map is blurred by a patch and its maximum is in the
    middle of an object. It takes 49 passes through the model, which is not trained for it; pixels
    from outside of the image are those of its edge.

    This is not in the paper, whose maps have the cells of the finest level.

    Args:
        model: one of `keras_patchpu.models`, with square places of 4 pixels or more.

    Attributes:
        edges: of the cells, `(h + 1,)` and `(w + 1,)` in pixels of the square.

    Raises:
        InputError: the model's places are smaller.
    """

    def __init__(self, model: MultiLabelModel):
        self.model = model
        top, _, bottom, _ = model.attention_boxes[0]
        self.step = int(bottom - top) // PARTS
        if not self.step:
            raise InputError(
                f"The model's places of {bottom - top:g} pixels have no quarters to shift by: use "
                "the method attention"
            )
        ends = np.append(np.arange(0, model.image_size, self.step), model.image_size)
        self.edges = (ends, ends)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Maps `(B, L, h, w)`, from 0 to 1, of images `(B, S, S, 3)`."""
        offsets = self.step * np.arange(1 - PARTS, PARTS)
        sums, counts = 0.0, 0.0
        for shift in itertools.product(offsets, offsets):
            outputs = self.model.predict_on_batch(shift_images(images, *shift))
            attention = keras.ops.convert_to_numpy(outputs["attention"])
            covered, seen = self._coverage(*shift)
            sums = sums + np.tensordot(attention, covered, axes=1)
            counts = counts + seen
        return sums / counts

    def _coverage(self, down, right):
        """Which cells each patch covers, `(M, h, w)`, and which the moved square still shows."""
        middles = (self.edges[0][1:] + self.edges[0][:-1]) / 2
        top, left, bottom, end = self.model.attention_boxes.T[:, :, None]
        y, x = middles + down, middles + right
        rows, columns = (top <= y) & (y < bottom), (left <= x) & (x < end)
        size = self.model.image_size
        seen = np.outer((0 <= y) & (y < size), (0 <= x) & (x < size))
        covered = rows[:, :, None] & columns[:, None, :]
        return covered.astype("float32"), seen.astype("float32")


def shift_images(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images `(B, S, S, 3)` moved by pixels, of either sign; their edges fill what comes in."""
    size = images.shape[1]
    rows, columns = (np.clip(np.arange(size) - by, 0, size - 1) for by in (down, right))
    return images[:, rows[:, None], columns]
