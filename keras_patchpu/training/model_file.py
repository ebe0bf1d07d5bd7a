"""A `.keras` file from anybody, checked before Keras opens it."""

import io
import json
import math
import pathlib
import zipfile
from collections.abc import Iterator

import h5py
import keras

from keras_patchpu.data.picture_size import MAX_PATCHES, MAX_SIDE

# As Keras writes them.
_MEMBERS = ["config.json", "metadata.json", "model.weights.h5"]
# Those of this package have 2 kB.
_MOST_CONFIG_BYTES = 2**20
_KERAS_CLASSES = {("keras", "DTypePolicy")}
_KERAS_MODULES = {"keras.optimizers", "keras.optimizers.schedules"}
# Of the features of a ResNet, which its configuration does not name, there are 2,048.
_SOME_FEATURES = 64


def check_model_file(path: pathlib.Path) -> None:
    """Checks that a `.keras` file is one that a run of this package can have written.

    Keras's `safe_mode` refuses Python code in a file. It lets a file name any layer of Keras, some
    of which read other files, and ask for any size. Of the files of a run less is expected:

    * just the members that Keras writes, each as large as it is on the disk: not compressed
    * no class but those registered, optimizers with their schedules, and dtypes; no function
    * weights that are plain arrays and all there: no link, no other file, no filter
    * no size in the configuration for which the file is too small

    So a model takes no more than some 100 times the memory that its file takes on the disk.

    Raises:
        ValueError: it is not; says in one line why.
        OSError, KeyError, RuntimeError, RecursionError, TypeError, zipfile.BadZipFile: it is
            damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != _MEMBERS:
            raise ValueError("it has other members than Keras writes")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
                raise ValueError(f"its {member.filename} is compressed, which Keras's are not")
        if archive.getinfo("config.json").file_size > _MOST_CONFIG_BYTES:
            raise ValueError("its config.json is larger than that of any model")
        config = json.loads(archive.read("config.json"))
        weights = archive.read("model.weights.h5")
    for node in _nodes(config):
        _check_class(node)
        _check_sizes(node.get("config"), len(weights))
    _check_arrays(weights)


def _nodes(config: object) -> Iterator[dict]:
    """Every object of Keras in a configuration, the model first."""
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            left += value.values()
        elif isinstance(value, list):
            left += value


def _check_class(node):
    kind, module = node["class_name"], node.get("module")
    # Of functions and of these Keras does not look at the registered name.
    if kind != "function" and not str(kind).startswith("__"):
        if keras.saving.get_registered_object(node.get("registered_name")) is not None:
            return
        if module in _KERAS_MODULES or (module, kind) in _KERAS_CLASSES:
            return
    raise ValueError(f"it asks for {module}.{kind}, which no model of keras_patchpu has")


def _check_sizes(config, num_bytes):
    """What the classes of this package make of their arguments is in the file."""
    if not isinstance(config, dict):
        return

    def size(name, default=0):
        value = config.get(name, default)
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"its {name} is no size")
        return value

    num_labels, width = size("num_labels"), size("embedding_dim") or size("hidden_dim")
    blocks = size("num_encoder_layers") + size("num_decoder_layers", 1)
    numbers = max(width, size("feedforward_dim")) * width * blocks
    if "image_size" in config:  # it is a model
        numbers = max(numbers, num_labels * (width or _SOME_FEATURES))
    # Of what a loss remembers of each image some are a byte, not four.
    remembered = size("num_examples") * num_labels * size("map_size", 1) ** 2
    if max(4 * numbers, remembered) > num_bytes:
        raise ValueError("it asks for a larger model than there are weights of in the file")
    side = size("image_size")
    if side > MAX_SIDE or (side // max(size("patch_size", 32), 1)) ** 2 > MAX_PATCHES:
        raise ValueError(f"its images are larger than {MAX_SIDE} pixels or {MAX_PATCHES} patches")


def _check_arrays(weights):
    with h5py.File(io.BytesIO(weights), "r") as file:
        groups, seen = [file], set()
        while groups:
            group = groups.pop()
            for name in group:
                link = group.get(name, getlink=True)
                item = group[name] if isinstance(link, h5py.HardLink) else None
                if isinstance(item, h5py.Group):
                    address = h5py.h5o.get_info(item.id).addr
                    if address not in seen:  # groups may hold each other
                        seen.add(address)
                        groups.append(item)
                elif not (isinstance(item, h5py.Dataset) and _is_whole(item)):
                    raise ValueError(f"its weights {name!r} are no plain array in the file")


def _is_whole(array):
    if array.shape is None or array.dtype.hasobject or array.is_virtual or array.external:
        return False
    num_bytes = math.prod(array.shape) * array.dtype.itemsize
    return array.chunks is None and array.id.get_storage_size() == num_bytes
