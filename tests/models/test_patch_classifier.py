"""What the model computes; `test_patch_classifier_training.py` trains it."""

import math

import keras
import numpy as np
import pytest

from keras_patchpu import PatchClassifier, losses

TINY = {"image_size": 64, "patch_size": 32, "num_levels": 2, "embedding_dim": 16}


def randomize(model, seed=0):
    """Weights away from their start values, so that no bias is 0."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [weight + rng.uniform(-0.05, 0.05, weight.shape) for weight in model.get_weights()]
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("uint8")


@pytest.fixture(scope="module")
def model():
    model = PatchClassifier(num_labels=3, **TINY)
    randomize(model)
    return model


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def patch_embeddings_of(model, images):
    embed = keras.Model(model.input, model.get_layer("embed_patches").output)
    return np.asarray(embed(images))


@pytest.mark.parametrize("num_labels, expected", [(20, 218_050), (80, 248_770)])
def test_number_of_parameters(num_labels, expected):
    model = PatchClassifier(num_labels)
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert trainable == expected
    statistics = sum(math.prod(variable.shape) for variable in model.non_trainable_variables)
    assert statistics == 68_642 - 65_730 + 2  # and the state of the random draw of patches
    outputs = model.output
    assert outputs["logits"].shape == (None, num_labels)
    assert outputs["image_embeddings"].shape == (None, num_labels, 256)
    assert outputs["attention"].shape == (None, num_labels, 130)


def test_outputs(model, images):
    outputs = model(images)
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {"logits": (2, 3), "image_embeddings": (2, 3, 16), "attention": (2, 3, 5)}
    assert {dtype_of(value) for value in outputs.values()} == {"float32"}
    np.testing.assert_allclose(np.asarray(outputs["attention"]).sum(axis=-1), 1, rtol=1e-5)


def test_integers_and_floats_are_the_same_image(model, images):
    outputs, others = model(images), model(images.astype("float32"))
    for name in outputs:
        np.testing.assert_array_equal(outputs[name], others[name])


def equations_1_to_3(weights, patch_embeddings):
    """The paper's sections 3.1.4 and 3.1.5 in float64: y_hat, image embeddings, attention."""
    weights = {name: weight.astype("float64") for name, weight in weights.items()}
    erf = np.vectorize(math.erf)
    y_hat, image_embeddings, attention = [], [], []
    for patches in patch_embeddings.astype("float64"):
        exponentials = np.exp(weights["codebook"] @ patches.T)
        alpha = exponentials / exponentials.sum(axis=1, keepdims=True)  # eq. 1
        pooled = alpha @ patches
        hidden = pooled @ weights["mlp_hidden/kernel"] + weights["mlp_hidden/bias"]
        hidden = hidden * (1 + erf(hidden / math.sqrt(2))) / 2
        mlp = hidden @ weights["mlp_output/kernel"] + weights["mlp_output/bias"]
        embeddings = mlp + pooled  # eq. 2
        exponentials = np.exp(embeddings @ weights["label_weights"].T)
        y_hat.append(np.diagonal(exponentials) / exponentials.sum(axis=1))  # eq. 3
        image_embeddings.append(embeddings)
        attention.append(alpha)
    return np.array(y_hat), np.array(image_embeddings), np.array(attention)


def test_equals_the_equations_of_the_paper(model, images):
    weights = {}
    for layer_name in ("codebook_attention", "label_classifier"):
        for weight in model.get_layer(layer_name).weights:
            weights[weight.path.removeprefix(f"{layer_name}/")] = weight.numpy()
    assert len(weights) == 6

    patch_embeddings = patch_embeddings_of(model, images)
    y_hat, image_embeddings, attention = equations_1_to_3(weights, patch_embeddings)
    outputs = model(images)
    np.testing.assert_allclose(outputs["attention"], attention, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(outputs["image_embeddings"], image_embeddings, rtol=1e-4, atol=1e-4)
    probabilities = 1 / (1 + np.exp(-np.asarray(outputs["logits"], "float64")))
    np.testing.assert_allclose(probabilities, y_hat, rtol=1e-3)


def test_patches_are_those_of_the_pyramid_one_by_one(model, images):
    patch_embeddings = patch_embeddings_of(model, images)
    top_right = images[1:, :32, 32:].astype("float32")
    halved = images[1:].astype("float32").reshape(1, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    for patch, position in ((top_right, 1), (halved, 4)):
        alone = model.patch_embedder(patch)[0]
        np.testing.assert_allclose(patch_embeddings[1, position], alone, rtol=1e-3, atol=1e-4)


def test_order_of_the_patches_does_not_matter(model, images):
    patch_embeddings = patch_embeddings_of(model, images)
    order = np.random.default_rng(1).permutation(5)
    image_embeddings, attention = model.codebook_attention(patch_embeddings[:, order])
    logits = model.label_classifier(image_embeddings)
    outputs = model(images)
    np.testing.assert_allclose(logits, outputs["logits"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(attention, np.asarray(outputs["attention"])[:, :, order], rtol=1e-4)


def test_images_do_not_mix_at_inference(model, images):
    together, alone = model(images), model(images[1:])
    for name in together:
        np.testing.assert_allclose(together[name][1:], alone[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["bce", "wn", "an", "epr"])
def test_gradient_reaches_every_variable(name, images, value_and_gradients):
    model = PatchClassifier(num_labels=3, **TINY)
    loss = losses.get(name, **({"expected_positives": 1.4} if name == "epr" else {}))
    observed = np.eye(3, dtype="float32")[:2]
    variables = model.trainable_variables
    assert len(variables) == len(model.patch_embedder.trainable_variables) + 6
    _, gradients = value_and_gradients(
        lambda: loss(observed, model(images, training=True)), [], variables
    )
    for variable, gradient in zip(variables, gradients, strict=True):
        assert np.isfinite(gradient).all() and np.any(gradient), variable.path


def test_random_subset_of_patches_while_training(images):
    model = PatchClassifier(num_labels=3, patches_per_level=[3, 1], **TINY)
    assert model.output["attention"].shape == (None, 3, None)
    assert model(images, training=True)["attention"].shape == (2, 3, 4)
    assert model(images)["attention"].shape == (2, 3, 5)


def test_mixed_precision_gives_float32_logits_and_attention(images):
    model = PatchClassifier(num_labels=3, dtype="mixed_bfloat16", **TINY)
    outputs = model(images)
    assert dtype_of(outputs["logits"]) == dtype_of(outputs["attention"]) == "float32"
    assert dtype_of(outputs["image_embeddings"]) == "bfloat16"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}

    exact = PatchClassifier(num_labels=3, **TINY)
    exact.set_weights(model.get_weights())
    np.testing.assert_allclose(
        outputs["attention"], exact(images)["attention"], rtol=0.05, atol=0.01
    )


def test_global_policy(images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = PatchClassifier(num_labels=3, **TINY)
    finally:
        keras.config.set_dtype_policy("float32")
    outputs = model(images)
    assert dtype_of(outputs["image_embeddings"]) == "bfloat16"
    assert dtype_of(outputs["logits"]) == "float32"
    assert PatchClassifier.from_config(model.get_config()).get_config() == model.get_config()


def test_one_label_is_an_error():
    with pytest.raises(ValueError, match="softmax over all labels"):
        PatchClassifier(num_labels=1)


def test_level_without_a_patch_is_an_error():
    with pytest.raises(ValueError, match="smaller than one patch"):
        PatchClassifier(num_labels=3, image_size=64, patch_size=32, num_levels=3)
