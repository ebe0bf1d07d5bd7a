"""The convolutional part of a ResNet, on which the baselines are built."""

import keras
import numpy as np
from keras import ops

from keras_patchpu.layers import BatchNormalization
from keras_patchpu.models.multi_label_model import MultiLabelModel

BODIES = {
    "resnet50": keras.applications.ResNet50,
    "resnet101": keras.applications.ResNet101,
}
# Pixels of the image from one place of the last feature map to the next.
STRIDE = 32
# Red, green and blue means of ImageNet, as the network of the `"imagenet"` weights knows them.
IMAGENET_MEANS = (123.68, 116.779, 103.939)


def resnet_body(name: str, image_size: int, weights: str | None, dtype=None) -> keras.Model:
    """Images to the last feature map of a ResNet of `keras.applications`.

    1. minus the means of ImageNet, in float32, and blue, green, red: what
       `keras.applications.resnet.preprocess_input` does; no other scaling
    2. convolutions: `(B, S, S, 3)` -> `(B, h, w, 2048)` with `h = w = ceil(S / 32)`

    The batch normalizations are those of `keras_patchpu.layers`: the same numbers and weights, and
    about a fifth less time of a training step on a CPU.

    Args:
        name: `"resnet50"` or `"resnet101"`.
        image_size: S, at least 32.
        weights: `None` for random ones (Glorot), `"imagenet"`, which Keras downloads once, or the
            path of a weights file of that application without its top.
        dtype: policy of the layers.

    Raises:
        ValueError: if there is no such ResNet, or as `keras.applications` does for `weights`.
    """
    if name not in BODIES:
        raise ValueError(
            f"Invalid value for argument `backbone`. Expected one of {', '.join(BODIES)}. "
            f"Received: backbone={name}"
        )
    shape = (image_size, image_size, 3)
    application = BODIES[name](include_top=False, weights=weights, input_shape=shape)

    def with_policy(layer):
        kind = type(layer)
        if kind is keras.layers.BatchNormalization:
            kind = BatchNormalization
        return kind.from_config({**layer.get_config(), "dtype": dtype})

    # An application takes the global policy; its copy is made with the one that is asked for.
    convolutions = keras.models.clone_model(application, clone_function=with_policy)
    convolutions.set_weights(application.get_weights())

    images = keras.Input(shape, name="images")
    offset = [-mean for mean in IMAGENET_MEANS]
    centred = keras.layers.Rescaling(1.0, offset, dtype="float32", name="minus_means")(images)
    features = convolutions(ops.flip(centred, axis=-1))
    return keras.Model(images, features, name=f"{name}_body")


class ResNetModel(MultiLabelModel):
    """A model on the last feature map `(B, h, w, 2048)` of a ResNet, whose places it attends to.

    A subclass sets `image_size`, and in `initial_weights` its argument `weights`.

    Its places are taken for squares of 32 pixels side by side, as the field draws class activation
    maps. What a place sees is centred 16 pixels further up and to the left, by the padding and the
    strides of `keras.applications.ResNet50`.
    """

    @property
    def attention_grids(self):
        side = -(-self.image_size // STRIDE)
        return [(side, side)]

    @property
    def attention_boxes(self):
        corners = np.stack(np.mgrid[: self.image_size : STRIDE, : self.image_size : STRIDE], -1)
        corners = corners.reshape(-1, 2)
        return np.minimum(np.concatenate([corners, corners + STRIDE], axis=1), self.image_size)

    @classmethod
    def from_config(cls, config):
        # The weights come from the model's own file: those it began with need not be at hand.
        model = cls(**{**config, "weights": None})
        model.initial_weights = config.get("weights")
        return model
