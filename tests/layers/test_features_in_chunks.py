"""Rematerialised features are the plain ones, and take less memory."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from peak_memory import run_apart

from keras_patchpu import PatchClassifier, losses
from keras_patchpu.layers import PatchEmbedder, features_in_chunks

SIZE = 32


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch):
    # Two or three patches at a time, where there are most numbers in one.
    monkeypatch.setattr(features_in_chunks, "CHUNK", 2 * 16 * 16 * 96)


def pair(dtype=None):
    """A plain embedder and one that rematerialises, with the same weights."""
    rng = np.random.default_rng(0)
    embedders = [PatchEmbedder(4, rematerialise, dtype=dtype) for rematerialise in (False, True)]
    for embedder in embedders:
        embedder.build((None, SIZE, SIZE, 3))
    plain, ours = embedders
    for variable, other in zip(plain.weights, ours.weights, strict=True):
        if len(variable.shape) == 1:  # of a normalization or a bias: not at its start
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        other.assign(variable)
    return plain, ours


def patches(number, dtype="float32"):
    rng = np.random.default_rng(number)
    coarse = rng.uniform(0, 255, (number, 8, 8, 3))
    return np.kron(coarse, np.ones((1, 4, 4, 1))).astype(dtype)


@pytest.mark.parametrize("number", [5, 8])
def test_values_gradients_and_statistics_are_the_same(value_and_gradients, number):
    plain, ours = pair()
    cotangent = np.random.default_rng(1).normal(size=(number, 4, 4, 40)).astype("float32")
    expected, expected_gradients = value_and_gradients(
        lambda x: ops.multiply(cotangent, plain.features(x, training=True)),
        [patches(number)],
        plain.trainable_variables,
    )
    value, gradients = value_and_gradients(
        lambda x: ops.multiply(cotangent, ours.features(x, training=True)),
        [patches(number)],
        ours.trainable_variables,
    )
    np.testing.assert_allclose(value, expected, atol=1e-3 * np.abs(expected).max())
    assert len(gradients) == 1 + len(plain.trainable_variables)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        # Some are zero but for rounding: a normalization takes away what was added before it.
        atol = 2e-3 * np.abs(expected_gradient).max() + 1e-4
        np.testing.assert_allclose(gradient, expected_gradient, atol=atol)
    # Moved once, though all is computed twice.
    for variable, moved in zip(
        plain.non_trainable_variables, ours.non_trainable_variables, strict=True
    ):
        np.testing.assert_allclose(moved, variable, rtol=1e-3, atol=1e-5, err_msg=variable.path)


def test_inference_and_frozen_layers_are_the_plain_ones():
    plain, ours = pair()
    before = ours.get_weights()
    np.testing.assert_array_equal(ours(patches(3)), plain(patches(3)))
    for embedder in (plain, ours):
        embedder.blocks[1].trainable = False
    np.testing.assert_array_equal(ours(patches(3), training=True), plain(patches(3), training=True))
    frozen = [weight.path for weight in ours.blocks[1].weights]
    for variable, start in zip(ours.weights, before, strict=True):
        if variable.path in frozen:
            np.testing.assert_array_equal(variable, start)


def test_bfloat16_is_as_far_from_float32_as_the_plain_one():
    expected = np.asarray(pair()[0].features(patches(5), training=True))
    plain, ours = (
        np.asarray(keras.ops.cast(embedder.features(patches(5), training=True), "float32"))
        for embedder in pair("mixed_bfloat16")
    )
    assert np.abs(ours - expected).mean() < 1.5 * np.abs(plain - expected).mean()


def test_a_model_trains_alike():
    observed = {"observed": np.eye(3, dtype="float32")[[0, 2, 1, 0]]}
    results = []
    for rematerialise in (False, True):
        keras.utils.set_random_seed(1)
        model = PatchClassifier(3, SIZE, 16, 2, rematerialise=rematerialise)
        model.compile(keras.optimizers.SGD(1e-3), losses.get("wn"))
        history = model.fit(patches(4), observed, batch_size=4, epochs=3, shuffle=False, verbose=0)
        results.append(history.history["loss"])
    assert results[0][0] > results[0][-1]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-4)


def test_a_model_remembers_it():
    model = PatchClassifier(3, SIZE, 16, 2, rematerialise=True)
    assert PatchClassifier.from_config(model.get_config()).patch_embedder.rematerialise
    assert not PatchClassifier(3, SIZE, 16, 2).patch_embedder.rematerialise


MEMORY = """
import json, sys
import numpy as np
from keras_patchpu import PatchClassifier, losses
from peak_memory import peak_memory
model = PatchClassifier(3, 320, 64, 3, rematerialise=sys.argv[1] == "True")
model.compile("sgd", losses.get("wn"))
images, observed = np.zeros((16, 320, 320, 3), "float32"), np.eye(3, dtype="float32")[[0] * 16]
peaks = []
for batch in (1, 16):
    model.train_on_batch(images[:batch], {"observed": observed[:batch]})
    peaks.append(peak_memory())
print(json.dumps(peaks))
"""


@pytest.mark.long
@pytest.mark.tensorflow_only("the memory of one backend's allocator")
def test_memory_that_a_batch_takes():
    taken = {}
    for rematerialise in (False, True):
        one, all_of_them = json.loads(run_apart(MEMORY, rematerialise).stdout)
        taken[rematerialise] = all_of_them - one
    assert taken[True] < 0.55 * taken[False]
