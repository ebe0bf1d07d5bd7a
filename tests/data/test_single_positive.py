import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_patchpu.data.single_positive import draw_single_positive

LABELS = hnp.arrays(
    "float32", st.tuples(st.integers(0, 8), st.integers(1, 6)), elements=st.sampled_from([-1, 0, 1])
)
DRAWS = st.sampled_from(["uniform", "mlspl"])
SEEDS = st.integers(0, 2**32 - 1)


def image_names(num_images):
    # Not in sorted order, so that the order of keys and that of rows differ.
    return [f"{(7 * row + 3) % 11}_{row}.jpg" for row in range(num_images)]


def published_draw(label_matrix, seed):
    """MLSPL's `observe_uniform(labels, num_pos=1, num_neg=0)`, its images already sorted."""
    rng = np.random.RandomState(seed)
    label_matrix = np.where(label_matrix == 1, 1, -1)
    observed = np.zeros_like(label_matrix)
    for i in range(len(label_matrix)):
        for value, number in ((1, 1), (-1, 0)):
            idx_all = np.nonzero(label_matrix[i, :] == value)[0]
            rng.shuffle(idx_all)
            observed[i, idx_all[:number]] = value
    return observed


@given(LABELS, SEEDS, DRAWS)
def test_exactly_one_and_always_a_positive(labels, seed, draw):
    observed = draw_single_positive(labels, seed, image_names(len(labels)), draw)
    assert observed.dtype == np.float32 and observed.shape == labels.shape
    np.testing.assert_array_equal(observed.sum(axis=1), (labels == 1).any(axis=1))
    assert (labels[observed != 0] == 1).all()


@given(LABELS, SEEDS, DRAWS, st.randoms(use_true_random=False))
def test_permuted_images_have_permuted_draws(labels, seed, draw, random):
    keys = image_names(len(labels))
    order = random.sample(range(len(labels)), len(labels))
    observed = draw_single_positive(labels, seed, keys, draw)
    permuted = draw_single_positive(labels[order], seed, [keys[row] for row in order], draw)
    np.testing.assert_array_equal(permuted, observed[order])


@given(LABELS, SEEDS)
def test_uniform_draw_of_an_image_is_independent_of_the_others(labels, seed):
    keys = image_names(len(labels))
    observed = draw_single_positive(labels, seed, keys)
    for row, key in enumerate(keys):
        alone = draw_single_positive(labels[[row]], seed, [key])
        np.testing.assert_array_equal(alone, observed[[row]])


@given(LABELS, SEEDS, DRAWS)
def test_labels_are_left_as_they_are_and_unknown_counts_as_not_positive(labels, seed, draw):
    before = labels.copy()
    observed = draw_single_positive(labels, seed, draw=draw)
    np.testing.assert_array_equal(labels, before)
    known = draw_single_positive(np.maximum(labels, 0), seed, draw=draw)
    np.testing.assert_array_equal(observed, known)


def test_default_keys_are_the_row_numbers():
    labels = np.ones((12, 5))
    for draw in ("uniform", "mlspl"):
        expected = draw_single_positive(labels, 3, [str(row) for row in range(12)], draw)
        np.testing.assert_array_equal(draw_single_positive(labels, 3, draw=draw), expected)


@pytest.mark.parametrize("num_positives", [2, 3, 5])
def test_uniform_over_images(num_positives):
    labels = np.zeros((6000, 8))
    columns = [7, 1, 4, 2, 6][:num_positives]
    labels[:, columns] = 1
    counts = draw_single_positive(labels, seed=0).sum(axis=0)[columns]
    expected = 6000 / num_positives
    # 18.5 is the 0.999 quantile of chi-square with 4 degrees of freedom, the most there are here.
    assert ((counts - expected) ** 2 / expected).sum() < 18.5


def test_uniform_over_seeds():
    labels = np.ones((1, 4))
    counts = sum(draw_single_positive(labels, seed, ["a.jpg"])[0] for seed in range(2000))
    assert ((counts - 500) ** 2 / 500).sum() < 16.3  # the 0.999 quantile for 3


def test_uniform_draw_is_the_same_on_every_machine():
    # `printf 0/2008_000002 | b2sum -l 64` is 7f309c1aedf9392d: little endian, modulo 10, that is 5.
    labels = np.ones((2, 10))
    observed = draw_single_positive(labels, 0, ["2008_000002", "2008_000008"])
    assert list(observed.argmax(axis=1)) == [5, 9]


@given(LABELS, SEEDS)
@settings(max_examples=50)
def test_mlspl_repeats_the_published_code(labels, seed):
    labels = labels[(labels == 1).any(axis=1)]  # its lists hold no image without a positive
    keys = [f"{row:03d}.jpg" for row in range(len(labels))]
    observed = draw_single_positive(labels, seed, keys, draw="mlspl")
    np.testing.assert_array_equal(observed, published_draw(labels, seed))


def test_mlspl_by_hand():
    labels = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]])
    rng = np.random.RandomState(1200)
    b_positives, b_negatives = np.array([1, 2, 4]), np.array([0, 3])
    c_positives = np.array([0, 2, 3])
    rng.shuffle(b_positives)  # "b" comes first; "a" has no positive and is passed over
    rng.shuffle(b_negatives)
    rng.shuffle(c_positives)
    observed = draw_single_positive(labels, 1200, ["c", "a", "b"], draw="mlspl")
    expected = np.zeros((3, 5))
    expected[0, c_positives[0]] = expected[2, b_positives[0]] = 1
    np.testing.assert_array_equal(observed, expected)


def test_mlspl_sorts_keys_as_strings():
    labels = np.ones((11, 4))
    order = [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]
    observed = draw_single_positive(labels, 1200, draw="mlspl")
    np.testing.assert_array_equal(observed[order], published_draw(labels, 1200))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draw": "first"}, "argument `draw`. Expected 'uniform' or 'mlspl'. Received: draw='fir"),
        ({"keys": ["a"]}, "argument `keys`. Expected 2 keys, .* Received: len.keys.=1"),
        ({"keys": ["a", "a"]}, "argument `keys`. Expected unique keys. Received: 'a' more than"),
        ({"labels": np.ones(3)}, "argument `labels`. Expected a matrix"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_single_positive(**{"labels": np.ones((2, 3)), "seed": 0, **arguments})
