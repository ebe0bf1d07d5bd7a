"""Label tables of any content and of any length."""

import csv
import io
import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from peak_memory import run_apart

from keras_patchpu.data.label_table import read_label_table
from keras_patchpu.errors import InputError


def is_name(text):
    parts = text.split("/")
    return text and not set(parts) & {"", ".", ".."} and text[1:2] != ":"


# All but control characters, line and paragraph separators, surrogates and the backslash.
LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\\")


LATIN = st.characters(codec="latin-1", exclude_categories=("Cc",), exclude_characters="\\")


NAMES = st.text(st.one_of(st.sampled_from(',"; é/.'), LATIN, LETTERS), max_size=8).map(str.strip)


CELLS = st.sampled_from(["1", "0", "-1", ""])


@given(st.data())
def test_what_csv_writes_is_read(tmp_path_factory, data):
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]))
    options = data.draw(
        st.fixed_dictionaries(
            {
                "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
                "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
            }
        )
    )
    unique = {"unique_by": lambda name: unicodedata.normalize("NFC", name)}
    keys = data.draw(st.lists(NAMES.filter(is_name), min_size=1, max_size=4, **unique))
    label_names = data.draw(st.lists(NAMES.filter(bool), min_size=1, max_size=3, **unique))
    assume([name.lower() for name in label_names] != ["label"])
    row = st.lists(CELLS, min_size=len(label_names), max_size=len(label_names))
    cells = data.draw(st.lists(row, min_size=len(keys), max_size=len(keys)))

    stream = io.StringIO(newline="")
    writer = csv.writer(stream, **options)
    writer.writerows([["file", *label_names]] + [[key, *r] for key, r in zip(keys, cells)])  # noqa: B905
    try:
        content = stream.getvalue().encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    if encoding == "latin-1":
        # What happens to be UTF-8 as well is read as that.
        assume(not any(is_utf8(line) for line in content.splitlines() if not line.isascii()))
    file = tmp_path_factory.getbasetemp() / "round-trip.csv"
    file.write_bytes(content)
    table = read_label_table(file)
    assert table.problems == ()
    assert table.keys == tuple(keys)
    assert table.label_names == tuple(unicodedata.normalize("NFC", name) for name in label_names)
    expected = [[{"1": 1, "-1": 0}.get(cell, -1) for cell in row] for row in cells]
    assert table.labels.tolist() == expected


def is_utf8(line):
    try:
        return bool(line.decode())
    except UnicodeDecodeError:
        return False


@given(st.binary(max_size=60), st.sampled_from([b"", b"file,label\n", b"file,a,b\n"]))
def test_no_file_gives_another_error(tmp_path_factory, content, header):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(header + content)
    try:
        table = read_label_table(file)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert table.labels.shape == (len(table.keys), len(table.label_names))
        assert all(len(problem.splitlines()) == 1 for problem in table.problems)


def write_many(file, number, form):
    header = "file,label" if form == "list" else "file," + ",".join(map(str, range(20)))
    values = "label é," if form == "list" else "1,0,-1,," * 5
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(header + "\n")
        for row in range(number):
            stream.write(f"train/part {row % 100}/picture é {row:07d}.jpg,{values[:-1]}\n")


@pytest.mark.parametrize("form", ["list", "matrix"])
def test_a_hundred_thousand_rows(tmp_path, form):
    file = tmp_path / "labels.csv"
    write_many(file, 10**5, form)
    begin = time.process_time()
    table = read_label_table(file)
    assert len(table.keys) == 10**5 and table.problems == ()
    # A tenth of the 20 s that a million may take.
    assert time.process_time() - begin < 2


MEASURE = """
import sys, time
from keras_patchpu.data.label_table import read_label_table
from peak_memory import peak_memory
before, begin = peak_memory(), time.process_time()
table = read_label_table(sys.argv[1])
after = peak_memory()
print(len(table.keys), time.process_time() - begin, (after - before) / 2**20)
"""


@pytest.mark.long
@pytest.mark.parametrize("form", ["list", "matrix"])
def test_a_million_rows_in_20_seconds_and_a_gigabyte(tmp_path, form):
    file = tmp_path / "labels.csv"
    write_many(file, 10**6, form)
    number, seconds, gigabytes = map(float, run_apart(MEASURE, file).stdout.split())
    assert number == 10**6 and seconds < 20 and gigabytes < 1
