"""Training on several hosts under JAX: how they find each other, and what the end of one does."""

import atexit
import contextlib
import hashlib
import json
import os
import re
import signal
import sys
from collections.abc import Iterator

import keras
import numpy as np

from keras_patchpu.errors import InputError
from keras_patchpu.training.abort import tell_of_abort

# For the others to come at the start; one that is lost is noticed within half of it.
PATIENCE = 60
_LOST = "another host has ended or is out of reach, see there: start all of them with --resume"
_A_DAY = 24 * 60 * 60


class HostLost(Exception):
    """Another host has ended, or cannot be reached any more; says what to do in one line."""


class Hosts:
    """This process as one of several, one a host, that train one model together.

    Each keeps all weights, computes with its part of each batch, and adds up gradients and
    statistics with the others: `keras.distribution.DataParallel` over `jax.distributed`. Host 0
    alone measures the model and writes the run's directory; the others wait for it.

    Args:
        coordinator: `HOST:PORT` of host 0, where the others reach it.
        count: of the hosts.
        number: of this one, from 0.

    Attributes:
        distribution: a `keras.distribution.DataParallel` over all devices, once connected.

    Raises:
        InputError: an argument is wrong, or Keras runs on another backend.
    """

    def __init__(self, coordinator: str, count: int, number: int):
        if keras.backend.backend() != "jax":
            raise InputError(
                "several hosts train under KERAS_BACKEND=jax, not "
                f"{keras.backend.backend()}: set it, or leave out --coordinator"
            )
        if not re.fullmatch(r"[^:/\s]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", coordinator):
            raise InputError(f"--coordinator {coordinator} is not HOST:PORT, as 10.0.0.1:12345")
        if not 0 <= number < count:
            raise InputError(f"--host-id {number} is not within 0 and {count - 1}")
        self.coordinator = coordinator
        self.count = count
        self.number = number
        self.distribution = None
        self._end = None

    @property
    def leads(self) -> bool:
        """Whether this is host 0."""
        return self.number == 0

    def check_batch_size(self, batch_size: int) -> None:
        """Raises an `InputError` unless hosts, and devices once connected, get equal parts."""
        for number, name in ((self.count, "hosts"), (self._num_devices(), "devices")):
            if batch_size % number:
                raise InputError(
                    f"a batch of {batch_size} images cannot be shared by {number} {name}: give a "
                    f"--batch-size that {number} divides"
                )

    def part(self, size: int) -> slice:
        """The rows that this host reads of a batch of that size.

        All of them where the devices cannot share them equally, as of the last batch of an epoch:
        then each host computes all of it.
        """
        if size % self._num_devices():
            return slice(size)
        return slice(size * self.number // self.count, size * (self.number + 1) // self.count)

    def _num_devices(self):
        return self.count if self.distribution is None else self.distribution.num_model_replicas

    @contextlib.contextmanager
    def connected(self, program: str, batch_size: int) -> Iterator[None]:
        """Waits for the others; in here an end of one of them is the end of this one, too.

        JAX ends a process that has lost another one with a trace of C++. Here that is a line, that
        of `HostLost`, and the exit code 1.

        Args:
            program: what the line begins with.
            batch_size: images that the devices are to share.

        Raises:
            InputError: the others are not there within `PATIENCE` seconds (the process ends, with a
                line and 2, where JAX ends it), or the batch cannot be shared.
            HostLost: see above.
        """
        import jax

        self.check_batch_size(batch_size)
        self._end = (
            f"{program}: --coordinator {self.coordinator}: not all of the {self.count} hosts came "
            f"within {PATIENCE} seconds: see that host 0 runs and can be reached there",
            2,
        )
        self._handler = tell_of_abort(lambda: self._end)
        atexit.register(self.leave, 1)  # after the trace of an error that nobody has foreseen
        # TCP between CPUs; GPUs have NCCL. The service takes SIGTERM for itself.
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.config.update("jax_enable_preemption_service", False)
        try:
            jax.distributed.initialize(
                self.coordinator,
                self.count,
                self.number,
                cluster_detection_method="deactivate",  # Slurm's would take one GPU a process
                initialization_timeout=PATIENCE,
                heartbeat_timeout_seconds=PATIENCE // 2,
                shutdown_timeout_seconds=_A_DAY,  # host 0 may still measure
            )
            self.distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
            self._end = (f"{program}: {_LOST}", 1)
            self.check_batch_size(batch_size)
            with self._signals_left_to_host_0():
                yield
        except InputError:
            raise
        except (RuntimeError, ValueError) as error:
            if self.distribution is None:
                reason = str(error).strip().split("\n")[0]
                raise InputError(f"--coordinator {self.coordinator}: {reason}") from error
            if not _is_of_connection(error):
                raise
            raise HostLost(_LOST) from None

    def disconnect(self) -> None:
        """Lets the others go, once all are here."""
        import jax

        jax.distributed.shutdown()
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        self._end = None

    def leave(self, code: int) -> None:
        """Ends the process where it is still connected: an orderly end would wait for the others.

        Args:
            code: its exit code.
        """
        if self._end is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def check_same(self, config: dict) -> None:
        """Checks that all hosts are to train the same.

        Args:
            config: of the run, JSON values by name.

        Raises:
            InputError: on all of them, if one is not.
        """
        from jax.experimental import multihost_utils

        config = {"loss_options": {}, **config}  # which not each record has
        digests = [
            hashlib.blake2b(json.dumps(value).encode(), digest_size=8).digest()
            for value in config.values()
        ]
        ours = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 8)
        theirs = multihost_utils.process_allgather(ours).reshape(self.count, -1, 8)
        differs = (theirs != theirs[0]).any(axis=(0, 2))
        if differs.any():
            name = list(config)[int(np.argmax(differs))]
            raise InputError(
                f"host {self.number} is to train with {name} {str(config[name])[:60]}, which is "
                "not so on all hosts: start all with the same data and options"
            )

    @contextlib.contextmanager
    def _signals_left_to_host_0(self):
        """Has the others go on until host 0, which gets the signal too, has stopped and saved.

        What the signal does then comes in the place of `HostLost`. The second one does it at once.
        """
        received, before = [], {}

        def remember(number, frame):
            if received:
                before[number](number, frame)
            received.append(number)

        for number in () if self.leads else (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, remember)
        try:
            yield
        except (RuntimeError, ValueError) as error:
            if received and _is_of_connection(error):
                before[received[0]](received[0], None)
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _is_of_connection(error):
    """Whether the cause is another host, by what the libraries say that connect them."""
    while error is not None:
        if re.search("gloo|nccl|coordination", str(error), re.IGNORECASE):
            return True
        error = error.__context__
    return False
