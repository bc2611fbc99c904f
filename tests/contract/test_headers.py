import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.headers import is_json, most_wanted, parse_request_id, parse_traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ; profile=x",
        "application/problem+json",
        "application/vnd.api.v2+json; charset=utf-8",
    ],
)
def test_json_by_any_of_its_names_is_json(content_type: str | None) -> None:
    assert is_json(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/jsonl",
        "application/+json",
        "application/json, application/json",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "text/plain; application/json",
        "multipart/form-data; boundary=+json",
    ],
)
def test_a_content_type_that_is_set_and_is_not_json_is_not_json(content_type: str) -> None:
    assert not is_json(content_type)


@given(st.text())
def test_no_header_is_an_error(header: str) -> None:
    is_json(header)
    parse_traceparent(header)
    parse_request_id(header)


def test_a_trace_is_taken_from_the_header() -> None:
    header = f"00-{TRACE}-{PARENT}-01"
    assert parse_traceparent(header) == (TRACE, header)


@pytest.mark.parametrize("rest", ["", "-", "-what-will-be"])
def test_a_later_version_is_read_as_far_as_version_00_goes(rest: str) -> None:
    assert parse_traceparent(f"cc-{TRACE}-{PARENT}-00{rest}") == (TRACE, f"00-{TRACE}-{PARENT}-00")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01\n",
        f" 00-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01more",
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{TRACE}-{PARENT}-0A",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}x-01",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
    ],
)
def test_a_traceparent_that_breaks_the_specification_is_ignored(header: str | None) -> None:
    assert parse_traceparent(header) is None


@pytest.mark.parametrize("header", ["a", "order-4711", "!~", "x" * 128])
def test_a_clients_request_id_of_visible_characters_is_kept(header: str) -> None:
    assert parse_request_id(header) == header


@pytest.mark.parametrize("header", [None, "", " ", "a b", "a\n", "\x7f", "é", "x" * 129])
def test_a_clients_request_id_that_is_anything_else_is_ignored(header: str | None) -> None:
    assert parse_request_id(header) is None


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, "a/x"),
        ("", "a/x"),
        ("*/*", "a/x"),
        ("b/y", "b/y"),
        ("B/Y; charset=utf-8", "b/y"),
        ("b/y, a/x", "b/y"),
        ("a/x;q=0.4, b/y;q=0.5", "b/y"),
        ("b/*;q=0.5, c/z", "b/y"),
        ("b/y;q=0", "a/x"),
        ("c/z", "a/x"),
        ("*/*, b/y", "a/x"),
    ],
)
def test_the_most_wanted_of_what_there_is_is_told_and_of_equals_the_first(accept: str | None, wanted: str) -> None:
    assert most_wanted(accept, ("a/x", "b/y")) == wanted
