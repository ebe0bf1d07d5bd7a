"""The file of a model, and what is said where it is changed to mean harm."""

import io
import json
import zipfile

import h5py
import keras
import pytest

from keras_patchpu import PatchClassifier, losses
from keras_patchpu.errors import InputError
from keras_patchpu.training import load_model


@pytest.fixture(scope="session")
def members(tmp_path_factory):
    """The content of an honest file, by name."""
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 10)),
        loss=losses.get("en", num_examples=5, num_labels=3, expected_positives=1.0),
    )
    path = tmp_path_factory.mktemp("honest") / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def write(members, tmp_path):
    """A function that writes the file with some members changed, and gives its path."""

    def write(compression=zipfile.ZIP_STORED, **changed):
        changed = {name.replace("_", "."): content for name, content in changed.items()}
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in {**members, **changed}.items():
                archive.writestr(name, content)
        return path

    return write


@pytest.fixture
def write_config(members, write):
    """Writes the file with another configuration; `edit` changes the honest one."""

    def write_config(edit):
        config = json.loads(members["config.json"])
        return write(config_json=json.dumps(edit(config) or config))

    return write_config


@pytest.fixture
def write_weights(members, write):
    """Writes the file with other weights; `edit` is called with the honest ones, an open file."""

    def write_weights(edit):
        content = io.BytesIO(members["model.weights.h5"])
        with h5py.File(content, "r+") as file:
            edit(file)
        return write(model_weights_h5=content.getvalue())

    return write_weights


@pytest.fixture
def refused():
    """Loads a file that has to be refused; gives the one line of `load_model`."""

    def refused(path):
        with pytest.raises(InputError) as error:
            load_model(path)
        message = str(error.value)
        assert message.startswith(f"{path} cannot be loaded as a model (") and "\n" not in message
        return message

    return refused
