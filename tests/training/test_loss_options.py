"""The options of a loss in a run."""

import dataclasses

import pytest

from keras_patchpu import losses
from keras_patchpu.training import check_loss_options, options_of
from keras_patchpu.training.compiled_model import make_loss, make_model


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_each_loss_takes_its_defaults(loss):
    check_loss_options(loss, {})
    check_loss_options(loss, options_of(loss))


def test_options_are_numbers_that_no_run_decides():
    assert options_of("wn") == {"theta": 0.0, "stop_gradient": True}
    assert options_of("em+apl") == {"alpha": 0.2, "beta": 0.02, "warmup_epochs": 5}
    assert options_of("gr") == {"q2": 0.01, "q3": 1.0}  # the others have two values
    assert options_of("bce") == {}


def test_a_run_has_them_in_its_loss_and_its_record(digits_run):
    run = dataclasses.replace(digits_run, loss="em+apl", loss_options={"beta": 0.9})
    model = make_model(run)
    assert (model.loss.alpha, model.loss.beta) == (0.2, 0.9)
    assert model.loss.state.num_examples == len(run.train)
    assert run.config()["loss_options"] == {"beta": 0.9}
    # A run without can go on that was begun before there were any.
    assert "loss_options" not in digits_run.config()
    assert make_loss(digits_run, model).name == "an"
