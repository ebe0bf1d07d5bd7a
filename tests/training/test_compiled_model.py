import dataclasses

import pytest
import tensorflow as tf

from keras_patchpu.training.compiled_model import rematerialises
from keras_patchpu.training.recipe import RECIPES

PAPER = RECIPES["paper"]


def test_a_batch_that_takes_much_memory_is_rematerialised():
    assert rematerialises(PAPER)
    assert not rematerialises(dataclasses.replace(PAPER, batch_size=4))
    assert not rematerialises(RECIPES["small"])


def test_nothing_is_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert not rematerialises(PAPER)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("name", ["paper", "small"])
def test_what_is_asked_for_is_done(name, asked):
    assert rematerialises(dataclasses.replace(RECIPES[name], rematerialise=asked)) is asked
