"""Files are there whole, or as they were."""

import os
from pathlib import Path

import pytest

from driftline.errors import ReportError
from driftline.report.output import write_output


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    for content in ("old", "new"):
        write_output(path, content)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_output(path, "old")
    with path.open() as reader:
        write_output(path, "new")
        assert reader.read() == "old"


def test_a_link_goes_on_leading_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "latest.html").symlink_to("report.html")
    write_output(tmp_path / "latest.html", "new")
    assert (tmp_path / "latest.html").is_symlink()
    assert (tmp_path / "report.html").read_text() == "new"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_not_a_file_is_left_alone(tmp_path: Path, make: object) -> None:
    path = tmp_path / "report.html"
    assert callable(make)
    make(path)
    with pytest.raises(ReportError, match="is not a file"):
        write_output(path, "new")
    assert not path.is_file()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file or directory"):
        write_output(tmp_path / "nowhere" / "report.html", "new")
