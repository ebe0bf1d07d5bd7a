"""Good and broken pictures at full load for a long time: do answers stay right, and memory flat?

    python benchmarks/soak.py --minutes 20 --out benchmarks/results/soak.json

Exports a model, starts the tests' server on it (`tests/serving/protocol_server.py`, which speaks TF
Serving's protocols and is not TF Serving), and asks it from several threads by REST and gRPC about
whole, broken, tiny and mutated pictures in a random order, some alone and some together with
others. What each picture is answered when nothing else is going on is what it has to be answered
each time. The memory of the server is looked at every ten seconds.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import numpy as np
import sklearn.datasets
from PIL import Image

from keras_patchpu import PatchClassifier, serving

SERVER = pathlib.Path(__file__).parents[1] / "tests" / "serving" / "protocol_server.py"
NAME = "soak"
THREADS = 8


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def make_pictures() -> list[bytes]:
    """Two photographs in many forms, half of them broken."""
    photographs = [Image.fromarray(image) for image in sklearn.datasets.load_sample_images().images]
    huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (12000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    pictures = [b"", b"no picture", huge + bytes(30)]
    rng = np.random.default_rng(0)
    for image in photographs:
        forms = [
            encoded(image, "jpeg"),
            encoded(image.convert("CMYK"), "jpeg"),
            encoded(image.convert("L"), "png"),
            encoded(image.convert("P"), "gif"),
            encoded(image.resize((1, 1)), "png"),
            encoded(image.resize((300, 40)), "bmp"),
        ]
        pictures += forms
        for form in forms:
            pictures.append(form[: int(rng.integers(1, len(form)))])
            flipped = np.frombuffer(form, "uint8").copy()
            flipped[rng.integers(0, len(form), 5)] ^= rng.integers(1, 256, 5, dtype="uint8")
            pictures.append(flipped.tobytes())
    return pictures


@contextlib.contextmanager
def start_server():
    """The server's process and its two URLs."""
    keras.utils.set_random_seed(0)
    model = PatchClassifier(5, image_size=96, patch_size=32, num_levels=2)
    with tempfile.TemporaryDirectory() as folder:
        names = ["a", "b", "c", "d", "e"]
        version = serving.export(model, pathlib.Path(folder) / NAME, names)
        command = [sys.executable, SERVER, version, "--name", NAME]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            ports = json.loads(process.stdout.readline())
            yield (
                process,
                [
                    f"http://127.0.0.1:{ports['rest']}/v1/models/{NAME}",
                    f"grpc://127.0.0.1:{ports['grpc']}/v1/models/{NAME}",
                ],
            )
        finally:
            process.kill()
            process.wait()


@dataclasses.dataclass
class Soak:
    """What the threads share."""

    urls: list[str]
    pictures: list[bytes]
    expected: list[serving.Answer]
    ends: float
    requests: int = 0
    answers: int = 0
    broken: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def ask(self, seed):
        """One thread: asks until the time is over."""
        rng = np.random.default_rng(seed)
        with serving.Client(self.urls[seed % 2], timeout=120) as client:
            while time.monotonic() < self.ends:
                rows = rng.integers(0, len(self.pictures), rng.integers(1, 9))
                try:
                    answers = client.predict([self.pictures[row] for row in rows])
                except Exception as error:  # whatever it is, it is what we look for
                    with self.lock:
                        self.failures.append(f"{type(error).__name__}: {error}")
                    continue
                self.compare(rows, answers)

    def compare(self, rows, answers):
        expected = [self.expected[row] for row in rows]
        wrong = [
            f"picture {row}: {answer.status}, expected {right.status}"
            for row, answer, right in zip(rows, answers, expected, strict=True)
            if answer.status != right.status
            or not np.allclose(answer.scores, right.scores, atol=1e-5)
        ]
        with self.lock:
            self.requests += 1
            self.answers += len(rows)
            self.broken += sum(not right.ok for right in expected)
            self.failures += wrong


def resident_megabytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--minutes", type=float, default=20)
    options = parser.parse_args()

    pictures = make_pictures()
    with start_server() as (process, urls):
        with serving.Client(urls[0], timeout=120) as client:
            expected = [client.predict([picture])[0] for picture in pictures]
        soak = Soak(urls, pictures, expected, time.monotonic() + 60 * options.minutes)
        threads = [threading.Thread(target=soak.ask, args=(seed,)) for seed in range(THREADS)]
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            time.sleep(min(10, 6 * options.minutes))
            if process.poll() is not None:
                print(f"soak: the server ended with {process.returncode}", file=sys.stderr)
                return 1
            memory.append(round(resident_megabytes(process), 1))
            print(
                f"{soak.requests:8} requests  {len(soak.failures)} failures  {memory[-1]} MB",
                flush=True,
            )
        for thread in threads:
            thread.join()

    quarter = max(1, len(memory) // 4)
    result = {
        "command": " ".join(sys.argv),
        "minutes": options.minutes,
        "pictures": len(pictures),
        "requests": soak.requests,
        "answers": soak.answers,
        "answers_to_broken_pictures": soak.broken,
        "failures": len(soak.failures),
        "first_failures": soak.failures[:10],
        "megabytes": {
            "after_first_quarter": statistics.median(memory[quarter : 2 * quarter] or memory),
            "last_quarter": statistics.median(memory[-quarter:]),
            "every_ten_seconds": memory,
        },
        "cores": os.cpu_count(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
