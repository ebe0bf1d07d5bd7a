import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_patchpu import losses
from keras_patchpu.losses import attention_score_maps, spatial_consistency


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


@settings(max_examples=30)
@given(st.booleans(), st.integers(0, 99))
def test_spatial_consistency(check, seen_by_hand, flip, seed):
    rng = np.random.default_rng(seed)
    running = rng.uniform(size=(1, 2, 3, 3)).astype("float32")
    logits = rng.normal(0, 2, (1, 2 * 4 * 2)).astype("float32")
    corner, size = rng.uniform(0, 0.5, 2), rng.uniform(0.1, 0.5, 2)
    crop, flip = np.concatenate([corner, corner + size]).astype("float32"), np.array([flip])

    def loss(x):
        maps = ops.sigmoid(ops.reshape(x, (1, 2, 4, 2)))
        return spatial_consistency(maps, ops.array(running), ops.array(crop[None]), flip)

    def reference(x):
        maps = sigmoid(x).reshape(2, 4, 2)
        distance = 0.0
        for label in range(2):
            seen = seen_by_hand(running[0, label].astype("float64"), crop, flip[0], (4, 2))
            distance += np.abs(maps[label] - seen).sum()
        return np.array([distance / (2 * 4 * 2)])

    check(loss, reference, logits)


def test_attention_score_maps():
    logits = np.array([[0.0, 2.0]], "float32")
    attention = np.array([[[0.1, 0.2, 0.1, 0.0, 0.05, 0.05, 0.5], [0, 0, 0, 0, 0, 0, 1]]])
    maps = attention_score_maps(ops.array(logits), ops.array(attention, "float32"), (2, 3))
    expected = [[0.25, 0.5, 0.25], [0, 0.125, 0.125]]
    np.testing.assert_allclose(maps[0, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(maps[0, 1], np.zeros((2, 3)))


def test_gradient_of_attention_score_maps(check):
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (2, 3 * 5)).astype("float32")
    logits = rng.normal(size=(2, 3)).astype("float32")

    def loss(x):
        attention = ops.softmax(ops.reshape(x, (2, 3, 5)))
        return ops.sum(attention_score_maps(logits, attention, (2, 2)) ** 2, axis=(1, 2, 3))

    def reference(x):
        weights = np.exp(x.reshape(2, 3, 5))
        finest = (weights / weights.sum(axis=2, keepdims=True))[:, :, :4]
        maps = sigmoid(logits)[:, :, None] * finest / finest.max(axis=2, keepdims=True)
        return (maps**2).sum(axis=(1, 2))

    check(loss, reference, scores)


NUM_EXAMPLES, NUM_LABELS, SIZE, K, MU, GAMMA = 6, 2, 4, 1.5, 0.6, 0.7


def training_set():
    observed = np.eye(NUM_LABELS, dtype="float32")[[0, 1, 1, 0, 0, 1]]
    observed[2] = [-1, 1]
    return observed


def make(**options):
    options = {"num_labels": NUM_LABELS, "observed": training_set(), **options}
    return losses.get(
        "en+scl",
        num_examples=NUM_EXAMPLES,
        expected_positives=K,
        mu=MU,
        gamma=GAMMA,
        map_size=SIZE,
        **options,
    )


def batches(rng, order, augmented, with_maps):
    observed = training_set()
    for rows in np.split(np.array(order), [4]):
        y_true = {"observed": observed[rows], "index": rows}
        if augmented:
            corner, size = rng.uniform(0, 0.5, (2, len(rows), 2))
            y_true["crop"] = np.concatenate([corner, corner + 0.3 + 0.4 * size], 1).astype(
                "float32"
            )
            y_true["flip"] = rng.integers(0, 2, len(rows)).astype(bool)
        y_pred = {"logits": rng.normal(0, 2, (len(rows), NUM_LABELS)).astype("float32")}
        if with_maps:
            shape = (len(rows), NUM_LABELS, 3, 5)
            y_pred["score_maps"] = rng.normal(0, 2, shape).astype("float32")
        weights = np.exp(rng.normal(size=(len(rows), NUM_LABELS, 20)))
        attention = weights / weights.sum(axis=2, keepdims=True)
        y_pred["attention"] = attention.astype("float32")
        yield y_true, y_pred


def maps_by_hand(y_pred):
    if "score_maps" in y_pred:
        return sigmoid(y_pred["score_maps"])
    finest = y_pred["attention"][:, :, :15].astype("float64").reshape(-1, NUM_LABELS, 3, 5)
    p = sigmoid(y_pred["logits"])[:, :, None, None]
    return p * finest / finest.max(axis=(2, 3), keepdims=True)


@pytest.mark.parametrize("with_maps", [True, False])
@pytest.mark.parametrize("augmented", [True, False])
@pytest.mark.parametrize("order", [range(6), [4, 2, 0, 5, 1, 3]])
def test_epochs_by_hand(train, seen_by_hand, moved_by_hand, order, augmented, with_maps):
    loss = make(grid=(3, 5))
    observed = training_set()
    scores = (observed == 1).astype("float64")
    running = np.tile(scores[:, :, None, None], (1, 1, SIZE, SIZE))
    rng = np.random.default_rng(3)
    for epoch in range(3):
        expected = np.zeros(scores.shape, bool)
        for label in range(NUM_LABELS):
            count = round(K * (observed[:, label] == 1).sum())
            expected[np.argsort(-scores[:, label], kind="stable")[:count], label] = True
        expected &= scores > 0
        epoch_batches = list(batches(rng, order, augmented, with_maps))
        values = train(loss, epoch, 3, epoch_batches)
        np.testing.assert_array_equal(loss.state.expected.numpy(), expected)
        for value, (y_true, y_pred) in zip(values, epoch_batches, strict=True):
            present, p = maps_by_hand(y_pred), sigmoid(y_pred["logits"])
            total = 0.0
            for i, row in enumerate(y_true["index"]):
                crop = y_true["crop"][i].astype("float64") if augmented else (0, 0, 1, 1)
                flip = augmented and y_true["flip"][i]
                for label in range(NUM_LABELS):
                    z = observed[row, label]
                    if z == 1:
                        total -= np.log(p[i, label]) / NUM_LABELS
                    elif z == -1 or not expected[row, label]:
                        total -= np.log(1 - p[i, label]) / NUM_LABELS
                    seen = seen_by_hand(running[row, label], crop, flip, (3, 5))
                    total += GAMMA * np.abs(present[i, label] - seen).mean() / NUM_LABELS
                    running[row, label] = moved_by_hand(
                        running[row, label], present[i, label], crop, flip, MU
                    )
                    scores[row, label] = MU * scores[row, label] + (1 - MU) * p[i, label]
                    if z == -1:
                        running[row, label] = scores[row, label] = 0
            assert value == pytest.approx(total / len(p), rel=2e-3)  # maps are float16
        np.testing.assert_allclose(loss.state.scores.numpy(), scores, rtol=1e-5)
        np.testing.assert_allclose(loss.state.maps.numpy(), running, atol=2e-3)


def test_without_weight_it_is_expected_negative(train):
    options = {"num_examples": NUM_EXAMPLES, "num_labels": NUM_LABELS, "expected_positives": K}
    options |= {"observed": training_set()}
    spatial = losses.get("en+scl", gamma=0.0, grid=(3, 5), **options)
    plain = losses.get("en", **options)
    rng = np.random.default_rng(0)
    for epoch in range(2):
        epoch_batches = list(batches(rng, range(6), True, False))
        np.testing.assert_allclose(
            train(spatial, epoch, 2, epoch_batches),
            train(plain, epoch, 2, epoch_batches),
            rtol=1e-6,
        )


def test_finite_where_attention_leaves_the_finest_level(value_and_gradients):
    loss = make(grid=(3, 5))
    attention = np.zeros((1, NUM_LABELS, 20), "float32")
    attention[:, :, -1] = 1
    y_true = {"observed": training_set()[:1], "index": [0]}
    value, gradients = value_and_gradients(
        lambda logits, attention: loss(y_true, {"logits": logits, "attention": attention}),
        [[[100.0, -100]], attention],
    )
    assert np.isfinite(value)
    for gradient in gradients:
        assert np.isfinite(gradient).all()


def test_memory_and_its_description():
    # Too large to make in a test: sizes from the shapes of a small one.
    state = make().state
    assert state.maps.dtype == "float16" and state.scores.dtype == "float32"
    bytes_a_cell = np.asarray(state.maps).nbytes / (NUM_EXAMPLES * NUM_LABELS * SIZE**2)
    others = sum(np.asarray(v).nbytes for v in state.variables if v is not state.maps)
    assert others == NUM_EXAMPLES * NUM_LABELS * 5 + NUM_LABELS * 4
    default = losses.get("en+scl", num_examples=1, num_labels=1, expected_positives=1.0)
    assert default.state.map_size == 14

    def coco(size):
        return int(82_081 * 80 * size**2 * bytes_a_cell), 82_081 * 80 * 5 + 80 * 4

    maps, others = coco(14)
    assert f"{maps:,} bytes" in type(state).__doc__
    for described in (type(state), type(make())):
        assert f"{maps + others:,}" in described.__doc__
    assert sum(coco(17)) == pytest.approx(3.8e9, rel=0.01) and sum(coco(18)) > 4e9


def test_arguments_out_of_range():
    for grid in ((0, 3), (3,)):
        with pytest.raises(ValueError, match="`grid`.*Received: grid="):
            make(grid=grid)
    with pytest.raises(ValueError, match="`gamma`.*Received: gamma=-1"):
        losses.get("en+scl", num_examples=1, num_labels=1, expected_positives=1.0, gamma=-1)
    with pytest.raises(ValueError, match="`map_size`.*Received: map_size=0"):
        losses.get("en+scl", num_examples=1, num_labels=1, expected_positives=1.0, map_size=0)
    (y_true, y_pred), _ = batches(np.random.default_rng(0), range(6), False, False)
    with pytest.raises(ValueError, match="`grid`.*no score maps"):
        make()(y_true, y_pred)
    with pytest.raises(ValueError, match="`grid`.*20.*patches"):
        make(grid=(5, 5))(y_true, y_pred)
