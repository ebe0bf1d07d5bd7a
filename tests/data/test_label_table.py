"""Labels from a CSV file, as people and spreadsheets write them."""

import csv
import io
import subprocess
import sys
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_patchpu.data.label_table import read_label_table
from keras_patchpu.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(content, encoding="utf-8"):
        file = tmp_path / "labels.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return file

    return write


def test_a_list_of_positives(write):
    file = write("file,label\nb.jpg,dog\na.jpg,cat\nb.jpg,bird\nb.jpg,dog\n")
    table = read_label_table(file)
    assert table.keys == ("b.jpg", "a.jpg") and table.label_names == ("bird", "cat", "dog")
    assert table.labels.dtype == np.int8
    assert table.labels.tolist() == [[1, -1, 1], [-1, 1, -1]]
    assert table.lines.tolist() == [2, 3] and table.label_lines == (4, 3, 2)
    assert (table.unnamed, table.problems) == (-1, ())
    truth = read_label_table(file, truth=True)
    assert truth.labels.tolist() == [[1, 0, 1], [0, 1, 0]] and truth.unnamed == 0


def test_a_matrix(write):
    file = write("File,dog,cat\na.jpg,1,-1\nb.jpg,0,\nc.jpg,1.0,-1.0\nd.jpg, 0.0 ,+1\n")
    table = read_label_table(file)
    assert table.keys == ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert table.label_names == ("dog", "cat")
    assert table.labels.dtype == np.int8
    assert table.labels.tolist() == [[1, 0], [-1, -1], [1, 0], [-1, 1]]
    assert table.lines.tolist() == [2, 3, 4, 5] and table.label_lines == (1, 1)
    truth = read_label_table(file, truth=True)
    assert truth.labels.tolist() == [[1, 0], [0, -1], [1, 0], [0, 1]]
    assert truth.unnamed == -1 and truth.problems == ()


@pytest.mark.parametrize("header", ["FILE,Label", "\n\nfile,label", '"file", "label"'])
def test_headers_of_the_list(write, header):
    assert read_label_table(write(f"{header}\na.jpg,1\n")).label_names == ("1",)


def test_a_matrix_may_have_one_label_and_a_label_of_any_name(write):
    assert read_label_table(write("file,cat\na.jpg,1\n")).labels.tolist() == [[1]]
    table = read_label_table(write("file,label,file\na.jpg,1,-1\n"))
    assert table.label_names == ("label", "file") and table.labels.tolist() == [[1, 0]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_as_spreadsheets_write_it(write, end, encoding):
    lines = ["file,café,chien", '"à la carte, 1.jpg",1,', "", ",,", 'the "b".jpg,,1', "c.jpg,x,1"]
    table = read_label_table(write(end.join(lines), encoding))
    assert table.keys == ("à la carte, 1.jpg", 'the "b".jpg')
    assert table.label_names == ("café", "chien")
    assert table.labels.tolist() == [[1, -1], [-1, 1]] and table.lines.tolist() == [2, 5]
    assert len(table.problems) == 1 and "labels.csv, line 6: c.jpg: 'x'" in table.problems[0]


def test_names_that_are_not_printable_but_text(write):
    # A joiner of emoji, macOS's narrow space in screenshots, a wide space, a time.
    names = ("👩\u200d🚀.jpg", "at 10.00\u202fAM.png", "写\u3000真.jpg", "2024-01-01 10:00:00.jpg")
    table = read_label_table(write("file,label\n" + "".join(f"{name},a\n" for name in names)))
    assert table.keys == names and table.problems == ()


def test_composed_and_decomposed_names_are_the_same(write):
    first, second = (unicodedata.normalize(form, "é") for form in ("NFD", "NFC"))
    assert first != second
    table = read_label_table(write(f"file,label\n{first}.jpg,{first}\n{second}.jpg,{second}\n"))
    assert table.keys == (f"{first}.jpg",) and table.label_names == (second,)
    table = read_label_table(write(f"file,cat\n{first}.jpg,1\n{second}.jpg,1\n"))
    assert table.keys == (f"{first}.jpg",) and len(table.problems) == 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("b.jpg", "expected 3 fields as in the header, found 1"),
        ("b.jpg,1,1,", "expected 3 fields as in the header, found 4"),
        ("a, b.jpg,1,1", "expected 3 fields as in the header, found 4"),
        ("b.jpg,1,yes", "b.jpg: 'yes' under dog: write 1, 0, -1 or nothing"),
        ("b.jpg,2,1", "b.jpg: '2' under cat"),
        ("b.jpg,nan,1", "b.jpg: 'nan' under cat"),
        ("b.jpg,0.5,1", "b.jpg: '0.5' under cat"),
        (",1,1", "no file name"),
        ("a.jpg,1,1", "a.jpg is on line 2 too, with the same labels"),
        ("a.jpg,1,-1", "a.jpg is on line 2 too, with other labels"),
        ("/a.jpg,1,1", "'/a.jpg' is not a path within the folder"),
        ("../a.jpg,1,1", "'../a.jpg' is not a path within"),
        ("b/../../a.jpg,1,1", "'b/../../a.jpg' is not a path within"),
        ("..,1,1", "'..' is not a path within"),
        ("b/..,1,1", "'b/..' is not a path within"),
        ("./a.jpg,1,1", "'./a.jpg' is not a path within"),
        ("b//a.jpg,1,1", "'b//a.jpg' is not a path within"),
        ("b/,1,1", "'b/' is not a path within"),
        ("b\\a.jpg,1,1", "'b\\\\a.jpg' is not a path within"),
        ("C:a.jpg,1,1", "'C:a.jpg' is not a path within"),
        ("b\ta.jpg,1,1", "the file name 'b\\ta.jpg' has a control character"),
        ("b\u2028a.jpg,1,1", "the file name 'b\\u2028a.jpg' has a control character"),
        ('"b.jpg,1,1', "not CSV (unexpected end of data)"),
        ('"b".jpg,1,1', "not CSV (',' expected after '\"')"),
        ("b\0.jpg,1,1", "not CSV (a NUL byte"),
    ],
)
def test_bad_rows_are_told_and_left_out(write, row, expected):
    table = read_label_table(write(f"file,cat,dog\na.jpg,1,1\n{row}\nlast.jpg,0,1\n"))
    assert table.keys == ("a.jpg", "last.jpg") and table.lines.tolist() == [2, 4]
    assert table.labels.tolist() == [[1, 1], [-1, 1]]
    (problem,) = table.problems
    assert f"labels.csv, line 3: {expected}" in problem and len(problem.splitlines()) == 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a.jpg,", "a.jpg: no label"),
        ("a.jpg,a\tb", "a.jpg: the label 'a\\tb' has a control character"),
        ("a.jpg", "expected 2 fields as in the header, found 1"),
        ("a.jpg,cat,dog", "expected 2 fields as in the header, found 3"),
        ("a\\b.jpg,cat", "'a\\\\b.jpg' is not a path"),
    ],
)
def test_bad_rows_of_a_list(write, row, expected):
    table = read_label_table(write(f"file,label\n{row}\nlast.jpg,dog\n"))
    assert table.keys == ("last.jpg",) and table.label_names == ("dog",)
    (problem,) = table.problems
    assert f"labels.csv, line 2: {expected}" in problem


def test_names_with_line_breaks_are_problems_and_spoil_no_other_row(write):
    table = read_label_table(write('file,label\na.jpg,cat\n"b\n.jpg",cat\nc.jpg,dog\n'))
    assert {"a.jpg", "c.jpg"} <= set(table.keys)
    assert "line 3: not CSV" in table.problems[0]


@pytest.mark.parametrize("header", ["file,label", "file,cat,dog"])
def test_all_rows_bad(write, header):
    table = read_label_table(write(f"{header}\na\na,b,c,d\n"))
    assert table.keys == () and len(table.problems) == 2
    assert table.labels.shape == (0, 0 if header == "file,label" else 2)


def message_of(file):
    with pytest.raises(InputError) as error:
        read_label_table(file)
    message = str(error.value)
    assert str(file) in message and len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "line 1: expected a header and found nothing: begin with 'file,label' with"),
        (b"\n,,\n", "line 1: expected a header and found nothing"),
        (b"a.jpg,cat\n", "found 'a.jpg,cat': begin with 'file,label' with a row for each"),
        (b"image,label\na.jpg,cat\n", "or 'file,LABEL,LABEL,...' with 1, 0, -1 or nothing in each"),
        (b"file\na.jpg\n", "found 'file'"),
        (b"\n\nx" * 2000, "line 3: expected a header and found 'x'"),
        (b"a" * 10**6 + b",b", "found 'aaa"),
        (b"file,label\n", "no rows below the header: write 'file,label'"),
        (b"file,cat,dog\n\n,,\n", "no rows below the header"),
        (b"file,cat,\na.jpg,1,\n", "line 1: column 3: no label"),
        (b"file,cat,dog,cat\na.jpg,1,1,1\n", "column 4: two columns of the label 'cat'"),
        ("file,é,e\u0301\n".encode(), "column 3: two columns of the label"),
        (b"file,a\tb\n", "column 2: the label 'a\\tb' has a control character"),
        (b"file;label\na.jpg;cat\n", "line 1: its fields are separated by semicolons: save it"),
        (b'"file";"label"\n', "line 1: its fields are separated by semicolons"),
        (b"\nfile;cat, hot;dog\n", "line 2: its fields are separated by semicolons"),
        (b"a.jpg;cat\n", "separated by semicolons"),
        (b";;\n", "separated by semicolons"),
        (b"file\tlabel\n", "separated by tabs"),
        ("file,label\na.jpg,cat\n".encode("utf-16"), "is in UTF-16: save it as CSV in UTF-8"),
        ("\ufefffile,label\na.jpg,cat\n".encode("utf-16-be"), "is in UTF-16"),
        ("file,label\na.jpg,cat\n".encode("utf-16-le"), "line 1: not CSV (a NUL byte"),
        (b"PK\3\4\0\0\0", "line 1: not CSV (a NUL byte, as in a spreadsheet"),
        (b'file,"label\na.jpg,cat\n', "line 1: not CSV"),
        (b"\xff\xd8\xff\xe0 JPEG", "expected a header"),
    ],
)
def test_files_at_fault(write, content, expected):
    assert expected in message_of(write(content))


def test_files_that_cannot_be_read(tmp_path):
    assert "No such file" in message_of(tmp_path / "labels.csv")
    assert "Is a directory" in message_of(tmp_path)


def test_too_many_labels_to_hold(write):
    rows = "".join(f"{number}.jpg,{number}\n" for number in range(40_000))
    message = message_of(write("file,label\n" + rows))
    assert "40,000 labels for 40,000 files are too many: check that the second" in message


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
import resource, sys, time
from keras_patchpu.data.label_table import read_label_table
before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
table = read_label_table(sys.argv[1])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(table.keys), time.process_time() - begin, (after - before) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["list", "matrix"])
def test_a_million_rows_in_20_seconds_and_a_gigabyte(tmp_path, form):
    file = tmp_path / "labels.csv"
    write_many(file, 10**6, form)
    command = [sys.executable, "-c", MEASURE, str(file)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    number, seconds, gigabytes = map(float, output.split())
    assert number == 10**6 and seconds < 20 and gigabytes < 1
