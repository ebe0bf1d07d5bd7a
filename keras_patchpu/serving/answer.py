"""What a model says of one picture."""

import dataclasses

import numpy as np

from keras_patchpu.serving.pictures import OK


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What the model says of one picture; see `export` for what each part means.

    Attributes:
        scores: float32 `(L,)` in 0..1.
        labels: K names, best first.
        label_scores: float32 `(K,)`, of those labels.
        attention_maps: float32 `(K, h, w)` in 0..1, of those labels.
        status: `"ok"`, or what is wrong with the picture, whose other parts are then 0 and `""`.
    """

    scores: np.ndarray
    labels: list[str]
    label_scores: np.ndarray
    attention_maps: np.ndarray
    status: str

    @property
    def ok(self) -> bool:
        return self.status == OK
