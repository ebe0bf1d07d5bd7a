"""Ctrl-C and SIGTERM in the middle of an epoch, and how a run goes on from there."""

import signal
import threading

import keras

from keras_patchpu.training.checkpoints import EpochSoFar, Position

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class PutOff(keras.callbacks.Callback):
    """Lets the batch that is trained be finished before a signal does what it does.

    That is so for Ctrl-C and, where the program handles it, SIGTERM: the exception that their
    handlers raise comes between two batches, where the model is whole. It comes at once before the
    first batch, which takes long and is worth nothing yet, and while an epoch is measured.

    To be the first of the callbacks, and a context in which the model is trained.

    Args:
        position: where the training begins.
        num_batches: of an epoch.

    Attributes:
        position: how far it is.
    """

    def __init__(self, position: Position, num_batches: int):
        super().__init__()
        self.position = position
        self.num_batches = num_batches
        self.received = []
        self.handlers = {}

    def __enter__(self):
        # Elsewhere Python gets no signals.
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in _SIGNALS}
            self.handlers = {number: one for number, one in found.items() if callable(one)}
        return self

    def __exit__(self, *_):
        self._restore()

    def on_epoch_begin(self, epoch, logs=None):
        if epoch > self.position.epochs:
            self.position = Position(epoch)

    def on_train_batch_end(self, batch, logs=None):
        epoch, before = self.position
        self.position = Position(epoch, before + 1)
        if before + 1 == self.num_batches:
            self._restore()
        else:
            for number in self.handlers:
                signal.signal(number, lambda number, frame: self.received.append(number))
        if self.received:
            self._restore()
            number = self.received.pop()
            self.handlers[number](number, None)

    def _restore(self):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)


class RestOfEpoch(keras.callbacks.Callback):
    """Trains the rest of an epoch and no more, as if it had not been stopped.

    Args:
        model: as it was when it was stopped.
        so_far: what it had trained of the epoch.
    """

    def __init__(self, model: keras.Model, so_far: EpochSoFar):
        super().__init__()
        self.so_far = so_far
        state = model.loss_state.variables if model.loss_state is not None else []
        self.state = [(variable, keras.ops.convert_to_numpy(variable)) for variable in state]

    def on_epoch_begin(self, epoch, logs=None):
        # The beginning of the epoch, which has come once more, is taken back.
        for variable, value in self.state:
            variable.assign(value)
        for variable, value in zip(loss_mean(self.model), self.so_far[:2], strict=True):
            variable.assign(value)

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def loss_mean(model: keras.Model) -> list[keras.Variable]:
    """Sum and number of the losses of the images since the epoch began."""
    return model.metrics[0].variables
