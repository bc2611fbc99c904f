"""A start, beside that of the framework alone."""

import cold_start


def test_a_server_answers_for_less_than_twice_of_what_importing_fastapi_takes() -> None:
    # Processor time: by the clock, on a machine with other work, neither means anything. The first may write bytecode.
    served_s = min(cold_start.served("serve").cpu_s for _ in range(3))
    imported_s = min(cold_start.imported().cpu_s for _ in range(3))
    assert 0 < served_s < cold_start.RATIO_MAX * imported_s
