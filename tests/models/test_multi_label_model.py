"""What `fit` and `evaluate` tell a loss, and what they leave alone."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_patchpu.models import MODELS, MultiLabelModel


class Tiny(MultiLabelModel):
    """Images of 2x2 pixels to the logits of 3 labels."""

    def __init__(self):
        images = keras.Input((2, 2, 1))
        super().__init__(images, {"logits": keras.layers.Dense(3)(keras.layers.Flatten()(images))})


class Counter(keras.layers.Layer):
    def __init__(self):
        super().__init__(name="counter")
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.epoch = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.built = True


class CountingLoss(keras.losses.Loss):
    """Counts the steps that train, and adds ten times the number of the epoch to itself."""

    training = False

    def __init__(self):
        super().__init__()
        self.state = Counter()
        self.told = []

    def begin_epoch(self, epoch, epochs):
        self.told.append((epoch, epochs))
        self.state.epoch.assign(epoch)

    def call(self, y_true, y_pred):
        assert isinstance(self.training, bool)
        if self.training:
            self.state.steps.assign(self.state.steps + 1)
        return ops.sum(0 * y_pred["logits"], axis=-1) + 10 * self.state.epoch


class PlainLoss(keras.losses.Loss):
    """What Keras has by itself: it knows neither epochs nor training."""

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_pred["logits"] - y_true["labels"]), axis=-1)


IMAGES = np.ones((5, 2, 2, 1), "float32")
Y_TRUE = {"labels": np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]]}


def compiled(loss, **arguments):
    model = Tiny()
    model.compile("sgd", loss=loss, **arguments)
    return model


@pytest.mark.parametrize("eagerly", [False, True])
def test_loss_knows_epoch_and_training(eagerly):
    loss = CountingLoss()
    model = compiled(loss, run_eagerly=eagerly)
    history = model.fit(
        IMAGES, Y_TRUE, 2, epochs=3, verbose=0, validation_data=(IMAGES, Y_TRUE), shuffle=False
    )
    assert loss.told == [(0, 3), (1, 3), (2, 3)]
    assert history.history["loss"] == [0, 10, 20]  # what is told reaches the compiled step
    assert float(loss.state.steps) == 9  # 3 an epoch; validation has 3 as well
    model.evaluate(IMAGES, Y_TRUE, verbose=0)
    assert float(loss.state.steps) == 9


def test_resumed_fit_tells_the_true_epoch():
    loss = CountingLoss()
    compiled(loss).fit(IMAGES, Y_TRUE, initial_epoch=2, epochs=4, verbose=0)
    assert loss.told == [(2, 4), (3, 4)]


@pytest.mark.parametrize("kind", ["one", "list", "container", "position"])
def test_callbacks_of_the_caller_are_called_too(kind):
    seen = []
    model = compiled(CountingLoss())
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append((epoch, float(model.loss.state.epoch)))
    )
    given = {
        "one": callback,
        "list": [callback],
        "container": keras.callbacks.CallbackList([callback], model=model),
    }
    if kind == "position":
        model.fit(IMAGES, Y_TRUE, 2, 2, 0, [callback])
    else:
        model.fit(IMAGES, Y_TRUE, epochs=2, verbose=0, callbacks=given[kind])
    assert seen == [(0, 0), (1, 1)]  # and the loss knows the epoch by then


def test_plain_loss_is_left_alone():
    loss = PlainLoss()
    model = compiled(loss)
    history = model.fit(IMAGES, Y_TRUE, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]
    assert not hasattr(loss, "training")


def test_each_compiled_loss_is_told_of_its_own_epochs():
    first, second = CountingLoss(), CountingLoss()
    model = compiled(first)
    model.fit(IMAGES, Y_TRUE, verbose=0)
    model.compile("sgd", loss=second)
    model.fit(IMAGES, Y_TRUE, epochs=2, verbose=0)
    assert first.told == [(0, 1)] and second.told == [(0, 2), (1, 2)]


def test_fit_before_compile_is_the_error_of_keras():
    with pytest.raises(ValueError, match="compile"):
        Tiny().fit(IMAGES, Y_TRUE)


def test_all_models_are_of_this_kind():
    assert list(MODELS) == ["patch", "resnet50", "query2label"]
    assert all(issubclass(model, MultiLabelModel) for model in MODELS.values())


def test_parameters_are_those_that_answer():
    model = Tiny()
    assert model.num_parameters == 4 * 3 + 3
    loss = CountingLoss()
    loss.state.estimates = loss.state.add_weight(shape=(5, 3), trainable=True)
    loss.state.learning_rate_factor = 10.0
    model.compile("sgd", loss=loss)
    assert sum(math.prod(v.shape) for v in model.trainable_variables) == 15 + 5 * 3
    assert model.num_parameters == 15
    model.layers[-1].trainable = False
    assert model.num_parameters == 0
