"""How much the fused BatchNormalization gains in a training step of the patch embedder.

    python benchmarks/batch_normalization.py --out benchmarks/results/batch_normalization.json

Alternates both layers in one process and reports medians and their ratio.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import tensorflow as tf

from keras_patchpu.layers import BatchNormalization, PatchEmbedder


def make_step(num_patches, patch_size, call):
    """A compiled forward and backward pass through an embedder with that BatchNormalization."""
    embedder = PatchEmbedder()
    embedder.build((None, patch_size, patch_size, 3))
    patches = tf.random.stateless_uniform((num_patches, patch_size, patch_size, 3), (0, 0)) * 255

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(embedder(patches, training=True)))
        variables = [variable.value for variable in embedder.trainable_variables]
        return loss, tape.gradient(loss, variables)

    fused = BatchNormalization.call
    BatchNormalization.call = call
    step()
    BatchNormalization.call = fused
    return step


def seconds(step):
    started = time.perf_counter()
    step()[0].numpy()
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--patches", type=int, default=480)
    parser.add_argument("--patch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()

    calls = {"fused": BatchNormalization.call, "keras": keras.layers.BatchNormalization.call}
    steps = {
        name: make_step(options.patches, options.patch_size, call) for name, call in calls.items()
    }
    times = {name: [] for name in steps}
    for _ in range(options.repeats):
        for name, step in steps.items():
            times[name].append(seconds(step))
    medians = {name: statistics.median(values) for name, values in times.items()}
    result = {
        "command": " ".join(sys.argv),
        "patches_per_second": {name: options.patches / value for name, value in medians.items()},
        "ratio": medians["keras"] / medians["fused"],
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "cores": os.cpu_count(),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
