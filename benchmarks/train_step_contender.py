"""One way to train the model, in a process of its own; `train_step.py` starts it and asks.

    python benchmarks/train_step_contender.py NAME FOLDER CALLS

FOLDER has what `serving_contender.write_model` writes, `images.npy` `(B, S, S, 3)` and
`observed.npy` `(B, L)`. Prints a JSON line: the seconds
of each call, the first of which compiles; the images of a call; the loss of the first one; and the
peak memory of the process in MB.
"""

import dataclasses
import json
import pathlib
import sys
import time

import numpy as np
from serving_contender import peak_memory, torch_model

LEARNING_RATE = 1e-3
STEPS_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is different from a plain training step of `PatchClassifier`."""

    rematerialise: bool = False
    policy: str = "float32"
    patches_kept: float = 1.0
    accumulated: int = 1  # batches of a step
    at_once: int = 1  # steps of a call
    xla: bool = False
    time_distributed_of_keras: bool = False


def keras_step(changes):
    def load(folder):
        import quiet_start  # noqa: F401  not for the contender without TensorFlow

        # isort: split
        import keras

        from keras_patchpu import losses

        model = build(folder, changes)
        optimizer = keras.optimizers.Adam(
            LEARNING_RATE,
            gradient_accumulation_steps=changes.accumulated if changes.accumulated > 1 else None,
        )
        model.compile(
            optimizer,
            losses.get("an"),
            steps_per_execution=changes.at_once,
            jit_compile=changes.xla,
        )
        return training_step(folder, model, changes)

    return load


def build(folder, changes):
    """The model of the folder with the changes, and its weights."""
    import keras

    from keras_patchpu import PatchClassifier

    model = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    config = {**model.get_config(), "dtype": changes.policy}
    config["rematerialise"] = changes.rematerialise
    if changes.patches_kept < 1:
        grids = model.attention_grids
        kept = [max(1, round(changes.patches_kept * rows * columns)) for rows, columns in grids]
        config["patches_per_level"] = kept
    if changes.time_distributed_of_keras:
        import keras_patchpu.models.patch_classifier as module

        module.TimeDistributed = keras.layers.TimeDistributed
    changed = PatchClassifier(**config)
    changed.set_weights(model.get_weights())
    return changed


def training_step(folder, model, changes):
    import tensorflow as tf

    images, observed = load_batch(folder)
    parts = changes.accumulated
    batch = tf.data.Dataset.from_tensor_slices((images, {"observed": observed}))
    batches = iter(batch.batch(len(images) // parts).cache().repeat())
    model.make_train_function()

    def call():
        for _ in range(parts):
            logs = model.train_function(batches)
        return float(logs["loss"])

    return call, changes.at_once * len(images)


def load_batch(folder):
    return np.load(folder / "images.npy"), np.load(folder / "observed.npy")


def torch_step(folder):
    """In channels_last, as the plain model."""
    import torch

    model = torch_model(folder).train()
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, eps=1e-7)
    images, observed = map(torch.from_numpy, load_batch(folder))

    def call():
        optimizer.zero_grad()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            model(images), observed, reduction="none"
        )
        loss = losses.sum(1).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return call, len(images)


CONTENDERS = {
    "plain": keras_step(Changes()),
    "rematerialise": keras_step(Changes(rematerialise=True)),
    "bfloat16": keras_step(Changes(policy="mixed_bfloat16")),
    "a quarter of the patches": keras_step(Changes(patches_kept=0.25)),
    "4 accumulated": keras_step(Changes(accumulated=4)),
    f"{STEPS_AT_ONCE} steps at once": keras_step(Changes(at_once=STEPS_AT_ONCE)),
    "XLA": keras_step(Changes(xla=True)),
    "TimeDistributed of Keras": keras_step(Changes(time_distributed_of_keras=True)),
    "PyTorch": torch_step,
}


def main():
    name, folder, calls = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    call, images = CONTENDERS[name](folder)
    losses, seconds = [], []
    for _ in range(calls):
        started = time.perf_counter()
        losses.append(call())
        seconds.append(time.perf_counter() - started)
    answer = {"seconds": seconds, "images": images, "loss": losses[0]}
    print(json.dumps({**answer, "megabytes": peak_memory()}))


if __name__ == "__main__":
    main()
