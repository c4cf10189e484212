"""CSV files as they come: what is read, and the two sentences for what is not."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfish.controller.data import DataError, Table, read_source
from tests.controller.data.conftest import Read

ROWS = {"age": ["63", "", "57"], "sex": ["male", "female", "män"]}


@pytest.mark.parametrize(
    "content",
    [
        "age,sex\n63,male\n,female\n57,män\n",
        "age,sex\r\n63,male\r\n,female\r\n57,män",
        "age,sex\r63,male\r,female\r57,män\r",
        "\ufeffage;sex\n63;male\n;female\n57;män\n",
        "age\tsex\n63\tmale\n\tfemale\n57\tmän\n",
        "age|sex\n63|male\n|female\n57|män\n",
        '"age","sex"\n"63","male"\n"","female"\n"57","män"\n',
        " age , sex\n63 , male\n , female\n 57, män \n",
        'age, sex\n63, "male"\n, "female"\n57, "män"\n',
        "age,sex\n63,male\n\n,female\n,\n57,män\n,,\n\n",
        "age,sex\n63,male,\n,female,,\n57,män\n",
        "age,sex,\n63,male,\n,female,\n57,män,\n",
        '"",age,sex\n1,63,male\n2,,female\n3,57,män\n',
        "age,sex\n63,male\n,female\n57,män\n\x1a",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_dialects_and_encodings(content: str, encoding: str, read: Read) -> None:
    if content.startswith("\ufeff") and encoding != "utf-8":
        content = content[1:]
    table = read(content.encode(encoding))
    assert table.columns == ROWS
    assert table.n == 3


def test_a_row_is_found_again_by_its_line(read: Read) -> None:
    table = read('id,note\n1,"two\nlines"\n\n2,"a, ""b"""\n3,\n')
    assert table.columns == {"id": ["1", "2", "3"], "note": ["two\nlines", 'a, "b"', ""]}
    assert table.lines.tolist() == [2, 5, 6]


def test_a_file_of_numbers_alone_has_no_header(read: Read) -> None:
    table = read("63.0,1,NA,0\n41,-2,3.5e1,1\n")
    assert table.columns == {"x1": ["63.0", "41"], "x2": ["1", "-2"], "x3": ["NA", "3.5e1"], "y": ["0", "1"]}
    assert table.lines.tolist() == [1, 2]
    assert read("63,5;1\n41,0;0\n").columns == {"x1": ["63,5", "41,0"], "y": ["1", "0"]}
    assert list(read("age,2020\n1,2\n").columns) == ["age", "2020"], "one name is enough for a header"


@pytest.mark.parametrize(
    ("content", "decimal_comma"),
    [
        ("a;b\n1,5;x\n", True),
        ("a;b\n1,234;x\n", True),
        ("a;b\n1.5;x\n", False),
        ("a;b\n1;x,y\n", False),
        ("a\tb\n1,5\tx\n", True),
        ("a\tb\n0,125\tx\n", True),
        ("a\tb\n1,234\tx\n", False),
        ('a,b\n"1,5",x\n', False),
    ],
)
def test_a_decimal_comma_is_believed_only_where_it_can_be_nothing_else(content: str, decimal_comma: bool, read: Read) -> None:
    assert read(content).decimal_comma is decimal_comma


@pytest.mark.parametrize(
    ("content", "code", "public", "private"),
    [
        ("", "empty-file", "empty", "neither a header nor rows"),
        ("\n\n \n", "empty-file", "empty", "neither a header nor rows"),
        ("\ufeff", "empty-file", "empty", "neither a header nor rows"),
        ("age,sex\n", "no-rows", "a header and no rows", "a header and no rows"),
        ("age,sex\n,\n", "no-rows", "a header and no rows", "a header and no rows"),
        ("age,sex,age\n1,2,3\n", "duplicate-header", "several columns of the same name", "'age'"),
        ("age,sex\n1,2\n3\n", "ragged", "more or fewer cells", "line 3: this row has 1 cells and the header 2"),
        ("age,sex\n1,2\n3,4,5\n", "ragged", "more or fewer cells", "line 3: this row has 3 cells"),
        ('age,sex\n1,"x\n2,y\n', "not-csv", "not well-formed", "line 2: unexpected end of data"),
        ('age,sex\n"a"b,2\n', "not-csv", "not well-formed", "line 2: "),
        (b"PK\x03\x04rest of a workbook", "not-csv", "an Excel workbook or a zip archive, not CSV", "export it as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "not-csv", "an old Excel workbook", "export it as CSV"),
        (b"PAR1....", "not-csv", "a Parquet file", "export it as CSV"),
        (b"age,sex\n1,\x00\n", "not-csv", "a binary file", "export it as CSV"),
        (b"age,sex\n1,\x81\x8d\n", "not-csv", "neither UTF-8 nor Windows-1252 text", "export it as CSV"),
        (b"\xff\xfea", "not-csv", "neither UTF-8 nor Windows-1252 text", "export it as CSV"),
        ("age,sex\n1," + "x" * 200_000 + "\n", "not-csv", "not well-formed", "field larger than field limit"),
    ],
)
def test_what_is_no_table_has_a_public_and_a_private_sentence(
    content: str | bytes, code: str, public: str, private: str, read: Read
) -> None:
    with pytest.raises(DataError) as caught:
        read(content)
    error = caught.value
    assert error.code == code
    assert public in error.public
    assert private in error.private
    assert "patients.csv" in error.private
    assert "patients.csv" not in error.public
    assert "line" not in error.public


def test_what_is_no_file(tmp_path: Path) -> None:
    for source, code, private in (
        (tmp_path / "gone.csv", "no-file", "There is no file"),
        (tmp_path, "data", "is a folder"),
        ("postgresql://db/patients", "data", "Only CSV files"),
        (tmp_path / "book.XLSX", "data", "an Excel workbook"),
        ("/dev/zero", "data", "is a device, not a file"),
    ):
        with pytest.raises(DataError) as caught:
            read_source(source)
        assert caught.value.code == code
        assert private in caught.value.private
        assert str(tmp_path) not in caught.value.public


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6).map(str.strip)


@settings(max_examples=150)
@given(data=st.data(), delimiter=st.sampled_from(",;\t|"), width=st.integers(2, 5), height=st.integers(1, 6))
def test_what_was_written_is_what_is_read(
    data: st.DataObject, delimiter: str, width: int, height: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width).filter(any), min_size=height, max_size=height))
    names = [f"name {number}" for number in range(width)]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    path = tmp_path_factory.mktemp("written") / "file.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    table = read_source(path)
    assert table.columns == {name: [row[place] for row in rows] for place, name in enumerate(names)}
    assert table.lines.tolist() == list(range(2, height + 2))


@settings(max_examples=200)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_table_or_a_data_error(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("bytes") / "file.csv"
    path.write_bytes(content)
    table = read_or_none(path)
    if table is not None:
        assert table.n == len(table.lines) > 0
        assert all(len(cells) == table.n and name for name, cells in table.columns.items())


def read_or_none(path: Path) -> Table | None:
    try:
        return read_source(path)
    except DataError:
        return None
