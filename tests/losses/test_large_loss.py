import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu import losses
from keras_patchpu.losses import large_loss_correction, large_loss_rejection

SHAPES = st.shared(st.tuples(st.integers(1, 4), st.integers(1, 5)), key="shape")
OBSERVED = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))
# Distinct ones, lest a step of the differences changes the order.
LOGITS = SHAPES.flatmap(
    lambda shape: st.permutations(range(shape[0] * shape[1])).map(
        lambda order: (np.reshape(order, shape) / 2 - 4).astype("float32")
    )
)

FRACTIONS = st.floats(0, 1, width=32, allow_subnormal=False)  # which the backends round to 0


def nl(x):
    return -math.log(x)


def kim(observed, logits, count, corrected):
    """Kim et al.: the `count` largest losses among the unobserved labels of the batch.

    Their code from sorted losses; rejected entries are 0, corrected ones a positive's.
    """
    p = 1 / (1 + np.exp(-logits))
    matrix = np.zeros(p.shape)
    for entry, z in np.ndenumerate(observed):
        matrix[entry] = nl(p[entry]) if z == 1 else nl(1 - p[entry])
    unobserved = [entry for entry, z in np.ndenumerate(observed) if z == 0]
    large = sorted(unobserved, key=lambda entry: matrix[entry])[::-1][:count]
    for entry in large:
        matrix[entry] = nl(p[entry]) if corrected else 0.0
    flipped = np.zeros(p.shape, bool)
    for entry in large:
        flipped[entry] = True
    return matrix.mean(axis=1), flipped


@settings(max_examples=40)
@given(OBSERVED, LOGITS, FRACTIONS)
def test_rejection(check, observed, logits, fraction):
    count = math.ceil(np.float32(observed.size * fraction) * (1 - 1e-6))
    check(
        lambda x: large_loss_rejection(ops.array(observed), x, fraction),
        lambda x: kim(observed, x, count, corrected=False)[0],
        logits,
    )


@settings(max_examples=40)
@given(OBSERVED, LOGITS, FRACTIONS)
def test_correction(check, observed, logits, fraction):
    count = math.ceil(np.float32(observed.size * fraction) * (1 - 1e-6))
    check(
        lambda x: large_loss_correction(ops.array(observed), x, fraction)[0],
        lambda x: kim(observed, x, count, corrected=True)[0],
        logits,
    )
    _, flipped = large_loss_correction(ops.array(observed), ops.array(logits), fraction)
    np.testing.assert_array_equal(flipped, kim(observed, logits, count, corrected=True)[1])


def test_ties_go_together():
    observed, logits = ops.zeros((1, 4)), ops.array([[1.0, 2, 2, 0]])
    _, flipped = large_loss_correction(observed, logits, 0.25)
    np.testing.assert_array_equal(flipped, [[False, True, True, False]])


def test_only_unobserved_labels_are_large():
    observed = ops.array([[1.0, -1, -1, 0]])
    _, flipped = large_loss_correction(observed, ops.array([[-9.0, 9, 8, 0]]), 1.0)
    np.testing.assert_array_equal(flipped, [[False, False, False, True]])


def batches(rng, observed, order, size):
    for start in range(0, len(order), size):
        rows = np.array(order[start : start + size])
        logits = rng.normal(0, 2, (len(rows), observed.shape[1])).astype("float32")
        yield {"observed": observed[rows], "index": rows}, {"logits": logits}


def single_positives(num_examples=7, num_labels=4, seed=0):
    rng = np.random.default_rng(seed)
    observed = np.eye(num_labels, dtype="float32")[rng.integers(0, num_labels, num_examples)]
    observed[1, observed[1] == 0] = [-1, 0, 0]
    return observed


@pytest.mark.parametrize("name", ["ll_r", "ll_ct"])
def test_epochs_of_the_temporary_ones(train, name):
    observed = single_positives()
    loss = losses.get(name, delta_rel=10)
    rng = np.random.default_rng(1)
    for epoch in range(4):
        epoch_batches = list(batches(rng, observed, rng.permutation(7), 3))
        values = train(loss, epoch, 4, epoch_batches)
        for value, (y_true, y_pred) in zip(values, epoch_batches, strict=True):
            z = y_true["observed"]
            # 0.4, 1.2 and so on of the 4 or 12 entries: never a whole number.
            count = math.ceil(z.size * epoch * 0.1)
            expected, _ = kim(z, y_pred["logits"].astype("float64"), count, name == "ll_ct")
            assert value == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("order", [range(7), [3, 6, 0, 5, 1, 4, 2]])
def test_permanent_correction_by_hand(train, order):
    observed = single_positives()
    loss = losses.get("ll_cp", num_examples=7, num_labels=4, delta_rel=10)
    labels = observed.copy()
    rng = np.random.default_rng(1)
    for epoch in range(4):
        epoch_batches = list(batches(rng, observed, list(order), 3))
        values = train(loss, epoch, 4, epoch_batches)
        for value, (y_true, y_pred) in zip(values, epoch_batches, strict=True):
            z = labels[y_true["index"]]
            count = math.ceil(z.size * 0.1) if epoch else 0
            expected, flipped = kim(z, y_pred["logits"].astype("float64"), count, corrected=True)
            assert value == pytest.approx(expected.mean(), rel=1e-5)
            z[flipped] = 1
            labels[y_true["index"]] = z
        np.testing.assert_array_equal(loss.state.flipped.numpy(), labels != observed)
    assert (labels != observed).sum() == 3 * (2 + 2 + 1)
    assert (labels[observed == -1] == -1).all()


def test_numbers_of_rejected_entries_are_exact():
    # 2 of 16 * 20 entries at 5 eighths of a percent, where a product of floats may exceed it.
    observed = ops.zeros((16, 20))
    logits = np.arange(320, dtype="float32").reshape(16, 20) / 100
    for delta_rel, epoch in ((0.625, 1), (0.2, 5), (0.1, 30), (0.3, 3), (0.0001, 1)):
        loss = losses.get("ll_ct", delta_rel=delta_rel)
        loss.begin_epoch(epoch, 50)
        _, flipped = large_loss_correction(observed, logits, loss.state.fraction)
        count = math.ceil(round(320 * delta_rel * epoch / 100, 6))
        assert np.asarray(flipped).sum() == count


@pytest.mark.tensorflow_only("others compile for each size")
def test_batches_of_any_size_in_one_graph():
    import tensorflow as tf

    loss = losses.get("ll_r", delta_rel=30)
    loss.begin_epoch(1, 2)
    signature = tf.TensorSpec((None, 4))

    @tf.function(input_signature=[signature, signature])
    def step(observed, logits):
        return loss.call(observed, {"logits": logits})

    rng = np.random.default_rng(0)
    for size in (1, 2, 5):
        logits = rng.normal(size=(size, 4)).astype("float32")
        observed = np.eye(4, dtype="float32")[np.arange(size) % 4]
        expected, _ = kim(observed, logits, math.ceil(4 * size * 0.3), corrected=False)
        np.testing.assert_allclose(step(observed, logits), expected, rtol=1e-5)


def test_memory_and_its_description():
    loss = losses.get("ll_cp", num_examples=82_081, num_labels=80)
    size = sum(np.asarray(v).nbytes for v in loss.state.variables)
    assert f"{size:,} bytes" in type(loss).__doc__
    size = np.asarray(loss.state.flipped).nbytes
    assert f"{size:,} bytes" in type(loss.state).__doc__
    assert sum(np.asarray(v).nbytes for v in losses.get("ll_r").state.variables) == 4


@pytest.mark.parametrize("delta_rel", [-0.1, 101, float("nan")])
def test_percentage_out_of_range(delta_rel):
    with pytest.raises(ValueError, match="`delta_rel`.*percent.*Received: delta_rel="):
        losses.get("ll_r", delta_rel=delta_rel)


@pytest.mark.parametrize("sizes", [(0, 4), (3, -1), (2.5, 3)])
def test_sizes_out_of_range(sizes):
    with pytest.raises(ValueError, match="`num_examples` or `num_labels`.*positive"):
        losses.get("ll_cp", num_examples=sizes[0], num_labels=sizes[1])
