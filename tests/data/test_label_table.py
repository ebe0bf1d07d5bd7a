"""Labels from a CSV file, as people and spreadsheets write them."""

import unicodedata

import numpy as np
import pytest

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
