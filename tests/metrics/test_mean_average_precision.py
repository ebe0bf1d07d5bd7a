import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops
from sklearn.metrics import average_precision_score

from keras_patchpu.metrics import MeanAveragePrecision, average_precision

SHAPES = st.shared(st.tuples(st.integers(1, 25), st.integers(1, 4)), key="shape")
LABELS = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))
TIED_SCORES = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-100, -1, 0, 0.5, 100]))
SCORES = hnp.arrays(
    "float32", SHAPES, elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
)
CONSTANT_SCORES = hnp.arrays("float32", SHAPES, elements=st.just(0.25), fill=st.just(0.25))


def scikit_learn(labels, scores):
    """Average precision of each label; 0 without a positive, as the field's code has it."""
    precisions = []
    for label_column, score_column in zip(labels.T, scores.T, strict=True):
        known = label_column >= 0
        if (label_column > 0).any():
            precisions.append(average_precision_score(label_column[known], score_column[known]))
        else:
            precisions.append(0.0)
    return np.array(precisions)


def random_case(num_examples, num_labels=3, prevalence=0.3, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=(num_examples, num_labels)) < prevalence).astype("float32")
    scores = (labels + rng.normal(0, 1.5, labels.shape)).astype("float32")
    return labels, scores


def updated(labels, scores, batch_sizes=None, **arguments):
    metric = MeanAveragePrecision(**{"max_examples": 64, **arguments})
    ends = np.cumsum(batch_sizes or [len(labels)])
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        metric.update_state(labels[start:end], scores[start:end])
    return metric


@given(LABELS, st.one_of(TIED_SCORES, SCORES, CONSTANT_SCORES))
def test_equals_scikit_learn(labels, scores):
    precisions = average_precision(ops.array(labels), ops.array(scores))
    assert precisions.shape == labels.shape[1:]
    assert keras.backend.standardize_dtype(precisions.dtype) == "float32"
    np.testing.assert_allclose(precisions, scikit_learn(labels, scores), rtol=1e-5, atol=1e-6)


@settings(max_examples=min(40, settings.default.max_examples))
@given(LABELS, TIED_SCORES, st.sampled_from(["zero", "skip"]), st.randoms(use_true_random=False))
def test_metric_equals_scikit_learn_in_any_batches_and_order(labels, scores, empty, random):
    order = random.sample(range(len(labels)), len(labels))
    cuts = sorted(random.sample(range(1, len(labels)), min(2, len(labels) - 1)))
    batch_sizes = np.diff([0, *cuts, len(labels)]).tolist()
    metric = updated(labels[order], scores[order], batch_sizes, empty=empty)
    expected = scikit_learn(labels, scores)
    np.testing.assert_allclose(metric.per_label(), expected, rtol=1e-5, atol=1e-6)
    if empty == "skip":
        expected = expected[(labels > 0).any(axis=0)]
    mean = expected.mean() if len(expected) else 0.0
    np.testing.assert_allclose(metric.result(), mean, rtol=1e-5, atol=1e-6)


def test_hand_worked():
    # Ranked 1, 0, 1, 0: (1/1 + 2/3) / 2. With the last two tied: (1/1 + 2/4) / 2.
    labels = ops.array([[1.0], [0], [1], [0]])
    scores = ops.array([[4.0], [3], [2], [1]])
    tied = ops.array([[4.0], [3], [1], [1]])
    assert float(average_precision(labels, scores)[0]) == pytest.approx(5 / 6)
    assert float(average_precision(labels, tied)[0]) == pytest.approx(3 / 4)
    assert float(average_precision(labels, -scores)[0]) == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_constant_scores_give_the_prevalence():
    labels = np.array([[1, 0], [0, 0], [0, 1], [0, 1]], "float32")
    precisions = average_precision(ops.array(labels), ops.zeros((4, 2)))
    np.testing.assert_allclose(precisions, [1 / 4, 2 / 4])


def test_precise_on_many_images():
    labels, scores = random_case(30_000, 2, prevalence=0.05)
    scores[:, 1] = np.round(scores[:, 1])
    precisions = average_precision(ops.array(labels), ops.array(scores))
    np.testing.assert_allclose(precisions, scikit_learn(labels, scores), rtol=1e-5)


def test_only_the_order_of_the_scores_counts():
    labels, scores = random_case(40)
    other = np.arctan(scores) * 100 + 7
    np.testing.assert_allclose(
        average_precision(ops.array(labels), ops.array(other)),
        average_precision(ops.array(labels), ops.array(scores)),
    )


@pytest.mark.parametrize("empty, expected", [("zero", 1 / 2), ("skip", 1.0)])
def test_label_without_a_positive(empty, expected):
    labels = np.array([[1, 0], [0, 0], [0, -1]], "float32")
    scores = np.array([[3, 1], [2, 1], [1, 1]], "float32")
    assert float(updated(labels, scores, empty=empty).result()) == pytest.approx(expected)


@pytest.mark.parametrize("empty", ["zero", "skip"])
def test_nothing_known(empty):
    assert float(MeanAveragePrecision(empty=empty).result()) == 0
    assert float(updated(-np.ones((3, 2)), np.ones((3, 2)), empty=empty).result()) == 0


def test_kinds_of_labels():
    labels, scores = random_case(20)
    expected = float(updated(labels, scores).result())
    y_true = {"labels": labels, "observed": np.zeros_like(labels), "index": np.arange(20)}
    for kind in (labels.astype(bool), labels.astype("int64"), y_true):
        metric = MeanAveragePrecision(max_examples=64)
        metric.update_state(kind, scores)
        assert float(metric.result()) == expected


def test_more_images_than_fit_give_nan():
    labels, scores = random_case(9)
    assert np.isfinite(updated(labels, scores, [4, 5], max_examples=9).result())
    metric = updated(labels, scores, [4, 4, 1], max_examples=8)
    assert np.isnan(metric.result())
    metric.reset_state()
    metric.update_state(labels[:8], scores[:8])
    expected = scikit_learn(labels[:8], scores[:8]).mean()
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


def test_reset_forgets_everything():
    labels, scores = random_case(30)
    metric = updated(labels, scores)
    metric.reset_state()
    assert float(metric.result()) == 0
    metric.update_state(labels[20:], scores[20:])
    expected = scikit_learn(labels[20:], scores[20:]).mean()
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


def test_scores_that_are_nan_give_nan():
    labels, scores = random_case(8)
    labels[2, 1] = -1
    scores[2, 1] = np.nan  # of no consequence: that label is unknown
    metric = updated(labels, scores)
    assert np.isfinite(metric.result())
    scores[3, 0] = np.nan
    metric.update_state(labels, scores)
    assert np.isnan(metric.per_label()).tolist() == [True, False, False]
    assert np.isnan(metric.result())
    metric.reset_state()
    metric.update_state(labels[4:], scores[4:])
    assert np.isfinite(metric.result())


def test_sample_weights_are_refused():
    with pytest.raises(ValueError, match="no sample weights"):
        MeanAveragePrecision().update_state(np.ones((2, 3)), np.ones((2, 3)), np.ones(2))


def test_unknown_policy_for_empty_labels():
    with pytest.raises(ValueError, match="`empty`.*'zero' or 'skip'.*nan"):
        MeanAveragePrecision(empty="nan")


def test_config_round_trip():
    metric = MeanAveragePrecision(empty="skip", max_examples=12, name="map")
    config = keras.saving.serialize_keras_object(metric)
    clone = keras.saving.deserialize_keras_object(config)
    assert type(clone) is MeanAveragePrecision and clone.get_config() == metric.get_config()


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_evaluate_equals_scikit_learn_on_predictions(run_eagerly):
    labels, _ = random_case(23)
    images = np.random.default_rng(1).normal(size=(23, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[MeanAveragePrecision(max_examples=64)],
        run_eagerly=run_eagerly,
    )
    for _ in range(2):  # the second evaluation starts anew
        results = model.evaluate(images, labels, batch_size=5, verbose=0, return_dict=True)
        expected = scikit_learn(labels, model.predict(images, verbose=0)).mean()
        assert results["mean_average_precision"] == pytest.approx(expected, rel=1e-5)


def test_keras_auc_is_another_quantity():
    # As a model trained on single positives saturates: probabilities around exp(-9).
    labels, scores = random_case(3000, 4, prevalence=0.08)
    logits = scores - 9
    probabilities = 1 / (1 + np.exp(-logits.astype("float64")))
    auc = keras.metrics.AUC(curve="PR", multi_label=True, num_labels=4)
    auc.update_state(labels, probabilities)
    exact = scikit_learn(labels, probabilities).mean()
    metric = updated(labels, probabilities.astype("float32"), max_examples=3000)
    assert float(metric.result()) == pytest.approx(exact, rel=1e-5)
    assert abs(float(auc.result()) - exact) > 0.05
