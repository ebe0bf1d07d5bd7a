"""Who stops the program while pictures are read does not wait for all of them."""

import concurrent.futures
import os
import time

import pytest

from keras_patchpu.data import load_images, loading, read_voc
from keras_patchpu.inspection import picture_facts


@pytest.mark.parametrize("handed_out", [1, 10, 19, 20])
@pytest.mark.parametrize("module", [loading, picture_facts])
def test_stopped_while_work_is_handed_out(monkeypatch, tmp_path, make_voc, module, handed_out):
    examples = read_voc(make_voc(tmp_path, num_train=20), "train")
    read, submit, begun = loading.read_encoded, concurrent.futures.ThreadPoolExecutor.submit, []

    def read_slowly(*arguments):
        begun.append(arguments)
        time.sleep(0.5)
        return read(*arguments)

    def submit_and_stop(pool, *arguments):
        future = submit(pool, *arguments)
        if arguments[-1] == handed_out - 1:
            raise KeyboardInterrupt
        return future

    monkeypatch.setattr(module, "read_encoded", read_slowly)
    monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", submit_and_stop)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        if module is loading:
            load_images(examples, 32, progress=False)
        else:
            picture_facts.read_facts(examples, progress=False)
    assert len(begun) <= 4
