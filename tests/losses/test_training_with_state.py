"""Losses that remember images, in `fit` and `evaluate`, and through a file."""

import keras
import numpy as np
import pytest
import remembered_images
from remembered_images import NUM_IMAGES, NUM_LABELS, SIZES, Colours, data

from keras_patchpu import PatchClassifier, losses
from keras_patchpu.models.resnet import ResNet50Classifier

EPOCHS = 5
OPTIONS = {
    **remembered_images.OPTIONS,
    "em+apl": {**SIZES, "warmup_epochs": 2, "beta": 0.5},
    "gr": {},
}
# One of each kind of state.
KINDS = ["en+scl", "ll_cp", "em+apl", "gr"]


def make(model_class, name):
    keras.utils.set_random_seed(1)
    if model_class is PatchClassifier:
        size = {"image_size": 64, "patch_size": 32, "num_levels": 2, "embedding_dim": 16}
        model = PatchClassifier(NUM_LABELS, **size)
    else:
        model = model_class()
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, loss=losses.get(name, **OPTIONS[name]))
    return model


class StopAfter(keras.callbacks.Callback):
    """A run that is cut off after an epoch, of as many as it was meant to have."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == self.epoch


def fit(model, first_epoch=0, stop_after=None):
    images, y_true = data()
    return model.fit(
        images,
        y_true,
        # Of patches all of one size, as JAX takes a minute for each.
        batch_size=4 if isinstance(model, Colours) else 5,
        initial_epoch=first_epoch,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[StopAfter(stop_after)],
    )


def state_of(model):
    variables = [*model.variables, *model.optimizer.variables]
    assert all(any(v is other for other in variables) for v in model.loss.state.variables)
    return [variable.numpy() for variable in variables]


def assert_equal(states, others):
    for state, other in zip(states, others, strict=True):
        np.testing.assert_array_equal(state, other)


def goes_on_after_a_file(model_class, name, path):
    whole = make(model_class, name)
    start = [variable.numpy() for variable in whole.loss.state.variables]
    history = fit(whole).history["loss"]
    assert np.isfinite(history).all()

    model = make(model_class, name)
    fit(model, stop_after=2)
    model.save(path)
    loaded = keras.models.load_model(path)
    assert_equal(state_of(loaded), state_of(model))
    moved = [variable.numpy() for variable in loaded.loss.state.variables]
    assert any(np.any(a != b) for a, b in zip(start, moved, strict=True))
    later = fit(loaded, first_epoch=3).history["loss"]
    assert later == history[3:]
    assert_equal(state_of(loaded), state_of(whole))


@pytest.mark.parametrize("name", OPTIONS)
def test_resumed_run_ends_with_the_same_bits(name, tmp_path):
    goes_on_after_a_file(Colours, name, tmp_path / "model.keras")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["en+scl", "em+apl"])
def test_resumed_run_of_patches_ends_with_the_same_bits(name, tmp_path):
    goes_on_after_a_file(PatchClassifier, name, tmp_path / "model.keras")


@pytest.mark.parametrize("name", KINDS)
def test_evaluation_leaves_the_state(name):
    model = make(Colours, name)
    fit(model, stop_after=1)
    before = state_of(model)
    images, y_true = data()
    results = [model.evaluate(images, y_true, batch_size=4, verbose=0) for _ in range(2)]
    assert results[0] == results[1]
    assert_equal(state_of(model), before)
    fit(model, first_epoch=2, stop_after=2)  # and does not stop training from moving it

    uninterrupted = make(Colours, name)
    fit(uninterrupted, stop_after=1)
    fit(uninterrupted, first_epoch=2, stop_after=2)
    assert_equal(state_of(model), state_of(uninterrupted))


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "role"])
def test_compiled_steps_are_those_by_hand(name, train):
    """With a rate of 0 the model stays, so that every batch of an epoch is known."""
    model = make(Colours, name)
    model.optimizer.learning_rate = 0.0
    by_hand = losses.get(name, **OPTIONS[name])
    images, y_true = data()
    outputs = {key: np.asarray(value) for key, value in model(images).items()}
    batches = [
        tuple({key: part[start : start + 4] for key, part in each.items()} for each in pair)
        for pair in [(y_true, outputs)]
        for start in (0, 4, 8)
    ]
    weights = np.array([4, 4, 2]) / 10
    history = fit(model).history["loss"]
    for epoch in range(EPOCHS):
        values = train(by_hand, epoch, EPOCHS, batches)
        assert history[epoch] == pytest.approx(np.dot(weights, values), rel=1e-4)
    for variable, expected in zip(model.loss.state.variables, by_hand.state.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_residual_network_brings_its_maps():
    keras.utils.set_random_seed(1)
    model = ResNet50Classifier(NUM_LABELS, image_size=64)
    model.compile(keras.optimizers.SGD(1e-3), loss=losses.get("en+scl", **OPTIONS["en+scl"]))
    images, y_true = data()
    start = model.loss.state.maps.numpy()
    outputs = model(images)
    assert outputs["score_maps"].shape == (NUM_IMAGES, NUM_LABELS, 2, 2)
    expected = model.loss(y_true, {key: np.asarray(value) for key, value in outputs.items()})
    value = model.evaluate(images, y_true, batch_size=NUM_IMAGES, verbose=0)
    assert value == pytest.approx(float(expected), rel=1e-4)
    loss = model.train_on_batch(images, y_true)
    assert np.isfinite(loss) and np.any(model.loss.state.maps.numpy() != start)
