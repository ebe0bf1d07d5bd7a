"""The baseline of the field: a ResNet-50 that says where, by class activation maps."""

import keras
from keras import ops

from keras_patchpu.models.resnet_body import ResNetModel, resnet_body


@keras.saving.register_keras_serializable(package="keras_patchpu")
class ResNet50Classifier(ResNetModel):
    """ResNet-50 with a class activation map for each label, whose mean is the logit.

    1. features `(B, h, w, 2048)` of `resnet_body`, `h = w = ceil(S / 32)`
    2. score_maps `(B, L, h, w)` by a 1x1 convolution with bias
    3. logits `(B, L)`: their mean over places, equal to the usual pooling and dense layer
    4. attention `(B, L, M)`, `M = h * w`: the softmax of each map over its places
    5. image_embeddings `(B, L, 2048)`: the features weighted by the label's attention

    4 and 5 are made for what the patch model has by itself: localization, and losses that compare
    the embeddings of labels, such as `wn`. These are meaningful here, with one difference: features
    are not negative, so no two labels have a cosine below 0, and while the maps are flat, as they
    are at the start, all cosines are near 1 and `wn` is `an`. It departs from it as far as labels
    look at different places; a `theta` above 0 sets apart those that do.

    There are 23,534,592 trainable parameters and 2,049 a label: 23,575,572 for 20 labels.

    Args:
        num_labels: L.
        image_size: height and width S of the square images in pixels, at least 32.
        weights: `None` to train from scratch, `"imagenet"` or a path; see `resnet_body`. A model
            that is loaded from its own file needs neither.
        dtype: policy of the layers; scores are computed in float32 whatever it is.

    Call arguments:
        images: `(B, S, S, 3)`, values in 0..255, integers or floats.

    Returns:
        A dict of `logits`, `image_embeddings`, `attention` and `score_maps`.
    """

    def __init__(self, num_labels, image_size=448, weights=None, dtype=None, **kwargs):
        # === Layers ===
        policy = keras.dtype_policies.get(dtype)
        body = resnet_body("resnet50", image_size, weights, policy)
        score = keras.layers.Conv2D(num_labels, 1, dtype="float32", name="score_maps")

        # === Functional model ===
        images = keras.Input((image_size, image_size, 3), name="images")
        features = body(images)
        _, rows, columns, channels = features.shape
        score_maps = ops.transpose(score(features), (0, 3, 1, 2))
        by_place = ops.reshape(score_maps, (-1, num_labels, rows * columns))
        attention = ops.softmax(by_place, axis=-1)
        places = ops.reshape(features, (-1, rows * columns, channels))
        outputs = {
            "logits": ops.mean(by_place, axis=-1),
            "image_embeddings": ops.matmul(attention, places),
            "attention": attention,
            "score_maps": score_maps,
        }
        super().__init__(inputs=images, outputs=outputs, **kwargs)

        # === Config ===
        self.num_labels = num_labels
        self.image_size = image_size
        self.initial_weights = weights
        self.body_policy = policy
        self.body = body
        self.score_maps = score

    def get_config(self):
        return {
            "num_labels": self.num_labels,
            "image_size": self.image_size,
            "weights": self.initial_weights,
            "dtype": keras.dtype_policies.serialize(self.body_policy),
            "name": self.name,
            "trainable": self.trainable,
        }
