"""A few test pictures, and where a model sees their labels."""

from collections.abc import Iterator

import keras
import numpy as np
from PIL import Image
from scipy.special import expit

from keras_patchpu.data import Examples, load_images
from keras_patchpu.data.single_positive import hash_key
from keras_patchpu.localization import dense_maps
from keras_patchpu.overlay import draw_overlay

NUM_PICTURES = 4
# Of a picture: with a second one it shows whether the model looks elsewhere for another label.
MOST_LABELS = 2
# A PNG of a photo at this size has 100 kB.
MOST_PIXELS = 256


class SamplePictures:
    """Pictures of a split that have a label, the same in every epoch, after a resume and each seed.

    Args:
        examples: N images; those without a positive label are left out.
        size: S, of the squares that the model sees, in pixels.
        resize: `"stretch"` or `"pad"`, as the model was trained.

    Attributes:
        rows: of the pictures in `examples`, at most `NUM_PICTURES`.
    """

    def __init__(self, examples: Examples, size: int, resize: str):
        labelled = np.flatnonzero((examples.labels == 1).any(axis=1))
        rows = sorted(labelled, key=lambda row: hash_key(0, f"sample {examples.keys[row]}"))
        self.rows = rows[:NUM_PICTURES]
        self._sample = examples.select(self.rows)
        self._images = load_images(self._sample, size, resize, progress=False)

    def draw(
        self, model: keras.Model, logits: np.ndarray
    ) -> Iterator[tuple[str, str, Image.Image]]:
        """Draws the attention of up to `MOST_LABELS` labels of each picture over it in red.

        Args:
            model: one of `keras_patchpu.models`.
            logits: `(N, L)` of all examples.

        Yields:
            The picture's key, the label, and what `draw_overlay` returns: the square that the model
            sees, of at most `MOST_PIXELS` pixels, and the label's score.
        """
        if not self.rows:
            return
        sample, side = self._sample, min(self._images.shape[1], MOST_PIXELS)
        outputs = model.predict_on_batch(self._images)
        for key, present, scores, pixels, attention in zip(
            sample.keys,
            sample.labels == 1,
            expit(logits[self.rows]),
            self._images,
            keras.ops.convert_to_numpy(outputs["attention"]),
            strict=True,
        ):
            picture = Image.fromarray(pixels).resize((side, side))
            for column in np.flatnonzero(present)[:MOST_LABELS]:
                name = sample.label_names[column]
                seen = dense_maps(attention[column], model.attention_boxes, model.image_size)
                yield key, name, draw_overlay(picture, seen, name, scores[column])
