"""A map for each label, whichever the model and the method."""

import keras
import numpy as np

from keras_patchpu.errors import InputError
from keras_patchpu.localization.grad_cam import GradCam
from keras_patchpu.localization.patches import attention_maps, patch_coverage
from keras_patchpu.localization.pictures import place_in_square
from keras_patchpu.localization.shifted_attention import ShiftedAttention
from keras_patchpu.models import MultiLabelModel
from keras_patchpu.models.resnet_body import ResNetModel

METHODS = ("attention", "shifted", "cam", "grad-cam")


class LabelMaps:
    """Images to maps of labels: `LabelMaps(model)(images)` is `(B, L, h, w)`.

    `h, w` is the finest grid of the model's places, `attention_grids[0]`, by all methods but one:

    * `"attention"`: of the patches that cover a cell, summed over the levels; at least 0. Of a
      baseline that of its places.
    * `"shifted"`: that of the image at 49 shifted places, in cells of a quarter of such a place;
      see `ShiftedAttention`.
    * `"cam"`: the class activation maps, of any sign, of a model that returns `score_maps`.
    * `"grad-cam"`: see `GradCam`, on the last feature map of a ResNet; at least 0.

    Args:
        model: one of `keras_patchpu.models`.
        method: of `METHODS`; by default `"cam"` for a model that has it, else `"attention"`.

    Attributes:
        method: the one that is used.

    Raises:
        InputError: there is no such method, or the model has not what it takes.
    """

    def __init__(self, model: MultiLabelModel, method: str | None = None):
        has_cam = "score_maps" in model.output
        self.model = model
        self.method = method or ("cam" if has_cam else "attention")
        if self.method not in METHODS:
            raise InputError(f"No method {method!r} of maps: choose of {', '.join(METHODS)}")
        if self.method == "cam" and not has_cam:
            raise InputError(
                "The model has no class activation map, as only resnet50 has: use the method "
                "attention"
            )
        if self.method == "attention":
            self._coverage = patch_coverage(model.attention_grids, model.attention_boxes)
        self._edges = _edges_of_places(model)
        if self.method == "shifted":
            self._shifted = ShiftedAttention(model)
            self._edges = self._shifted.edges
        if self.method == "grad-cam":
            if not isinstance(model, ResNetModel):
                raise InputError(
                    "The model has no feature map of the whole image for grad-cam, as resnet50 and "
                    "query2label have: use the method attention"
                )
            self._grad_cam = GradCam(model, model.body)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Maps `(B, L, h, w)` of images `(B, S, S, 3)`."""
        if self.method == "grad-cam":
            return self._grad_cam(images)
        if self.method == "shifted":
            return self._shifted(images)
        outputs = self.model.predict_on_batch(images)
        if self.method == "cam":
            return keras.ops.convert_to_numpy(outputs["score_maps"])
        attention = keras.ops.convert_to_numpy(outputs["attention"])
        return attention_maps(attention, self._coverage)

    def edges(self, size: tuple[int, int], resize: str) -> tuple[np.ndarray, np.ndarray]:
        """The edges of the maps' cells in a picture, as `metrics.score_pair` takes them.

        Args:
            size: height and width of the picture in pixels.
            resize: how it became a square, `"stretch"` or `"pad"`.

        Returns:
            `(h + 1,)` and `(w + 1,)`, float64, in pixels of the picture; with `"pad"` the outer
            ones may lie outside of it.
        """
        rows, columns = self._edges
        top, left, bottom, right = place_in_square(*size, self.model.image_size, resize)
        return (
            (rows - top) / (bottom - top) * size[0],
            (columns - left) / (right - left) * size[1],
        )


def _edges_of_places(model):
    """The edges of the finest grid's places, in pixels of the square."""
    rows, columns = model.attention_grids[0]
    cells = np.reshape(model.attention_boxes[: rows * columns], (rows, columns, 4))
    return (
        np.append(cells[:, 0, 0], cells[-1, 0, 2]),
        np.append(cells[0, :, 1], cells[0, -1, 3]),
    )
