"""The part of a split that training leaves out."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_patchpu.data import Examples, held_out, held_out_first, hold_out


def examples(keys):
    return Examples(
        name="own",
        split="train",
        label_names=("cat",),
        keys=tuple(keys),
        images=[key.encode() for key in keys],
        labels=np.ones((len(keys), 1), "float32"),
    )


@hypothesis.given(
    st.lists(st.text(max_size=8), min_size=2, max_size=30, unique=True),
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 0.99),
)
def test_every_image_is_on_one_side(keys, seed, share):
    train, test = hold_out(examples(keys), seed, share)
    assert len(train) and len(test)
    assert sorted(train.keys + test.keys) == sorted(keys)
    assert [key.encode() for key in test.keys] == test.images


def test_the_share_and_the_seed():
    keys = [f"{number}.jpg" for number in range(5000)]
    held_out = [set(hold_out(examples(keys), seed)[1].keys) for seed in (0, 0, 1)]
    assert len(held_out[0]) == pytest.approx(500, abs=80)
    assert held_out[0] == held_out[1]
    # By chance a tenth of a tenth is in both.
    assert len(held_out[0] & held_out[2]) == pytest.approx(50, abs=30)


def test_further_images_move_none_of_the_others():
    keys = [f"{number}.jpg" for number in range(300)]
    before, after = (set(hold_out(examples(part), 3)[1].keys) for part in (keys[:200], keys))
    assert before == after & set(keys[:200])


def test_what_cannot_be_split():
    with pytest.raises(ValueError, match="2 images or more"):
        hold_out(examples(["a"]), 0)
    with pytest.raises(ValueError, match="share=1"):
        hold_out(examples(["a", "b"]), 0, 1)


@hypothesis.given(
    st.lists(st.text(max_size=8), min_size=2, max_size=30, unique=True),
    st.integers(0, 2**32 - 1),
    st.floats(0.001, 0.999),
)
def test_by_their_number_the_same_are_held_out(keys, seed, share):
    rows = held_out(examples(keys), seed, share)
    np.testing.assert_array_equal(held_out_first(examples(keys), seed, rows.sum()), rows)
