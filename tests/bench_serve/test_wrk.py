"""What wrk says."""

import pytest

from bench_serve.wrk import Load, parse

OUTPUT = """\
Running 2s test @ http://127.0.0.1:35555/predict
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     8.45ms    4.12ms  32.51ms   72.12%
    Req/Sec     7.71k     1.25k    9.60k    65.00%
  15342 requests in 2.01s, 3.60MB read
Requests/sec:   7632.83
Transfer/sec:      1.79MB
{"answers":15342,"us":2010000,"connect":0,"read":1,"write":0,"status":42,"timeout":0,"p50_us":8080,"p99_us":27464}
"""


def test_an_answer_that_is_no_200_has_failed_and_is_no_answer() -> None:
    assert parse(OUTPUT) == Load(answers=15300, seconds=2.01, failed=43, p50_ms=8.08, p99_ms=27.464)
    assert parse(OUTPUT).per_s == pytest.approx(15300 / 2.01)


def test_output_without_the_line_of_the_script_is_an_error() -> None:
    with pytest.raises(ValueError, match="said nothing"):
        parse("Running 2s test\n")
