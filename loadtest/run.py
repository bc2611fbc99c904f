"""``make load``: twenty seconds of load on a Driftline that is up, without a web page.

    python loadtest/run.py                                   # 50 users, 20 s
    python loadtest/run.py DriftingUser                      # ... whose inputs shift on the way
    python loadtest/run.py -u 200 -r 20 -t 60s               # the full load; any option of Locust's

Takes Locust's options and its exit code; results go to loadtest/results/.
"""

import argparse
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULTS = ("--headless", "--only-summary", "--loglevel", "WARNING", "-u", "50", "-r", "25", "-t", "20s")
HEALTH_TIMEOUT_S = 5.0


def is_up(host: str) -> bool:
    """Whether a Driftline at ``host`` says that it is ready."""
    # As Locust's users do, which measure and have nothing to hide.
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"{host}/health", timeout=HEALTH_TIMEOUT_S, context=anybody):  # noqa: S310 - the user's own address
            return True
    except (urllib.error.URLError, TimeoutError):
        return False


def main(options: list[str]) -> None:
    """Checks that there is something to load, then becomes Locust."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-H", "--host", default="http://localhost:8000")
    host = parser.parse_known_args(options)[0].host.rstrip("/")
    if "://" not in host:
        sys.exit(f"The host {host} lacks its scheme: --host http://{host}")
    if not is_up(host):
        sys.exit(f"No Driftline answers at {host}. Start it in another terminal first: make up")
    command = [sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py"), "--host", host]
    command += [*DEFAULTS, "--csv", str(HERE / "results" / "run"), *options]
    os.execv(sys.executable, command)  # noqa: S606 - no shell, and the arguments are the user's own


if __name__ == "__main__":
    main(sys.argv[1:])
