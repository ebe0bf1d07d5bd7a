"""Weights that mean harm: each file is refused in one line, and does nothing."""

import h5py
import numpy as np
import pytest

from keras_patchpu import PatchClassifier
from keras_patchpu.training import load_model


def first_array(file):
    """The place of some weights, and what they are."""
    found = []

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            found.append(name)

    file.visititems(look)
    return found[0], file[found[0]][()]


def external_link(file, secret):
    place, _ = first_array(file)
    del file[place]
    file[place] = h5py.ExternalLink(secret, "/secret")


def soft_link(file, secret):
    place, _ = first_array(file)
    file.move(place, "elsewhere")
    file[place] = h5py.SoftLink("/elsewhere")


def external_storage(file, secret):
    place, array = first_array(file)
    del file[place]
    file.create_dataset(place, array.shape, array.dtype, external=[(secret, 0, h5py.h5f.UNLIMITED)])


def virtual(file, secret):
    place, array = first_array(file)
    del file[place]
    layout = h5py.VirtualLayout(array.shape, array.dtype)
    layout[...] = h5py.VirtualSource(secret, "secret", array.shape)
    file.create_virtual_dataset(place, layout)


def compressed(file, secret):
    place, array = first_array(file)
    del file[place]
    file.create_dataset(place, data=np.atleast_1d(array), compression="gzip")


def never_written(file, secret):
    place, _ = first_array(file)
    del file[place]
    file.create_dataset(place, (10**6, 10**6), "float32")


def not_numbers(file, secret):
    place, _ = first_array(file)
    del file[place]
    file[place] = "text"


def a_link_beside(file, secret):
    file["layers/unused"] = h5py.ExternalLink(secret, "/")


@pytest.mark.parametrize(
    "attack",
    [
        *(external_link, soft_link, external_storage, virtual, compressed, never_written),
        *(not_numbers, a_link_beside),
    ],
)
def test_weights_that_are_elsewhere(write_weights, tmp_path, attack, refused):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.arange(10_000, dtype="float32")
    path = write_weights(lambda file: attack(file, str(secret)))
    assert "plain array in the file" in refused(path)


def test_groups_that_hold_each_other(write_weights):
    def edit(file):
        file["layers/circle"] = file["/"]

    assert isinstance(load_model(write_weights(edit)), PatchClassifier)


def test_groups_in_groups(write_weights):
    def edit(file):
        group = file
        for _ in range(3000):
            group = group.create_group("a")

    assert isinstance(load_model(write_weights(edit)), PatchClassifier)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"x" * 4096], ids=len)
def test_weights_that_are_none(write, content, refused):
    refused(write(model_weights_h5=content))
