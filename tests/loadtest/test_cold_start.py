"""A start, beside that of the framework alone."""

import cold_start


def test_a_server_answers_for_less_than_twice_of_what_importing_fastapi_takes() -> None:
    # Processor time: by the clock, on a machine with other work, neither means anything.
    served = cold_start.served("serve")
    assert 0 < served.cpu_s < cold_start.RATIO_MAX * cold_start.imported().cpu_s
    assert served.wall_s > served.cpu_s / 2
