"""What TF Serving is started with and warmed up by."""

import pathlib
import re
import shlex
import stat

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from keras_patchpu import PatchClassifier
from keras_patchpu.errors import InputError
from keras_patchpu.serving import export, how_to_serve, warm_up

NAME = 'two words, "quotes" and 牛'


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    return export(model, tmp_path_factory.mktemp("models") / NAME, ["cat", "dog", "牛"], version=4)


def test_models_config_is_what_the_server_reads(version):
    text = (version.parent / "models.config").read_text(encoding="utf-8")
    message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (config,) = message.model_config_list.config
    assert config.name == NAME
    assert config.base_path == f"/models/{NAME}"
    assert config.model_platform == "tensorflow"


def test_batching_parameters(version):
    # Their proto is in no package: the names are those of BatchingParameters in
    # tensorflow_serving/servables/tensorflow/session_bundle_config.proto, each a wrapped number.
    text = (version.parent / "batching.txt").read_text(encoding="utf-8")
    values = dict(re.findall(r"^(\w+) \{ value: (\d+) \}$", text, flags=re.MULTILINE))
    assert len(values) == text.count("\n")
    assert values.keys() == {
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
    }


def test_the_command_mounts_what_the_config_names(version):
    server, ask = how_to_serve(version.parent).splitlines()
    arguments = shlex.split(server.removeprefix("server "))
    assert arguments[:2] == ["docker", "run"]
    mounted, inside, mode = arguments[arguments.index("-v") + 1].split(":")
    assert (pathlib.Path(mounted), inside, mode) == (version.parent, f"/models/{NAME}", "ro")
    assert f"--model_config_file={inside}/models.config" in arguments
    assert f"--batching_parameters_file={inside}/batching.txt" in arguments
    url = shlex.split(ask.removeprefix("ask "))[-1]
    assert url.startswith("http://localhost:8501/v1/models/two%20words")


def test_the_server_is_not_newer_than_tensorflow():
    image = how_to_serve(".").split("tensorflow/serving:")[1].split()[0]
    minor = [int(number) for number in image.split(".")[:2]]
    assert minor <= [int(number) for number in tf.__version__.split(".")[:2]]


def test_edited_files_are_kept(tmp_path):
    keras.utils.set_random_seed(0)
    model = PatchClassifier(2, image_size=64, patch_size=64, num_levels=1, embedding_dim=4)
    (tmp_path / "batching.txt").write_text("max_batch_size { value: 3 }\n")
    export(model, tmp_path, ["a", "b"])
    assert (tmp_path / "batching.txt").read_text() == "max_batch_size { value: 3 }\n"
    assert (tmp_path / "models.config").exists()
    # Read by the user of the container, who is another.
    assert (tmp_path / "models.config").stat().st_mode & stat.S_IROTH


def replay(version):
    """What the server does with the file: the outputs of each request, through a v1 session."""
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(version))
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            request = log.predict_log.request
            signature = loaded.signature_def[request.model_spec.signature_name]
            assert request.inputs.keys() == signature.inputs.keys()
            feed = {
                signature.inputs[name].name: tf.make_ndarray(tensor)
                for name, tensor in request.inputs.items()
            }
            fetch = {name: info.name for name, info in signature.outputs.items()}
            yield request.model_spec, session.run(fetch, feed)


@pytest.mark.filterwarnings("ignore:.*tf_record_iterator:DeprecationWarning")
def test_warm_up_requests_are_answered(version):
    answers = list(replay(version))
    assert [spec.signature_name for spec, _ in answers] == ["serving_default", "serve_images"]
    assert {spec.name for spec, _ in answers} == {NAME}
    for _, answer in answers:
        assert answer["status"].tolist() == [b"ok"]
        assert answer["scores"].shape == (1, 3)
    # Both black, one of them twice as large.
    np.testing.assert_allclose(answers[0][1]["scores"], answers[1][1]["scores"], atol=1e-6)


def test_without_the_serving_api_there_is_no_warm_up(tmp_path, monkeypatch):
    monkeypatch.setattr(warm_up.importlib.util, "find_spec", lambda name: None)
    model = PatchClassifier(2, image_size=64, patch_size=64, num_levels=1, embedding_dim=4)
    version = export(model, tmp_path / "model", ["a", "b"])
    assert not (version / warm_up.WARM_UP_FILE).exists()
    tf.saved_model.load(str(version))


def test_a_full_disk_is_one_line(tmp_path, files_of_at_most):
    model = PatchClassifier(2, image_size=64, patch_size=64, num_levels=1, embedding_dim=4)
    with files_of_at_most(1000), pytest.raises(InputError) as error:
        export(model, tmp_path, ["a", "b"])
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
