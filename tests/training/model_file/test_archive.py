"""Archives that mean harm: each is refused in one line, and does nothing."""

import zipfile

import pytest
from peak_memory import forget_peak, peak_memory


def test_bombs(tmp_path, refused):
    """Members of 300 MB that take one on the disk."""
    before = forget_peak()
    path, size = tmp_path / "model.keras", 300 * 2**20
    for name in ("model.weights.h5", "config.json"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for other in ("config.json", "metadata.json", "model.weights.h5"):
                with archive.open(other, "w", force_zip64=True) as member:
                    for _ in range(size >> 20 if other == name else 0):
                        member.write(bytes(2**20))
        assert path.stat().st_size < 2**21
        assert "is compressed" in refused(path)
    assert peak_memory() - before < 100_000  # kB


def test_a_size_that_is_not_true(write, refused):
    """The header of a member says that it has 4 GB."""
    path = write()
    content = path.read_bytes()
    start = content.rindex(b"PK\x01\x02", 0, content.rindex(b"model.weights.h5"))
    lie = (0xF0000000).to_bytes(4, "little")
    path.write_bytes(content[: start + 24] + lie + content[start + 28 :])
    refused(path)


def test_other_members(write, members, refused):
    for name in ("assets/evil", "../../evil", "/etc/evil", "model.weights.npz"):
        path = write()
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"evil")
        assert "other members" in refused(path)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name in [*members, "config.json"]:
            archive.writestr(name, members[name])
    assert "other members" in refused(path)
