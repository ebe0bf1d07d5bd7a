"""What all losses have in common."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_patchpu import losses

BATCH, NUM_LABELS = 4, 3
SIZES = {"num_examples": 7, "num_labels": NUM_LABELS}
OPTIONS = {
    "bce": {},
    "wn": {"theta": 0.3, "stop_gradient": False},
    "an": {},
    "wan": {},
    "an_ls": {"label_smoothing": 0.2},
    "epr": {"expected_positives": 1.38},
    "role": {**SIZES, "expected_positives": 1.38, "seed": 5},
    "en": {**SIZES, "expected_positives": 1.38, "mu": 0.7},
    "ep": {**SIZES, "expected_positives": 1.38, "mu": 0.7},
    "en+cl": {**SIZES, "expected_positives": 1.38, "mu": 0.7, "gamma": 2.0},
    "en+scl": {
        **SIZES,
        "expected_positives": 1.38,
        "mu": 0.7,
        "gamma": 2.0,
        "map_size": 5,
        "grid": (2, 1),
    },
    "ll_r": {"delta_rel": 0.3},
    "ll_ct": {"delta_rel": 0.3},
    "ll_cp": {**SIZES, "delta_rel": 0.3},
    "em": {"alpha": 0.3},
    "em+apl": {**SIZES, "alpha": 0.3, "beta": 0.5, "warmup_epochs": 3},
    "gr": {
        "w": (0.0, 10.0),
        "b": (-2.0, -8.0),
        "mu": (0.4, 0.7),
        "sigma": (1.0, 0.5),
        "q2": 0.1,
        "q3": 1.5,
    },
    "focal": {"gamma": 1.5, "alpha": 0.4},
    "asl": {"gamma_negative": 2.0, "gamma_positive": 1.0, "clip": 0.1},
}
SUPERVISED = ("bce", "focal", "asl")
# What remembers images: `role` by the optimizer, the others by themselves.
INDEXED = [name for name, options in OPTIONS.items() if "num_examples" in options]
PUBLISHED = {
    "wn": {"theta": 0.0, "stop_gradient": True},
    "an_ls": {"label_smoothing": 0.1},
    "ll_r": {"delta_rel": 0.2},
    "ll_ct": {"delta_rel": 0.2},
    "ll_cp": {"delta_rel": 0.1},
    "em": {"alpha": 0.2},
    "em+apl": {"alpha": 0.2, "beta": 0.02, "warmup_epochs": 5},
    "gr": {"w": (0, 2), "b": (-2, -2), "mu": (0.5, 0.8), "sigma": (2, 0.5), "q2": 0.01, "q3": 1},
    "focal": {"gamma": 2.0, "alpha": 0.25},
    "asl": {"gamma_negative": 4.0, "gamma_positive": 0.0, "clip": 0.05},
}


@pytest.fixture
def y_true():
    rng = np.random.default_rng(0)
    return {
        "labels": rng.integers(0, 2, (BATCH, NUM_LABELS)).astype("float32"),
        "observed": np.eye(NUM_LABELS, dtype="float32")[rng.integers(0, NUM_LABELS, BATCH)],
        "index": np.array([6, 0, 3, 1]),
    }


@pytest.fixture
def y_pred():
    rng = np.random.default_rng(1)
    return {
        "logits": rng.normal(size=(BATCH, NUM_LABELS)).astype("float32"),
        "image_embeddings": rng.normal(size=(BATCH, NUM_LABELS, 5)).astype("float32"),
        "attention": np.full((BATCH, NUM_LABELS, 2), 0.5, "float32"),
    }


def test_table_is_complete():
    assert set(losses.LOSSES) == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_get(name):
    loss = losses.get(name, **OPTIONS[name])
    assert type(loss) is losses.LOSSES[name] and isinstance(loss, losses.MultiLabelLoss)
    assert loss.name == name.replace("+", "_")  # TensorFlow takes no plus in a name
    config = loss.get_config()
    assert {key: config[key] for key in OPTIONS[name]} == OPTIONS[name]
    assert loss.supervised is (name in SUPERVISED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_defaults(name):
    config = losses.get(name, **(SIZES if name in INDEXED else {})).get_config()
    assert {key: config[key] for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize("name", ["", "WN", "hill", None])
def test_unknown_name(name):
    with pytest.raises(ValueError, match="Expected one of bce, wn, an, wan, .*asl. Received"):
        losses.get(name)


def test_unknown_option():
    with pytest.raises(TypeError, match="gamma"):
        losses.get("wn", gamma=1)
    with pytest.raises(TypeError, match="expected_positives"):
        losses.get("epr")


@pytest.mark.parametrize("name", OPTIONS)
def test_one_value_an_image_and_their_mean(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    y_true, y_pred = (
        {key: ops.array(value, "float32") for key, value in each.items()}
        for each in (y_true, y_pred)
    )
    per_image = np.asarray(loss.call(y_true, y_pred))
    assert per_image.shape == (BATCH,)
    np.testing.assert_allclose(loss(y_true, y_pred), np.mean(per_image), rtol=1e-5)
    weights = np.array([0, 1, 2, 0.5], "float32")
    np.testing.assert_allclose(
        loss(y_true, y_pred, weights), np.mean(weights * per_image), rtol=1e-5
    )


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in INDEXED])
def test_labels_come_as_a_tensor_or_in_a_dict(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    labels = y_true["labels" if loss.supervised else "observed"]
    np.testing.assert_array_equal(loss(labels, y_pred), loss(y_true, y_pred))


@pytest.mark.parametrize("name", OPTIONS)
def test_serialization_round_trip(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    config = keras.saving.serialize_keras_object(loss)
    clone = keras.saving.deserialize_keras_object(config)
    assert type(clone) is type(loss) and clone.get_config() == loss.get_config()
    np.testing.assert_array_equal(clone(y_true, y_pred), loss(y_true, y_pred))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_loss_and_gradient_are_finite_at_large_logits(
    name, size, y_true, y_pred, value_and_gradients
):
    loss = losses.get(name, **OPTIONS[name])
    signs = np.array([[1, -1, 1], [-1, 1, 1], [-1, -1, -1], [1, 1, 1]], "float32")

    def trained(logits, embeddings):
        loss.training = True
        return loss(y_true, {**y_pred, "logits": logits, "image_embeddings": embeddings})

    value, gradients = value_and_gradients(trained, [size * signs, y_pred["image_embeddings"]])
    assert np.isfinite(value)
    assert np.any(gradients[0])
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    if loss.state is not None:
        assert all(np.isfinite(variable.numpy()).all() for variable in loss.state.variables)


@pytest.mark.parametrize("name", OPTIONS)
def test_float32_whatever_the_outputs_are(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    exact = loss(y_true, y_pred)
    rounded = loss(y_true, {key: ops.cast(value, "bfloat16") for key, value in y_pred.items()})
    assert keras.backend.standardize_dtype(rounded.dtype) == "float32"
    np.testing.assert_allclose(rounded, exact, rtol=0.05)


@pytest.mark.parametrize("name", [name for name in INDEXED if name != "role"])
def test_only_a_training_step_moves_the_state(name, y_true, y_pred):
    observed = np.eye(NUM_LABELS, dtype="float32")[np.arange(7) % NUM_LABELS]
    takes_observed = "expected_positives" in OPTIONS[name]
    loss = losses.get(name, **OPTIONS[name], **({"observed": observed} if takes_observed else {}))
    loss.begin_epoch(1, 4)
    if name == "ll_cp":
        loss.state.fraction.assign(0.5)  # delta_rel of so small a batch is one entry

    def state():
        return [variable.numpy() for variable in loss.state.variables]

    start = state()
    loss(y_true, y_pred)
    for variable, before in zip(state(), start, strict=True):
        np.testing.assert_array_equal(variable, before)

    loss.training = True
    value = loss(y_true, y_pred)
    rows = np.sort(y_true["index"])
    moved = state()
    changed = [i for i in range(len(start)) if np.any(moved[i] != start[i])]
    assert changed
    for i in changed:
        different = np.any(moved[i] != start[i], axis=tuple(range(1, start[i].ndim)))
        assert set(np.flatnonzero(different)) <= set(rows)
    assert np.isfinite(value)

    loss(y_true, y_pred)  # the attribute was for one call
    for variable, before in zip(state(), moved, strict=True):
        np.testing.assert_array_equal(variable, before)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_failed_training_step_does_not_leave_the_next_call_training(name, y_true):
    loss = losses.get(name, **OPTIONS[name])
    loss.training = True
    with pytest.raises(KeyError):
        loss(y_true, {})
    assert loss.training is False


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "role"])
def test_stateless_scope(name, y_true, y_pred):
    """As JAX calls a loss: variables are values that go in and come out."""
    takes_observed = name in INDEXED and "expected_positives" in OPTIONS[name]
    observed = np.eye(NUM_LABELS, dtype="float32")[np.arange(7) % NUM_LABELS]
    options = {"observed": observed} if takes_observed else {}
    loss, other = (losses.get(name, **OPTIONS[name], **options) for _ in range(2))
    for each in (loss, other):
        each.begin_epoch(1, 4)
        each.training = True
    variables = [] if loss.state is None else loss.state.variables
    start = [variable.numpy() for variable in variables]
    with keras.StatelessScope(zip(variables, map(ops.array, start), strict=True)) as scope:
        value = loss(y_true, y_pred)
    for variable, before in zip(variables, start, strict=True):
        np.testing.assert_array_equal(variable.numpy(), before)
    np.testing.assert_allclose(value, other(y_true, y_pred), rtol=1e-6)
    moved = [] if other.state is None else other.state.variables
    for variable, expected in zip(variables, moved, strict=True):
        np.testing.assert_allclose(scope.get_current_value(variable), expected.numpy(), rtol=1e-6)


@pytest.mark.tensorflow_only("strategies of tf.distribute")
@pytest.mark.parametrize("name", ["en", "en+scl", "ll_cp", "em+apl"])
def test_memory_of_a_strategy_with_one_device(name, y_true, y_pred):
    import tensorflow as tf

    plain = losses.get(name, **OPTIONS[name])
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        loss = losses.get(name, **OPTIONS[name])
        for each in (plain, loss):
            each.training = True
        np.testing.assert_allclose(loss(y_true, y_pred), plain(y_true, y_pred), rtol=1e-6)
    for variable, expected in zip(loss.state.variables, plain.state.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected.numpy(), rtol=1e-6)
