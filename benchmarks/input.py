"""Does training wait for its pictures? How fast they come, beside how fast they are used.

    python benchmarks/input.py --data /path/to/VOCdevkit --out benchmarks/results/input.json

Images a second at 320 pixels (3 levels) and 640 (4) of

- `decode`: decoding and resizing of pictures that are in memory,
- `files`: `training_batches` from the JPEG files,
- `cache`: `training_batches` from the cache of resized pictures,
- `augmented`: the same with everything that `data.AUGMENTATIONS` has,
- `step`: the compiled training step on a batch that is there already.

Each has a process of its own; those of the input also a second one that is held to one core. They
take turns, so that what else the machine does meets all of them alike; reported are medians over
the turns. All files are in the memory of the operating system, as in every epoch but the first
where there is enough of it.
"""

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import tensorflow as tf

from keras_patchpu import PatchClassifier, data, losses, training
from keras_patchpu.errors import InputError

LEVELS = {320: 3, 640: 4}
# What the input of a machine with a GPU and so many cores has to reach from the cache.
GPU_CORES, GPU_IMAGES_PER_SECOND = 16, 2000
# A pass over the pictures from the cache is too short to be timed.
CACHE_PASSES = 4


@dataclasses.dataclass(frozen=True)
class Work:
    """What a contender gets."""

    examples: data.Examples
    size: int
    batch_size: int
    steps: int
    cache: pathlib.Path

    def batches(self, cached, **options):
        observed = data.observe(self.examples, "uniform", seed=0)
        return data.training_batches(
            self.examples, observed, self.batch_size, self.size, cached=cached, **options
        )

    def cached(self):
        return data.PictureCache(self.cache).get(self.examples, self.size, progress=False)


# Each gives a function that is one turn and returns the number of images.


def decode(work):
    encoded = [pathlib.Path(image).read_bytes() for image in work.examples.images]
    examples = dataclasses.replace(work.examples, images=encoded)

    def turn():
        data.load_images(examples, work.size, keep=False, progress=False)
        return len(examples)

    return turn


def files(work):
    batches = work.batches(None)
    return lambda: sum(len(images) for images, _ in batches)


def cache(work):
    batches = work.batches(work.cached(), epochs=CACHE_PASSES)
    return lambda: sum(len(images) for images, _ in batches)


def augmented(work):
    batches = work.batches(work.cached(), augment=data.AUGMENTATIONS)
    return lambda: sum(len(images) for images, _ in batches)


def step(work):
    keras.utils.set_random_seed(0)
    num_levels = LEVELS[work.size]
    model = PatchClassifier(len(work.examples.label_names), work.size, 64, num_levels)
    recipe = training.Recipe(work.size, 64, num_levels)
    optimizer = training.make_optimizer(recipe, len(work.examples))
    model.compile(optimizer, loss=losses.get("wn"))
    batch = next(iter(work.batches(work.cached())))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    model.make_train_function()

    def turn():
        for _ in range(work.steps):
            logs = model.train_function(batches)
        float(logs["loss"])  # which waits for it
        return work.steps * len(batch[0])

    return turn


class Contender:
    """A process on some cores that takes a turn when asked."""

    def __init__(self, make, work, cores):
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=take_turns, args=(there, make, work), daemon=True)
        all_cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # a new process has those of the thread that starts it
        self.process.start()
        os.sched_setaffinity(0, all_cores)
        there.close()

    def images_per_second(self):
        self.pipe.send(True)
        return self.pipe.recv()

    def close(self):
        self.pipe.send(False)
        self.process.join()


def take_turns(pipe, make, work):
    """The life of a contender's process."""
    turn = make(work)
    with contextlib.suppress(EOFError):  # the benchmark was stopped
        while pipe.recv():
            started = time.perf_counter()
            images = turn()
            pipe.send(images / (time.perf_counter() - started))


def measure(work, repeats):
    """Medians of all contenders at one size, and what follows from them."""
    work.cached()
    cores = os.sched_getaffinity(0)
    one_core = {min(cores)}
    contenders = {
        (make.__name__, len(held_to)): Contender(make, work, held_to)
        for held_to in (cores, one_core)
        for make in (decode, files, cache, augmented, step)
        if make is not step or held_to is cores
    }
    speeds = {key: [] for key in contenders}
    for repeat in range(-1, repeats):  # the first turn compiles, and is not counted
        for key, contender in contenders.items():
            speed = contender.images_per_second()
            if repeat >= 0:
                speeds[key].append(speed)
    for contender in contenders.values():
        contender.close()

    medians = {key: statistics.median(values) for key, values in speeds.items()}
    whole = {name: speed for (name, held_to), speed in medians.items() if held_to == len(cores)}
    single = {name: speed for (name, held_to), speed in medians.items() if held_to == 1}
    return {
        "images_per_second": rounded(whole),
        "input_over_step": rounded({name: whole[name] / whole["step"] for name in single}),
        "images_per_second_on_one_core": rounded(single),
        "from_the_cache_on_a_gpu_machine": {
            "cores": GPU_CORES,
            "one_core_times_cores": round(GPU_CORES * single["cache"]),
            "wanted": GPU_IMAGES_PER_SECOND,
            "gigabytes_per_second_of_wanted": 3e-9 * work.size**2 * GPU_IMAGES_PER_SECOND,
        },
    }


def rounded(values):
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of a data set of JPEG files")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--pictures", type=int, default=256, help="of the training split")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1, help="training steps of a turn")
    parser.add_argument("--repeats", type=int, default=7, help="turns that count")
    parser.add_argument("--sizes", type=int, nargs="+", choices=LEVELS, default=list(LEVELS))
    options = parser.parse_args()
    try:
        examples = data.drop_unlabelled(data.read_source(options.data)[0])
    except InputError as error:
        print(f"input: {error}", file=sys.stderr)
        return 2
    examples = examples.select(range(min(options.pictures, len(examples))))

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            cache_folder = pathlib.Path(folder)
            work = Work(examples, size, options.batch_size, options.steps, cache_folder)
            try:
                results[size] = measure(work, options.repeats)
            except EOFError:
                print(
                    f"input: a process ended at {size} pixels, likely killed for its memory: give "
                    "a smaller --batch-size",
                    file=sys.stderr,
                )
                return 2
            print(json.dumps({size: results[size]}, indent=1), flush=True)
    sizes = [os.path.getsize(image) for image in examples.images]
    result = {
        "command": " ".join(sys.argv),
        "data": f"{examples.name} {examples.split}",
        "pictures": len(examples),
        "median_picture_kb": round(statistics.median(sizes) / 1e3, 1),
        "batch_size": options.batch_size,
        "repeats": options.repeats,
        "results": results,
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "cores": len(os.sched_getaffinity(0)),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
