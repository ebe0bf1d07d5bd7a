"""Configurations that mean harm: each is refused in one line, and does nothing."""

import base64
import marshal

import keras
import numpy as np
import pytest

from keras_patchpu import PatchClassifier
from keras_patchpu.training import load_model

CODE = "lambda x: (open({marker!r}, 'w').close(), x)[1]"


def lambda_config(marker):
    code = eval(CODE.format(marker=str(marker))).__code__
    value = {
        "code": base64.b64encode(marshal.dumps(code)).decode(),
        "defaults": None,
        "closure": None,
    }
    return {"class_name": "__lambda__", "config": value}


def with_layer(kind, module="keras.layers", **config):
    """The configuration of a model with one layer of Keras."""
    layers = [{"module": module, "class_name": kind, "config": config, "registered_name": None}]
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "layers": layers},
        "registered_name": None,
    }


def test_an_honest_file(write):
    model = load_model(write())
    assert isinstance(model, PatchClassifier) and model.loss.state.num_examples == 5


def test_code_in_a_lambda_layer(write_config, tmp_path, refused):
    """Refused before Keras sees it, and by Keras's safe mode, without which the code runs."""
    marker = tmp_path / "marker"
    layer = {"function": lambda_config(marker), "output_shape": [3], "name": "evil"}
    path = write_config(lambda _: with_layer("Lambda", **layer))
    assert "no model of keras_patchpu has" in refused(path)
    with pytest.raises(ValueError, match="safe_mode=False"):
        keras.saving.load_model(path, safe_mode=True)
    assert not marker.exists()
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 3)))
    assert marker.exists()


def of_registered(name):
    return f"keras_patchpu>{name}"


CLASSES = {
    "another model": lambda config: with_layer("Dense", units=2),
    "a SavedModel to run": lambda config: with_layer("TFSMLayer", filepath="/tmp/evil"),
    "a pickle to open": lambda config: with_layer("TorchModuleWrapper", module="gASVKAAA"),
    "a file to read": lambda config: with_layer("StringLookup", vocabulary="/etc/passwd"),
    "code as a loss": lambda config: config["compile_config"].update(loss=lambda_config("x")),
    "a function of Python": lambda config: config["compile_config"].update(
        loss={"class_name": "function", "module": "os", "config": "system"}
    ),
    "a function of Keras": lambda config: config["compile_config"].update(
        loss={"class_name": "function", "module": "keras.utils", "config": "get_file"}
    ),
    "a function under a name that is registered": lambda config: config["compile_config"].update(
        loss={
            "class_name": "function",
            "module": "keras.utils",
            "config": "get_file",
            "registered_name": of_registered("WeakNegative"),
        }
    ),
    "code under a name that is registered": lambda config: config["compile_config"].update(
        loss={**lambda_config("x"), "registered_name": of_registered("WeakNegative")}
    ),
    "a module elsewhere": lambda config: config.update(module="evil", registered_name=None),
    "a name that nobody registered": lambda config: config.update(registered_name="evil>Evil"),
    "a layer deep within": lambda config: config["config"].update(
        name=[{"a": [with_layer("Lambda")]}]
    ),
}


@pytest.mark.parametrize("case", CLASSES)
def test_classes_that_no_run_has(write_config, case, refused):
    assert "no model of keras_patchpu has" in refused(write_config(CLASSES[case]))


SIZES = {
    "labels": {"num_labels": 10**9},
    "dimensions": {"embedding_dim": 100_000},
    "pixels": {"image_size": 10**6},
    "patches": {"image_size": 8192, "patch_size": 1},
    "text that would be repeated": {"num_labels": "many", "embedding_dim": 10**9},
    "below zero": {"num_labels": -3},
}


@pytest.mark.parametrize("case", SIZES)
def test_sizes_beyond_the_weights(write_config, case, refused):
    message = refused(write_config(lambda config: config["config"].update(SIZES[case])))
    assert any(text in message for text in ("than there are weights", "is no size", "are larger"))


def test_a_memory_of_more_images_than_the_file_has(write_config, refused):
    def edit(config):
        config["compile_config"]["loss"]["config"]["num_examples"] = 10**8

    assert "than there are weights" in refused(write_config(edit))


@pytest.mark.parametrize(
    "config",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "9" * 5000,
        "null",
        "{}",
        '{"class_name": null}',
        '{"class_name": ["Lambda"], "config": {}}',
        "{} " * 500_000,
    ],
    ids=["lists", "objects", "digits", "null", "empty", "no class", "odd class", "long"],
)
def test_a_configuration_that_is_none(write, config, refused):
    refused(write(config_json=config))
