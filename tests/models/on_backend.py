"""What the backends are compared by: `python on_backend.py make|run FOLDER NAME...`.

`make` writes `<name>.keras`; `run` loads it, predicts, trains where there is a loss, and writes
`<name>.<backend>.npz`. The backend is that of KERAS_BACKEND.
"""

import pathlib
import sys

import keras
import numpy as np
from remembered_images import NUM_LABELS, OPTIONS, SIZE, Colours, data

from keras_patchpu import PatchClassifier, losses
from keras_patchpu.models import Query2Label, ResNet50Classifier

EPOCHS = 3


def randomize_statistics(model):
    """No normalization is where it starts, which is next to no normalization."""
    rng = np.random.default_rng(2)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, variance = rng.uniform(0.5, 1.5, (2, layer.gamma.shape[0]))
            beta, mean = rng.normal(0, 0.1, (2, layer.gamma.shape[0]))
            layer.set_weights([gamma, beta, mean, variance])


def network(name):
    if name == "patch":
        return PatchClassifier(NUM_LABELS, image_size=SIZE, patch_size=32, num_levels=2)
    if name == "resnet50":
        return ResNet50Classifier(NUM_LABELS, SIZE)
    small = {"hidden_dim": 16, "num_heads": 2, "feedforward_dim": 16}
    return Query2Label(NUM_LABELS, SIZE, dropout=0.0, **small)


def make(folder, *names):
    for name in names:
        keras.utils.set_random_seed(1)
        if name.startswith("loss "):
            # Compiled in a moment with each kind of memory.
            model, loss = Colours(), name.removeprefix("loss ")
            model.compile(keras.optimizers.Adam(0.03), losses.get(loss, **OPTIONS.get(loss, {})))
        else:
            model = network(name)
            randomize_statistics(model)
        if name == "patch":
            model.compile(keras.optimizers.SGD(1e-3), losses.get("wn"))
        model.save(folder / f"{name}.keras")


def run(folder, *names):
    images, y_true = data()
    for name in names:
        model = keras.models.load_model(folder / f"{name}.keras")
        result = model.predict(images, verbose=0)
        if model.compiled:
            before = [variable.numpy() for variable in model.variables]
            # Of equal batches, for each size is compiled anew.
            history = model.fit(
                images, y_true, batch_size=5, epochs=EPOCHS, shuffle=False, verbose=0
            )
            result["loss"] = history.history["loss"]
            for number, (variable, start) in enumerate(zip(model.variables, before, strict=True)):
                result[f"moved {number}"] = variable.numpy().astype("float64") - start
        np.savez(folder / f"{name}.{keras.backend.backend()}.npz", **result)


if __name__ == "__main__":
    what, folder, *names = sys.argv[1:]
    {"make": make, "run": run}[what](pathlib.Path(folder), *names)
