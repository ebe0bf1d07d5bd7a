"""What Query2Label computes, against NumPy and PyTorch."""

import keras
import numpy as np
import pytest

from keras_patchpu import losses
from keras_patchpu.models import Query2Label

LABELS, SIZE, DIM, HEADS, HIDDEN = 4, 96, 8, 2, 12
TINY = {"hidden_dim": DIM, "num_heads": HEADS, "feedforward_dim": HIDDEN}


def randomized(**arguments):
    """A model whose biases and normalizations are not at their start."""
    model = Query2Label(LABELS, SIZE, **TINY, **arguments)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
    for weight in model.weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(np.abs(weight.numpy()) + 100.0)
    return model


@pytest.fixture(scope="module")
def model(build_tiny):
    return build_tiny(randomized)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("uint8")


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


# === The same in NumPy, float64 ===


def positions():
    """The angles of `test_label_query_layers.py`, as two outer products."""
    angles = 2 * np.pi * np.arange(1, 4) / 3
    waves = np.stack([angles, angles / 100], axis=1)  # 10000^(0 / 4), 10000^(2 / 4)
    encoded = np.stack([np.sin(waves), np.cos(waves)], axis=2).reshape(3, 4)
    grid = [
        np.concatenate([encoded[row], encoded[column]]) for row in range(3) for column in range(3)
    ]
    return np.array(grid)


def attend(weights, name, queries, keys, values):
    def project(inputs, part):
        kernel, bias = (weights[f"{name}/{part}/{kind}"] for kind in ("kernel", "bias"))
        return np.einsum("bnd,dhk->bhnk", inputs, kernel) + bias[:, None]

    q, k, v = project(queries, "query"), project(keys, "key"), project(values, "value")
    exponentials = np.exp(q @ k.swapaxes(2, 3) / np.sqrt(DIM // HEADS))
    heads = exponentials / exponentials.sum(axis=-1, keepdims=True)
    kernel = weights[f"{name}/attention_output/kernel"]
    output = np.einsum("bhnk,hkd->bnd", heads @ v, kernel)
    return output + weights[f"{name}/attention_output/bias"], heads


def normalize(weights, name, x):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
    return x * weights[f"{name}_norm/gamma"] + weights[f"{name}_norm/beta"]


def feed_forward(weights, name, x):
    hidden = x @ weights[f"{name}_hidden/kernel"] + weights[f"{name}_hidden/bias"]
    output = np.maximum(hidden, 0) @ weights[f"{name}_output/kernel"]
    return normalize(weights, name, x + output + weights[f"{name}_output/bias"])


def reference(weights, features):
    """Equations of section 3 of the paper: logits, embeddings, attention."""
    places = features.reshape(len(features), 9, -1)
    places = places @ weights["projection/kernel"][0, 0] + weights["projection/bias"]
    positioned = places + positions()
    update, _ = attend(weights, "encoder1_attention", positioned, positioned, places)
    places = normalize(weights, "encoder1_attention", places + update)
    places = feed_forward(weights, "encoder1_feed_forward", places)
    states = np.zeros((len(features), LABELS, DIM))
    for name in ("decoder1", "decoder2"):
        queries = states + weights["label_queries/queries"]
        keys = places + positions()
        update, heads = attend(weights, f"{name}_attention", queries, keys, places)
        states = normalize(weights, f"{name}_attention", states + update)
        states = feed_forward(weights, f"{name}_feed_forward", states)
    states = normalize(weights, "decoder", states)
    logits = (states * weights["classifier/label_weights"]).sum(-1) + weights["classifier/bias"]
    return logits, states, heads.mean(axis=1)


def test_equals_numpy(model, images):
    features = np.asarray(model.body(images), "float64")
    logits, embeddings, attention = reference(weights_of(model), features)
    outputs = model(images)
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(outputs["image_embeddings"], embeddings, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(outputs["attention"], attention, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.asarray(outputs["attention"]).sum(axis=-1), 1, rtol=1e-5)
    assert np.ptp(attention, axis=-1).min() > 0.01


def test_cross_attention_equals_pytorch(model):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    queries, places = rng.normal(size=(2, LABELS, DIM)), rng.normal(size=(2, 9, DIM))
    keys = places + positions()
    weights, name = weights_of(model), "decoder2_attention"
    module = torch.nn.MultiheadAttention(DIM, HEADS, batch_first=True, dtype=torch.float64)
    parts = ("query", "key", "value")
    kernels = [weights[f"{name}/{part}/kernel"].reshape(DIM, DIM).T for part in parts]
    biases = [weights[f"{name}/{part}/bias"].reshape(DIM) for part in parts]
    output = weights[f"{name}/attention_output/kernel"].reshape(DIM, DIM).T
    state = {
        "in_proj_weight": np.concatenate(kernels),
        "in_proj_bias": np.concatenate(biases),
        "out_proj.weight": output,
        "out_proj.bias": weights[f"{name}/attention_output/bias"],
    }
    module.load_state_dict({key: torch.tensor(value.copy()) for key, value in state.items()})
    expected, attention = module(*map(torch.tensor, (queries, keys, places)))
    layer = model.get_layer(name)
    ours, heads = layer(queries, places, keys, return_attention_scores=True)
    np.testing.assert_allclose(ours, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        np.asarray(heads).mean(axis=1), attention.detach().numpy(), rtol=1e-4, atol=1e-6
    )


# === Labels among each other ===


def test_permuted_queries_and_classifiers_permute_the_outputs(tiny_bodies, model, images):
    before = {name: np.asarray(value) for name, value in model(images).items()}
    order = np.array([2, 0, 3, 1])
    permuted = ("label_queries/queries", "classifier/label_weights", "classifier/bias")
    values = [w[order] if v.path in permuted else w for v, w in pairs(model)]
    other = Query2Label.from_config(model.get_config())
    other.set_weights(values)
    for name, value in other(images).items():
        np.testing.assert_allclose(value, before[name][:, order], rtol=1e-4, atol=1e-5)


def test_labels_do_not_see_each_other(tiny_bodies, model, images):
    before = {name: np.asarray(value) for name, value in model(images).items()}
    other = Query2Label.from_config(model.get_config())
    other.set_weights(model.get_weights())
    queries = other.get_layer("label_queries").queries
    queries.assign(queries + np.eye(LABELS, dtype="float32")[:, :1])  # that of label 0
    for name, value in other(images).items():
        np.testing.assert_array_equal(value[:, 1:], before[name][:, 1:])
        assert np.abs(value[:, 0] - before[name][:, 0]).min() > 0


def pairs(model):
    return zip(model.weights, model.get_weights(), strict=True)


# === Sizes ===


def parameters(dim, hidden, labels, encoders, decoders, body):
    """By hand: `body` trainable parameters, then the transformer of the authors' description."""
    attention = 4 * (dim * dim + dim)
    feed_forward = dim * hidden + hidden + hidden * dim + dim
    norm = 2 * dim
    layer = attention + feed_forward + 2 * norm  # in both, as decoders have no self-attention
    projection = 0 if dim == 2048 else 2048 * dim + dim
    heads = labels * dim + labels * (dim + 1)  # queries, and a classifier each
    return body + projection + (encoders + decoders) * layer + norm + heads


def trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels, backbone, body, expected",
    [(20, "resnet50", 23_534_592, 174_695_444), (80, "resnet101", 42_552_832, 193_959_504)],
)
def test_number_of_parameters_as_the_authors_have_it(labels, backbone, body, expected):
    assert parameters(2048, 8192, labels, 1, 2, body) == expected
    model = Query2Label(labels, 64, backbone=backbone)
    assert trainable(model) == expected
    assert model.output["image_embeddings"].shape == (None, labels, 2048)
    assert "projection" not in {layer.name for layer in model.layers}


@pytest.mark.slow
def test_number_of_parameters_of_a_smaller_one():
    model = Query2Label(
        20,
        64,
        hidden_dim=256,
        num_heads=8,
        feedforward_dim=512,
        num_encoder_layers=0,
        num_decoder_layers=1,
    )
    assert trainable(model) == parameters(256, 512, 20, 0, 1, 23_534_592)


@pytest.mark.parametrize("encoders, decoders", [(0, 1), (2, 1), (1, 3)])
def test_numbers_of_layers(tiny_bodies, images, encoders, decoders):
    model = Query2Label(
        LABELS, SIZE, num_encoder_layers=encoders, num_decoder_layers=decoders, **TINY
    )
    names = [layer.name for layer in model.layers]
    attentions = [name for name in names if name.endswith("_attention")]
    assert len(attentions) == encoders + decoders
    outputs = model(images)
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {
        "logits": (2, LABELS),
        "image_embeddings": (2, LABELS, DIM),
        "attention": (2, LABELS, 9),
    }
    assert model.attention_grids == [(3, 3)] and len(model.attention_boxes) == 9


def test_start_values_of_the_attention(tiny_bodies):
    model = Query2Label(LABELS, 64, hidden_dim=64, feedforward_dim=8)
    for part in ("query", "key", "value", "attention_output"):
        weights = weights_of(model)[f"decoder1_attention/{part}/kernel"]
        # Uniform, as Glorot has it for the (3d, d) matrix of queries, keys and values.
        assert np.std(weights) == pytest.approx(np.sqrt(2 / (4 * 64)), rel=0.05)
        other = weights_of(model)[f"decoder2_attention/{part}/kernel"]
        assert not np.array_equal(weights, other)


def test_dropout_is_for_training_only(model, images):
    np.testing.assert_array_equal(model(images)["logits"], model(images)["logits"])
    one, other = (model(images, training=True)["logits"] for _ in range(2))
    assert np.abs(np.asarray(one) - np.asarray(other)).max() > 1e-3


@pytest.mark.parametrize(
    "arguments", [{"hidden_dim": 10, "num_heads": 2}, {"hidden_dim": 8, "num_heads": 3}]
)
def test_hidden_dim_that_does_not_divide_is_an_error(arguments):
    with pytest.raises(ValueError, match="multiple of 4 and of `num_heads`"):
        Query2Label(LABELS, **arguments)


def test_no_decoder_layer_is_an_error():
    with pytest.raises(ValueError, match="num_decoder_layers=0"):
        Query2Label(LABELS, num_decoder_layers=0)


def test_weights_of_a_model_without_dropout(tiny_bodies, images, tmp_path):
    without, model = (
        Query2Label(LABELS, SIZE, **TINY, num_decoder_layers=1, dropout=rate) for rate in (0.0, 0.5)
    )
    without.save_weights(tmp_path / "without.weights.h5")
    model.load_weights(tmp_path / "without.weights.h5")
    np.testing.assert_array_equal(model(images)["logits"], without(images)["logits"])


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras forgets seeds there")
def test_resumed_training_is_the_same_with_dropout(tiny_bodies, images, tmp_path):
    model = Query2Label(LABELS, SIZE, **TINY, num_decoder_layers=1, dropout=0.5)
    y_true = {"labels": np.eye(LABELS, dtype="float32")[:2]}
    model.compile(keras.optimizers.SGD(0.01), loss=losses.get("bce"))
    model.fit(images, y_true, batch_size=1, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    clone = keras.models.load_model(tmp_path / "model.keras")
    for either in (model, clone):
        either.fit(images, y_true, batch_size=1, shuffle=False, verbose=0)
    for variable, other in zip(model.variables, clone.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), other.numpy(), err_msg=variable.path)
