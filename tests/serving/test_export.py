"""The SavedModel: it answers as the model does, and is there whole or not at all."""

import concurrent.futures
import io
import itertools
import pathlib

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from keras_patchpu import PatchClassifier
from keras_patchpu.data import decode_and_resize
from keras_patchpu.errors import InputError
from keras_patchpu.layers import PatchPyramid
from keras_patchpu.serving import export
from keras_patchpu.serving.pictures import NO_PICTURE, TOO_LARGE

SIZE = 64
NAMES = ("Katze", "Hündin", "牛", "🐎", "naïve label, with a comma", "person", "sheep")
SERVER_FILES = ("batching.txt", "models.config")


def picture(kind, seed=0, size=(90, 50)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype="uint8")
    # Smooth, so that JPEG keeps some of it.
    image = Image.fromarray(pixels).resize((9, 5)).resize(size)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def trained_like_model():
    keras.utils.set_random_seed(0)
    model = PatchClassifier(len(NAMES), SIZE, patch_size=32, num_levels=2, embedding_dim=8)
    # Untrained, all scores are 1 / 7: larger weights make labels and images differ.
    for variable in model.trainable_variables:
        if variable.path.endswith("patch_embedder/dense/kernel"):
            variable.assign(2e6 * variable)
    return model


def zeros(colour):
    return keras.layers.Dense(5, kernel_initializer="zeros", trainable=False)(colour)


def tiny_model(num_labels=3):
    """Another model with logits, which is exported in a second."""
    inputs = keras.Input((SIZE, SIZE, 3))
    colour = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    logits = keras.layers.Dense(num_labels)(colour)
    # As many patches as the pyramid has, 4 and 1, attended to alike.
    attention = keras.layers.Softmax()(keras.layers.RepeatVector(num_labels)(zeros(colour)))
    model = keras.Model(inputs, {"logits": logits, "attention": attention})
    model.image_size = SIZE
    pyramid = PatchPyramid(patch_size=32, num_levels=2)
    model.attention_grids = pyramid.grids(SIZE, SIZE)
    model.attention_boxes = pyramid.boxes(SIZE, SIZE)
    return model


def expected_scores(model, pictures, resize="stretch"):
    images = np.stack([decode_and_resize(p, SIZE, resize).numpy() for p in pictures])
    logits = model.predict(images, verbose=0)["logits"].astype("float64")
    return 1 / (1 + np.exp(-logits))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model, the path of its SavedModel, and what `tf.saved_model.load` makes of it."""
    model = trained_like_model()
    path = export(model, tmp_path_factory.mktemp("models") / "a" / "b", NAMES)
    return model, path, tf.saved_model.load(str(path))


@pytest.mark.parametrize("kinds", [("jpeg",), ("png",), ("jpeg", "png", "jpeg")], ids=len)
def test_bytes_get_the_scores_of_the_model(exported, kinds):
    model, _, loaded = exported
    pictures = [picture(kind, seed) for seed, kind in enumerate(kinds)]
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(pictures))
    scores = expected_scores(model, pictures)
    np.testing.assert_allclose(answer["scores"], scores, atol=1e-6)
    assert np.ptp(scores, axis=1).min() > 0.1
    assert len(kinds) == 1 or np.ptp(scores, axis=0).max() > 0.005


def test_labels_come_best_first(exported):
    model, _, loaded = exported
    pictures = [picture("png", seed) for seed in range(3)]
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(pictures))
    scores = expected_scores(model, pictures)
    order = np.argsort(-scores, axis=1)[:, :5]
    names = np.vectorize(lambda name: name.decode("utf-8"))(answer["labels"].numpy())
    np.testing.assert_array_equal(names, np.array(NAMES)[order])
    best = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_allclose(answer["label_scores"], best, atol=1e-6)
    assert len({tuple(row) for row in names}) > 1  # not the same answer to everything


def test_pictures_of_different_sizes_make_one_batch(exported):
    model, _, loaded = exported
    pictures = [picture("jpeg", 0, (33, 120)), picture("png", 1, (1, 1))]
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(pictures))
    np.testing.assert_allclose(answer["scores"], expected_scores(model, pictures), atol=1e-6)


@pytest.mark.parametrize("num_images", [1, 3])
def test_decoded_images_get_the_same_scores(exported, num_images):
    model, _, loaded = exported
    pictures = [picture("png", seed) for seed in range(num_images)]
    images = tf.stack([tf.cast(decode_and_resize(p, SIZE), tf.float32) for p in pictures])
    answer = loaded.signatures["serve_images"](images=images)
    np.testing.assert_allclose(answer["scores"], expected_scores(model, pictures), atol=1e-6)


@pytest.mark.parametrize("num_images", [1, 3])
@pytest.mark.parametrize("signature", ["serving_default", "serve_images"])
def test_names_and_shapes(exported, signature, num_images):
    _, _, loaded = exported
    if signature == "serving_default":
        inputs = {"image_bytes": tf.constant([picture("jpeg")] * num_images)}
    else:
        inputs = {"images": tf.zeros((num_images, SIZE, SIZE, 3))}
    answer = loaded.signatures[signature](**inputs)
    shapes = {name: (value.dtype, tuple(value.shape)) for name, value in answer.items()}
    assert shapes == {
        "scores": (tf.float32, (num_images, len(NAMES))),
        "labels": (tf.string, (num_images, 5)),
        "label_scores": (tf.float32, (num_images, 5)),
        "attention_maps": (tf.float32, (num_images, 5, 2, 2)),
        "status": (tf.string, (num_images,)),
    }
    assert not any(name.endswith("_bytes") for name in shapes)  # TF Serving would base64 them


def test_maps_are_those_of_the_labels_named(exported):
    model, _, loaded = exported
    pictures = [picture("png", seed) for seed in range(3)]
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(pictures))
    images = np.stack([decode_and_resize(p, SIZE).numpy() for p in pictures])
    attention = model.predict(images, verbose=0)["attention"]
    # Level 0 is the 2 by 2 patches themselves, level 1 one patch over all of them.
    maps = attention[..., :4].reshape(3, len(NAMES), 2, 2) + attention[..., 4:, None]
    order = np.argsort(-expected_scores(model, pictures), axis=1)[:, :5]
    expected = np.take_along_axis(maps, order[..., None, None], axis=1)
    np.testing.assert_allclose(answer["attention_maps"], expected, atol=1e-5)


def huge_png():
    """A few bytes that claim 12,000 by 12,000 pixels."""
    content = bytearray(picture("png"))
    content[16:24] = (12000).to_bytes(4, "big") * 2
    return bytes(content)


BROKEN = {
    b"": NO_PICTURE,
    b"no picture": NO_PICTURE,
    b"\xff\xd8": NO_PICTURE,
    b"\xff\xd8" + b"x" * 60: NO_PICTURE,
    picture("jpeg")[:-20]: NO_PICTURE,
    picture("png")[:-20]: NO_PICTURE,
    huge_png(): TOO_LARGE,
}


def test_a_broken_picture_does_not_fail_its_neighbours(exported):
    model, _, loaded = exported
    good = [picture("jpeg"), picture("png", 1), picture("gif", 2), picture("bmp", 3)]
    batch = [content for pair in itertools.zip_longest(BROKEN, good) for content in pair if content]
    batch = [b"", *batch]
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(batch))
    status = [text.decode() for text in answer["status"].numpy()]
    assert status == [BROKEN.get(content, "ok") for content in batch]

    is_good = np.array(status) == "ok"
    expected = expected_scores(model, good)
    np.testing.assert_allclose(answer["scores"].numpy()[is_good], expected, atol=1e-6)
    for name in ("scores", "label_scores", "attention_maps"):
        assert not answer[name].numpy()[~is_good].any()
    assert set(answer["labels"].numpy()[~is_good].ravel()) == {b""}


@hypothesis.settings(deadline=None, max_examples=150)
@hypothesis.given(strategies.data())
def test_any_bytes_are_answered(exported, data):
    _, _, loaded = exported
    start = data.draw(strategies.sampled_from([b"", picture("jpeg"), picture("png")]))
    content = bytearray(start + data.draw(strategies.binary(max_size=80)))
    for _ in range(data.draw(strategies.integers(0, 4))):
        if content:
            place = data.draw(strategies.integers(0, len(content) - 1))
            content[place] = data.draw(strategies.integers(0, 255))
    content = bytes(content[: data.draw(strategies.integers(0, len(content)))])
    pictures = tf.constant([content, picture("png")])
    answer = loaded.signatures["serving_default"](image_bytes=pictures)
    assert answer["status"][0] in (b"ok", NO_PICTURE.encode(), TOO_LARGE.encode())
    assert answer["status"][1] == b"ok"


def test_core_ops_and_no_tables(exported):
    _, path, _ = exported
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    nodes = list(graph.graph_def.node)
    for function in graph.graph_def.library.function:
        nodes += function.node_def
    ops = {node.op for node in nodes}
    assert len(ops) > 20
    assert not [op for op in ops if "PyFunc" in op or "Table" in op or "Xla" in op]
    assert list((path / "assets").iterdir()) == []


def test_it_goes_where_it_was_told(exported):
    _, path, _ = exported
    assert path.parts[-3:] == ("a", "b", "1")
    assert names_in(path.parent) == ["1", *SERVER_FILES]


def test_fewer_labels_than_are_named_at_most(tmp_path):
    path = export(tiny_model(), tmp_path, NAMES[:3])
    answer = tf.saved_model.load(str(path)).signatures["serving_default"](
        image_bytes=tf.constant([picture("png")])
    )
    assert answer["labels"].shape == (1, 3)


def test_resize_is_that_of_the_training(tmp_path):
    model = tiny_model()
    path = export(model, tmp_path, NAMES[:3], resize="pad")
    pictures = [picture("png")]
    answer = tf.saved_model.load(str(path)).signatures["serving_default"](
        image_bytes=tf.constant(pictures)
    )
    padded = expected_scores(model, pictures, "pad")
    np.testing.assert_allclose(answer["scores"], padded, atol=1e-6)
    assert np.abs(padded - expected_scores(model, pictures)).max() > 1e-3


def test_a_trained_model_is_exported_as_it_is(tmp_path):
    model = tiny_model()
    model.compile("adam", loss={"logits": "mse"})
    model.fit(np.ones((2, SIZE, SIZE, 3)), {"logits": np.ones((2, 3))}, verbose=0)
    path = export(model, tmp_path, NAMES[:3])
    pictures = [picture("png")]
    answer = tf.saved_model.load(str(path)).signatures["serving_default"](
        image_bytes=tf.constant(pictures)
    )
    np.testing.assert_allclose(answer["scores"], expected_scores(model, pictures), atol=1e-6)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def content_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in pathlib.Path(folder).rglob("*")
    }


def test_a_version_is_not_overwritten(tmp_path):
    model = tiny_model()
    export(model, tmp_path, NAMES[:3], version=7)
    before = content_of(tmp_path)
    with pytest.raises(InputError) as error:
        export(model, tmp_path, NAMES[:3], version=7)
    assert str(tmp_path / "7") in str(error.value) and "\n" not in str(error.value)
    assert content_of(tmp_path) == before


def test_no_version_is_the_next_one(tmp_path):
    model = tiny_model()
    for name in ("2", "10", "best", ".unfinished-11"):
        (tmp_path / name).mkdir()
    assert export(model, tmp_path, NAMES[:3], version=None) == tmp_path / "11"
    assert export(model, tmp_path / "new", NAMES[:3], version=None) == tmp_path / "new" / "1"
    assert names_in(tmp_path) == ["10", "11", "2", "batching.txt", "best", "models.config", "new"]


def test_two_at_once_get_a_version_each(tmp_path):
    models = [tiny_model(), tiny_model()]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        exported = pool.map(lambda model: export(model, tmp_path, NAMES[:3], None), models)
        assert sorted(path.name for path in exported) == ["1", "2"]
    assert names_in(tmp_path) == ["1", "2", *SERVER_FILES]


@pytest.mark.parametrize("version", [0, -3])
def test_a_version_that_is_none(tmp_path, version):
    with pytest.raises(ValueError, match=f"version={version}"):
        export(tiny_model(), tmp_path / "a", NAMES[:3], version)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [(), NAMES[:2], NAMES[:4]], ids=len)
def test_a_wrong_number_of_names_writes_nothing(tmp_path, names):
    with pytest.raises(ValueError, match="Expected 3 names"):
        export(tiny_model(), tmp_path / "a", names)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_does_no_harm(tmp_path):
    left = tmp_path / ".unfinished-1" / "variables"
    left.mkdir(parents=True)
    (left / "variables.index").write_bytes(b"x")
    export(tiny_model(), tmp_path, NAMES[:3])
    assert names_in(tmp_path) == ["1", *SERVER_FILES]
    tf.saved_model.load(str(tmp_path / "1"))


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, files_of_at_most):
    with files_of_at_most(2000), pytest.raises(InputError) as error:
        export(tiny_model(), tmp_path, NAMES[:3])
    assert str(tmp_path / "1") in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.saved_model, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(tiny_model(), tmp_path, NAMES[:3])
    assert list(tmp_path.iterdir()) == []
