"""What every model of the package shares: how it is compiled, trained and measured."""

import math
from collections.abc import Mapping

import keras

from keras_patchpu.models.scaled_learning_rate import scale_learning_rate
from keras_patchpu.replicas import over_replicas


class MultiLabelModel(keras.Model):
    """A functional model of square images with a dict of outputs, trained by one loss on all of it.

    A subclass returns `logits` `(B, L)`, `image_embeddings` `(B, L, F)` and `attention`
    `(B, L, M)`, float32 but for the embeddings, and has the attributes below. Its `get_config`
    returns the arguments of its constructor.

    The loss is one of `keras_patchpu.losses`, or any `keras.losses.Loss` that takes the dict. It is
    told by `fit` of each epoch before it begins (`loss.begin_epoch(epoch, epochs)`), and by
    `loss.training` whether a step trains or evaluates, where it has these.

    Attributes:
        image_size: S, height and width of the images in pixels.
        attention_grids: the `(rows, columns)` of the places attended to, one pair a resolution,
            the finest first; M is the sum of their products.
        attention_boxes: `(M, 4)` of `ymin, xmin, ymax, xmax` in pixels: where the places lie.
    """

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        # What a loss remembers of each image is saved and trained as a part of the model; Keras
        # has no way to forget that of an earlier loss, so it is put out of training.
        if getattr(self, "loss_state", None) is not None:
            self.loss_state.trainable = False
        self.loss_state = getattr(loss, "state", None)
        if self.loss_state is not None:
            self.loss_state.trainable = True
        if self.loss_state is not None and self.loss_state.trainable_variables:
            optimizer = scale_learning_rate(
                optimizer,
                self.loss_state.trainable_variables,
                self.loss_state.learning_rate_factor,
            )
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        # Now rather than in the first step, which would be traced twice for it.
        self.optimizer.build(self.trainable_variables)

    def get_compile_config(self):
        # PyTorch's optimizers name modules of their own, which no other backend could load.
        return _without_backend(super().get_compile_config())

    def compile_from_config(self, config):
        # Keras leaves this to a model that overrides `compile`.
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """`keras.Model.fit`, which tells the loss of each epoch."""
        loss = getattr(self, "loss", None)  # before `compile` there is none, as Keras will say
        if hasattr(loss, "begin_epoch"):
            callbacks = [_BeginEpoch(loss, epochs), *keras.tree.flatten(callbacks or [])]
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Of TensorFlow. Keras 3.15 adds up the first batch over replicas to learn its shape, which
        # fails where their parts differ in size, and for booleans. That of one replica will do.
        if iterator is not None and self._distribute_strategy is not None:
            _, _, batches = next(iter(iterator))
            data_batch = keras.tree.map_structure(
                lambda part: self.distribute_strategy.experimental_local_results(part)[0],
                next(batches),
            )
        super()._maybe_symbolic_build(None, data_batch)

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained to answer.

        Without the estimates of ROLE, which are trained but no part of the answer.
        """
        state = getattr(self, "loss_state", None)  # before `compile` there is none
        estimates = {id(v) for v in state.trainable_variables} if state is not None else set()
        answering = [v for v in self.trainable_variables if id(v) not in estimates]
        return sum(math.prod(variable.shape) for variable in answering)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # Of the whole batch on each replica, which the mean over the batch divides by their number:
        # some losses compare its images, and what a loss remembers has to be the same on all.
        y, y_pred = over_replicas((y, y_pred))
        if sample_weight is not None:
            sample_weight = over_replicas(sample_weight)
        # Keras hands a loss nothing but tensors. A step is traced with this Python value in it; not
        # before the lines above, in which one replica waits for the others.
        if hasattr(self.loss, "training"):
            self.loss.training = training
        return self.loss(y, y_pred, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        # Keras would hand the metrics the first entry of a dict, whichever that is.
        observed = not getattr(self.loss, "supervised", True)
        if isinstance(y, Mapping):
            observed = "labels" not in y
            y = y["observed" if observed else "labels"]
        if observed:  # -1 is a known negative, where metrics leave out what is not known
            y = keras.ops.maximum(y, 0)
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)

    @classmethod
    def from_config(cls, config):
        # That of a functional model would rebuild the graph from a description of it.
        return cls(**config)


def _without_backend(config):
    """A config in which every optimizer has its public name."""
    if isinstance(config, list | tuple):
        return [_without_backend(part) for part in config]
    if not isinstance(config, dict):
        return config
    if str(config.get("module")).startswith("keras.src.backend.torch.optimizers."):
        config = {**config, "module": "keras.optimizers", "registered_name": None}
    return {name: _without_backend(part) for name, part in config.items()}


class _BeginEpoch(keras.callbacks.Callback):
    def __init__(self, loss, epochs):
        super().__init__()
        self.loss = loss
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.loss.begin_epoch(epoch, self.epochs)
