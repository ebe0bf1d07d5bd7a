"""The model that ablations take apart: the paper's by default, and what each change leaves."""

import keras
import numpy as np
import pytest

import keras_patchpu

LAYOUT = {"num_labels": 3, "image_size": 64, "patch_size": 32, "num_levels": 2}


@pytest.fixture(scope="module")
def make(import_benchmark):
    """`make(num_blocks=1)`: a model of `LAYOUT` with F = 8."""
    module = import_benchmark("ablated_classifier")

    def make_model(**parts):
        keras.utils.set_random_seed(0)
        return module.AblatedClassifier(**LAYOUT, embedding_dim=8, **parts)

    return make_model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")


def inside(model, *names):
    """The outputs of some layers, as a function of the images."""
    tensors = [keras.tree.flatten(model.get_layer(name).output)[0] for name in names]
    return keras.Model(model.input, tensors)


def test_nothing_changed_is_the_model_of_the_paper(make, images):
    model = make()
    keras.utils.set_random_seed(0)
    paper = keras_patchpu.PatchClassifier(**LAYOUT, embedding_dim=8)
    assert model.count_params() == paper.count_params()
    paths = [[v.path for v in either.trainable_variables] for either in (model, paper)]
    assert paths[0] == paths[1]
    outputs, expected = model(images), paper(images)  # from the same seed
    for name in ("logits", "image_embeddings", "attention"):
        np.testing.assert_array_equal(outputs[name], expected[name])
    assert model.attention_grids == paper.attention_grids
    np.testing.assert_array_equal(model.attention_boxes, paper.attention_boxes)


def test_the_parameters_of_the_paper(import_benchmark):
    module = import_benchmark("ablated_classifier")
    model = module.AblatedClassifier(20, image_size=64, patch_size=64, num_levels=1)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 218_050


@pytest.mark.parametrize(("num_blocks", "channels"), [(1, 16), (3, 24), (5, 40)])
def test_the_first_blocks(make, images, num_blocks, channels):
    model, whole = make(num_blocks=num_blocks), make()
    embedder = model.get_layer("embed_patches").layer
    assert [block.name for block in embedder.blocks] == [
        *("block1a", "block2a", "block2b", "block3a", "block3b")[:num_blocks]
    ]
    assert embedder.dense.kernel.shape == (channels, 8)
    # The blocks that stay start with the same weights.
    features = embedder.features(images[:, :32, :32])
    reference = whole.get_layer("embed_patches").layer
    x = keras.ops.swish(reference.stem_norm(reference.stem_conv(images[:, :32, :32] / 255)))
    for block in reference.blocks[:num_blocks]:
        x = block(x)
    np.testing.assert_allclose(features, x, atol=1e-5)


def test_without_the_mlp_embeddings_are_what_attention_has_pooled(make, images):
    model = make(mlp=False)
    assert make().count_params() - model.count_params() == 2 * (8 * 8 + 8)
    patch_embeddings, pooled = inside(model, "embed_patches", "codebook_attention")(images)
    patch_embeddings = np.asarray(patch_embeddings, "float64")
    codebook = model.get_layer("codebook_attention").codebook.numpy().astype("float64")
    scores = np.exp(np.einsum("lf,bmf->blm", codebook, patch_embeddings))
    attention = scores / scores.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(model(images)["attention"], attention, atol=1e-5)
    expected = np.einsum("blm,bmf->blf", attention, patch_embeddings)
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


def test_sigmoids_score_each_label_for_itself(make, images):
    model = make(classifier="sigmoids")
    assert model.count_params() - make().count_params() == 3
    classifier = model.get_layer("label_classifier")
    classifier.bias.assign([0.5, -1.0, 2.0])
    outputs = model(images)
    embeddings, weights = outputs["image_embeddings"].numpy(), classifier.label_weights.numpy()
    for label in range(3):
        expected = embeddings[:, label] @ weights[label] + (0.5, -1.0, 2.0)[label]
        np.testing.assert_allclose(outputs["logits"][:, label], expected, atol=1e-5)


def test_a_compiled_model_comes_back_from_its_file(make, images, tmp_path):
    model = make(num_blocks=1, mlp=False, classifier="sigmoids")
    model.compile("adam", loss=keras_patchpu.losses.get("wn", theta=0.25, stop_gradient=False))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is type(model) and again.get_config() == model.get_config()
    assert again.loss.theta == 0.25 and not again.loss.stop_gradient
    np.testing.assert_array_equal(again(images)["logits"], model(images)["logits"])
