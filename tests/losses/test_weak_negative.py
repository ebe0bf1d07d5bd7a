import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu.losses import WeakNegative, weak_negative, weak_negatives


def cosine(u, v):
    return u @ v / (np.linalg.norm(u) * np.linalg.norm(v))


def equations_7_and_8(observed, image_embeddings, theta):
    """The weights z~-, one label at a time, in float64."""
    negatives = np.zeros(observed.shape)
    for image, embeddings in enumerate(image_embeddings.astype("float64")):
        positives = np.flatnonzero(observed[image])
        for label in np.flatnonzero(observed[image] == 0):
            betas = []
            for positive in positives:
                similarity = cosine(embeddings[label], embeddings[positive])
                betas.append(similarity if similarity > theta else 0.0)
            negatives[image, label] = max(betas, default=0.0)
    return negatives


def log_sigmoid(logit):
    return -math.log1p(math.exp(-logit)) if logit > 0 else logit - math.log1p(math.exp(logit))


def equation_9(observed, logits, negatives):
    """L_WN of each image, in float64."""
    observed = observed.astype("float64")
    losses = np.zeros(len(observed))
    for image, label in np.ndindex(observed.shape):
        logit = float(logits[image, label])
        losses[image] -= observed[image, label] * log_sigmoid(logit)
        losses[image] -= negatives[image, label] * log_sigmoid(-logit)
    return losses


def random_case(batch=3, num_labels=5, embedding_dim=4, num_positives=1, seed=0):
    rng = np.random.default_rng(seed)
    observed = np.zeros((batch, num_labels), "float32")
    for row in observed:
        row[rng.choice(num_labels, num_positives, replace=False)] = 1
    logits = rng.normal(0, 3, (batch, num_labels)).astype("float32")
    embeddings = rng.normal(size=(batch, num_labels, embedding_dim)).astype("float32")
    return observed, logits, embeddings


def tensors(*arrays):
    return [ops.array(array, "float32") for array in arrays]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 4), st.sampled_from([0.0, 0.3, -0.2, -1.0, 1.0]), st.integers(0, 99))
def test_weights_are_equations_7_and_8(num_positives, theta, seed):
    observed, _, embeddings = random_case(num_positives=num_positives, seed=seed)
    negatives = weak_negatives(*tensors(observed, embeddings), theta)
    expected = equations_7_and_8(observed, embeddings, theta)
    np.testing.assert_allclose(negatives, expected, rtol=1e-4, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4), st.sampled_from([0.0, 0.3, -0.2]), st.booleans(), st.integers(0, 99))
def test_loss_is_equation_9(num_positives, theta, stop_gradient, seed):
    observed, logits, embeddings = random_case(num_positives=num_positives, seed=seed)
    loss = weak_negative(*tensors(observed, logits, embeddings), theta, stop_gradient)
    assert loss.shape == (3,)
    negatives = equations_7_and_8(observed, embeddings, theta)
    np.testing.assert_allclose(loss, equation_9(observed, logits, negatives), rtol=1e-4, atol=1e-5)


def test_hand_worked():
    # Label 0 is observed; 1 points the same way, 2 is at 60 degrees, 3 orthogonal, 4 opposed.
    embeddings = np.array([[[1, 0], [5, 0], [1, math.sqrt(3)], [0, 2], [-1, 0]]])
    observed = [[1, 0, 0, 0, 0]]

    def weights(theta):
        return weak_negatives(*tensors(observed, embeddings), theta)

    np.testing.assert_allclose(weights(0.0), [[0, 1, 0.5, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(weights(0.6), [[0, 1, 0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(weights(-0.5), [[0, 1, 0.5, 0, 0]], atol=1e-6)

    loss = weak_negative(*tensors(observed, np.zeros((1, 5)), embeddings))
    np.testing.assert_allclose(loss, [(1 + 1 + 0.5) * math.log(2)], rtol=1e-6)


def test_negative_theta_keeps_negative_similarities():
    angle = math.radians(100)
    embeddings = [[[1, 0], [math.cos(angle), math.sin(angle)]]]
    negatives = weak_negatives(*tensors([[1, 0]], embeddings), -0.5)
    np.testing.assert_allclose(negatives, [[0, math.cos(angle)]], rtol=1e-5)


def test_maximum_over_several_observed_labels():
    # At 60 degrees from the one observed label and at 30 from the other.
    degrees = np.radians([0, 90, 60])
    embeddings = np.stack([np.cos(degrees), np.sin(degrees)], axis=-1)[None]
    negatives = weak_negatives(*tensors([[1, 1, 0]], embeddings))
    np.testing.assert_allclose(negatives, [[0, 0, math.cos(math.radians(30))]], rtol=1e-5)


def test_nothing_observed_is_no_loss(value_and_gradients):
    _, logits, embeddings = random_case()
    (observed,) = tensors(np.zeros((3, 5)))
    loss, gradients = value_and_gradients(
        lambda *inputs: weak_negative(observed, *inputs, 0.0, False), [logits, embeddings]
    )
    np.testing.assert_array_equal(loss, [0, 0, 0])
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def differences(function, array, step=1e-6):
    """Central differences of a float64 function, one entry at a time."""
    gradient = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        moved = [array.astype("float64").copy() for _ in range(2)]
        moved[0][index] += step
        moved[1][index] -= step
        gradient[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient


@pytest.mark.parametrize("stop_gradient", [True, False])
@pytest.mark.parametrize("num_positives, theta", [(1, 0.0), (2, 0.0), (2, 0.3), (1, -0.2)])
def test_gradient_is_that_of_finite_differences(
    value_and_gradients, stop_gradient, num_positives, theta
):
    observed, logits, embeddings = random_case(2, 4, 3, num_positives, seed=4)
    constant_negatives = equations_7_and_8(observed, embeddings, theta)
    assert (constant_negatives != 0).any()

    def of_logits(logits):
        return equation_9(observed, logits, constant_negatives).sum()

    def of_embeddings(embeddings):
        negatives = equations_7_and_8(observed, embeddings, theta)
        return equation_9(observed, logits, negatives).sum()

    expected_embeddings = differences(of_embeddings, embeddings)
    assert np.abs(expected_embeddings).max() > 0.1
    if stop_gradient:
        expected_embeddings[:] = 0

    _, gradients = value_and_gradients(
        lambda *inputs: weak_negative(ops.array(observed), *inputs, theta, stop_gradient),
        [logits, embeddings],
    )
    np.testing.assert_allclose(gradients[0], differences(of_logits, logits), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(gradients[1], expected_embeddings, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stop_gradient", [True, False])
@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_finite_at_large_logits(value_and_gradients, stop_gradient, size):
    observed = [[1, 0, 0, 0], [0, 1, 0, 0]]
    logits = [[-size, size, -size, size], [size, size, -size, -size]]
    _, _, embeddings = random_case(2, 4)
    tensor = ops.array(observed, "float32")
    loss, gradients = value_and_gradients(
        lambda *inputs: weak_negative(tensor, *inputs, 0.0, stop_gradient), [logits, embeddings]
    )
    negatives = equations_7_and_8(np.array(observed), embeddings, 0.0)
    # A wrong certainty costs its size, a right one nothing.
    expected = [
        size + negatives[0, [1, 3]].sum() * size,
        negatives[1, 0] * size,
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for gradient in gradients:
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [0.0, 1e-15, 1e15])
def test_finite_at_small_and_large_embeddings(value_and_gradients, scale):
    observed, logits, embeddings = random_case()
    loss, gradients = value_and_gradients(
        lambda *inputs: weak_negative(ops.array(observed), *inputs, 0.0, False),
        tensors(logits, scale * embeddings),
    )
    assert np.isfinite(loss).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()


SIGNS = hnp.arrays("float32", (2, 4, 3), elements=st.sampled_from([-2, -1, 0, 1, 2]))


@settings(deadline=None, max_examples=40)
@given(SIGNS, st.floats(0, 1))
def test_weights_lie_between_0_and_1(embeddings, theta):
    observed = ops.array([[1.0, 0, 0, 0], [0, 1, 1, 0]])
    negatives = np.asarray(weak_negatives(observed, ops.array(embeddings), theta))
    assert (negatives >= 0).all() and (negatives <= 1 + 1e-6).all()
    assert (negatives[np.asarray(observed) > 0] == 0).all()


def test_loss_object():
    observed, logits, embeddings = random_case(num_positives=2)
    y_pred = {"logits": logits, "image_embeddings": embeddings}
    for theta in (0.0, 0.3):
        negatives = equations_7_and_8(observed, embeddings, theta)
        expected = equation_9(observed, logits, negatives).mean()
        loss = WeakNegative(theta=theta)
        y_true = {"observed": observed, "labels": np.ones((3, 5), "float32")}
        np.testing.assert_allclose(loss(observed, y_pred), expected, rtol=1e-5)
        np.testing.assert_allclose(loss(y_true, y_pred), expected, rtol=1e-5)


def test_stop_gradient_of_the_loss_object(value_and_gradients):
    observed, logits, embeddings = random_case()
    for stop_gradient in (True, False):
        loss = WeakNegative(stop_gradient=stop_gradient)
        _, (gradient,) = value_and_gradients(
            lambda x, loss=loss: loss(observed, {"logits": logits, "image_embeddings": x}),
            [embeddings],
        )
        assert np.any(gradient) != stop_gradient


def test_defaults(value_and_gradients):
    config = WeakNegative().get_config()
    assert config["theta"] == 0 and config["stop_gradient"] is True
    observed, logits, embeddings = tensors(*random_case())
    _, (gradient,) = value_and_gradients(lambda x: weak_negative(observed, logits, x), [embeddings])
    assert not np.any(gradient)


@pytest.mark.parametrize("theta", [-1.5, 1.01, float("nan")])
def test_theta_outside_of_a_cosine(theta):
    with pytest.raises(ValueError, match="theta.*cosine"):
        WeakNegative(theta=theta)
