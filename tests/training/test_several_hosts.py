"""Which part of a batch a host reads; the hosts themselves are in `tests/recipes`."""

import types

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patchpu.errors import InputError
from keras_patchpu.training import Hosts


@pytest.fixture
def make_hosts(monkeypatch):
    """All hosts, connected or not: `make_hosts(count, num_devices)`."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")

    def make(count, num_devices=None, address="10.0.0.1:1234"):
        hosts = [Hosts(address, count, number) for number in range(count)]
        for host in hosts if num_devices else ():
            host.distribution = types.SimpleNamespace(num_model_replicas=num_devices)
        return hosts

    return make


@given(count=st.integers(1, 5), devices_each=st.integers(1, 4), size=st.integers(0, 50))
def test_the_parts_are_the_batch_once_or_each_is_all_of_it(count, devices_each, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.backend, "backend", lambda: "jax")
        hosts = [Hosts("[::1]:1234", count, number) for number in range(count)]
    for host in hosts:
        host.distribution = types.SimpleNamespace(num_model_replicas=count * devices_each)
    parts = [list(range(size))[host.part(size)] for host in hosts]
    if size % (count * devices_each):
        assert parts == [list(range(size))] * count
    else:
        assert sum(parts, []) == list(range(size)) and len(set(map(len, parts))) == 1


def test_a_batch_is_shared_by_hosts_and_by_devices(make_hosts):
    make_hosts(2)[1].check_batch_size(6)
    with pytest.raises(InputError, match="7 images cannot be shared by 2 hosts"):
        make_hosts(2)[1].check_batch_size(7)
    make_hosts(2, num_devices=4)[1].check_batch_size(8)
    with pytest.raises(InputError, match="6 images cannot be shared by 4 devices"):
        make_hosts(2, num_devices=4)[1].check_batch_size(6)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", ":1234", "host:", "host:port", "a b:1", "::1:1234"]
)
def test_addresses_that_are_none(make_hosts, address):
    with pytest.raises(InputError, match="is not HOST:PORT"):
        make_hosts(2, address=address)


def test_an_option_that_one_host_has_alone(make_hosts, monkeypatch):
    multihost_utils = pytest.importorskip("jax.experimental.multihost_utils")
    configs, gathered = ({"seed": 0}, {"seed": 0, "loss_options": {"q2": 1}}), []
    monkeypatch.setattr(multihost_utils, "process_allgather", gathered.append)
    for config in configs:
        with pytest.raises(AttributeError):  # of the other hosts nothing comes
            make_hosts(2)[0].check_same(config)
    monkeypatch.setattr(multihost_utils, "process_allgather", lambda _: np.stack(gathered))
    for host, config in zip(make_hosts(2), configs, strict=True):
        with pytest.raises(InputError, match="with loss_options"):
            host.check_same(config)
    monkeypatch.setattr(multihost_utils, "process_allgather", lambda ours: np.stack([ours, ours]))
    make_hosts(2)[0].check_same(configs[1])
