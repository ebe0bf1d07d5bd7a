"""SavedModels that would do more than compute: each is refused before it is loaded."""

import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from keras_patchpu import PatchClassifier
from keras_patchpu.errors import InputError
from keras_patchpu.models import Query2Label
from keras_patchpu.serving import LocalModel, export
from keras_patchpu.serving.description import DESCRIPTION_FILE, Description
from keras_patchpu.serving.known_operations import KNOWN, SAVING, check_operations

NAMES = ["cat", "dog", "hen"]
PICTURE = tf.io.encode_png(np.zeros((8, 8, 3), "uint8")).numpy()


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    return export(model, tmp_path_factory.mktemp("honest"), NAMES)


@pytest.fixture
def version(honest, tmp_path):
    """A copy of an honest one."""
    return pathlib.Path(shutil.copytree(honest, tmp_path / "1"))


def refused(path):
    with pytest.raises(InputError) as error:
        LocalModel.load(path)
    message = str(error.value)
    assert message.startswith(f"{path} cannot be loaded (") and "\n" not in message
    return message


def answers(image_bytes):
    """Outputs as an exported model has them."""
    number = tf.shape(image_bytes)[0]
    return {
        "scores": tf.zeros((number, 3)),
        "labels": tf.fill((number, 3), "cat"),
        "label_scores": tf.zeros((number, 3)),
        "attention_maps": tf.zeros((number, 3, 2, 2)),
        "status": tf.fill((number,), "ok"),
    }


def save(folder, answer):
    """A SavedModel of a stranger, which says of itself what an exported model does."""
    module = tf.Module()
    spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    tf.saved_model.save(module, str(folder), tf.function(answer, input_signature=[spec]))
    cells = [[y, x, y + 32, x + 32] for y in (0, 32) for x in (0, 32)]
    Description(NAMES, 64, "stretch", cells).write(folder)
    return folder


def writes(path):
    def answer(image_bytes):
        tf.io.write_file(str(path), "written")
        return answers(image_bytes)

    return answer


def reads(path):
    def answer(image_bytes):
        outputs = answers(image_bytes)
        return {**outputs, "status": tf.fill(tf.shape(image_bytes), tf.io.read_file(str(path)))}

    return answer


def calls_python(path):
    def answer(image_bytes):
        tf.py_function(lambda: path.touch(), [], [])
        return answers(image_bytes)

    return answer


def saves(path):
    def answer(image_bytes):
        tf.raw_ops.SaveV2(
            prefix=str(path), tensor_names=["a"], shape_and_slices=[""], tensors=[tf.zeros(1)]
        )
        return answers(image_bytes)

    return answer


def restores(path):
    def answer(image_bytes):
        tf.raw_ops.RestoreV2(
            prefix=str(path), tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
        )
        return answers(image_bytes)

    return answer


def prints(path):
    def answer(image_bytes):
        tf.print("written", output_stream=f"file://{path}")
        return answers(image_bytes)

    return answer


def caches(path):
    def answer(image_bytes):
        dataset = tf.data.Dataset.from_tensors(1).cache(str(path))
        dataset.get_single_element()
        return answers(image_bytes)

    return answer


def deletes(path):
    def answer(image_bytes):
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[str(path)], destination_prefix=str(path), delete_old_dirs=True
        )
        return answers(image_bytes)

    return answer


ATTACKS = [writes, reads, calls_python, saves, restores, prints, caches, deletes]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_graph_that_does_more_than_compute(tmp_path, attack):
    folder = save(tmp_path / "1", attack(tmp_path / "touched"))
    message = refused(folder)
    assert "which no exported model has" in message or "writes or reads files" in message
    assert not list(tmp_path.glob("touched*"))


def test_the_attack_is_one(tmp_path):
    """TensorFlow itself does what the graph says."""
    folder = save(tmp_path / "1", writes(tmp_path / "touched"))
    loaded = tf.saved_model.load(str(folder))
    loaded.signatures["serving_default"](image_bytes=tf.constant([PICTURE]))
    assert (tmp_path / "touched").read_text() == "written"


def test_a_function_within_a_dataset(tmp_path):
    def answer(image_bytes):
        def element(number):
            tf.io.write_file(str(tmp_path / "touched"), "written")
            return number

        tf.data.Dataset.range(1).map(element).reduce(tf.constant(0, tf.int64), lambda a, b: a + b)
        return answers(image_bytes)

    refused(save(tmp_path / "1", answer))


def edit_graph(version, edit):
    file = version / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    edit(saved)
    file.write_bytes(saved.SerializeToString())


def saving_functions(saved):
    functions = saved.meta_graphs[0].graph_def.library.function
    return [f for f in functions if any(node.op in SAVING for node in f.node_def)]


def test_an_answer_that_calls_what_saves(version):
    """Every operation is one of an honest model; a function is called that should not be."""

    def edit(saved):
        name = saving_functions(saved)[0].signature.name
        for function in saved.meta_graphs[0].graph_def.library.function:
            for node in function.node_def:
                if node.op == "StatefulPartitionedCall" and "f" in node.attr:
                    node.attr["f"].func.name = name
                    return

    edit_graph(version, edit)
    assert "writes or reads files" in refused(version)


def test_what_saves_under_the_name_of_an_operation(version):
    def edit(saved):
        saving_functions(saved)[0].signature.name = "Relu"

    edit_graph(version, edit)
    assert "writes or reads files" in refused(version)


def test_what_saves_as_a_part_of_the_object(version):
    def edit(saved):
        name = saving_functions(saved)[0].signature.name
        graph = saved.meta_graphs[0].object_graph_def
        next(n for n in graph.nodes if n.function.concrete_functions).function.concrete_functions[
            0
        ] = name

    edit_graph(version, edit)
    assert "writes or reads files" in refused(version)


def test_a_graph_of_tensorflow_1(version):
    def without_objects(saved):
        saved.meta_graphs[0].ClearField("object_graph_def")

    edit_graph(version, without_objects)
    assert "TensorFlow 2" in refused(version)


def test_two_graphs(version):
    edit_graph(version, lambda saved: saved.meta_graphs.add().CopyFrom(saved.meta_graphs[0]))
    assert "TensorFlow 2" in refused(version)


def test_a_graph_beyond_all_bounds(version):
    os.truncate(version / "saved_model.pb", 2**29)
    assert "more than 268,435,456 bytes" in refused(version)


WRONG_ANSWERS = {
    "labels": tf.zeros((1, 3)),
    "scores": tf.zeros((1, 4)),
    "status": tf.constant([["ok"]]),
    "label_scores": tf.zeros((2, 3)),
    "attention_maps": tf.zeros((1, 3, 5, 5)),
    "no such output": None,
}


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_answers_of_other_shapes(tmp_path, name):
    def answer(image_bytes):
        outputs = answers(image_bytes)
        if name in outputs:
            return {**outputs, name: WRONG_ANSWERS[name]}
        return {"other": outputs["scores"]}

    model = LocalModel.load(save(tmp_path / "1", answer))
    with pytest.raises(InputError, match="does not answer as an exported model") as error:
        model.predict([PICTURE])
    assert "\n" not in str(error.value)


def test_honest_answers_of_a_stranger(tmp_path):
    (answer,) = LocalModel.load(save(tmp_path / "1", answers)).predict([PICTURE])
    assert answer.ok and answer.labels == ["cat"] * 3


DESCRIPTIONS = {
    "names that are numbers": {"label_names": [1, 2, 3]},
    "names that a terminal obeys": {"label_names": ["cat", "\x1b[2J", "dog"]},
    "text for names": {"label_names": "cat"},
    "no names": {"label_names": []},
    "a square beyond all bounds": {"image_size": 10**9},
    "a size in words": {"image_size": "large"},
    "another resize": {"resize": "../../etc"},
    "cells of nothing": {"cells": []},
    "cells of words": {"cells": [["a", "b", "c", "d"]]},
    "cells without end": {"cells": [[0, 0, 1, 10**400]]},
    "too many cells": {"cells": [[0, 0, 1, 1]] * 70_000},
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_description_that_lies(version, case):
    file = version / DESCRIPTION_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **DESCRIPTIONS[case]}))
    with pytest.raises(InputError, match="keras_patchpu.json is damaged") as error:
        LocalModel.load(version)
    assert "\n" not in str(error.value)


def test_a_description_in_a_description(version):
    (version / DESCRIPTION_FILE).write_text("[" * 100_000)
    with pytest.raises(InputError, match="is damaged"):
        LocalModel.load(version)


def test_the_list_of_operations():
    """All are of TensorFlow, none of those that the names of others warn of."""
    for name in KNOWN | SAVING:
        assert op_def_registry.get(name) is not None, name
    warning = re.compile(
        "File|Py|Print|Save|Restore|Checkpoint|Record|Reader|Table|Cache|Snapshot|Rpc|Remote|"
        "Send|Recv|Debug|Summary|Xla|Custom|Service|Generator|Compile|Plugin|Load|Abort|Immutable"
    )
    assert [name for name in KNOWN if warning.search(name)] == []


@pytest.mark.slow
def test_the_model_of_the_most_operations(tmp_path):
    """Those of a ResNet and of a transformer; those of the patch model are in all tests above."""
    sizes = {"hidden_dim": 16, "num_heads": 2, "feedforward_dim": 8}
    model = Query2Label(3, image_size=64, dtype="mixed_bfloat16", **sizes)
    check_operations(export(model, tmp_path, NAMES))
