"""Ten thousand connections that say nothing, or half of a request: what they cost, and what others notice.

    python benchmarks/slow_clients.py            # ends with 1 if somebody else is not answered

Each client holds half of them idle, a quarter in the middle of the headers, a quarter in the middle of a body.
"""

import argparse
import resource
import socket
import sys
import tempfile
from pathlib import Path

from cores import Cores
from open_loop import HEAD, OpenLoop
from overload import Api, healthy

BEGUN = (b"", b"", HEAD[:30], HEAD + b"{")
PER_S = 200


def main() -> int:
    """Measures, says what came of it, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cores = Cores.of_machine()
    cores.pin_load()
    with tempfile.TemporaryDirectory(prefix="slow-clients-") as directory:
        api = Api(Path(directory), {}, cores)
        try:
            before = api.worker.memory_info().rss
            load = OpenLoop(api.port, 20)
            alone = load.run(PER_S, 3)
            silent = []
            for number in range(arguments.connections):
                silent.append(socket.create_connection(("127.0.0.1", api.port), timeout=10))
                silent[-1].sendall(BEGUN[number % len(BEGUN)])
            crowded = load.run(PER_S, 3)
            health_s = healthy(api.port)
            after = api.worker.memory_info().rss
            for connection in silent:
                connection.close()
            load.close()
        finally:
            api.stop()
    answers = sum(map(len, crowded.answered.values()))
    sys.stdout.write(
        f"alone     p50 {alone.latency_ms(50):.1f} ms, p99 {alone.latency_ms(99):.1f} ms\n"
        f"crowded   p50 {crowded.latency_ms(50):.1f} ms, p99 {crowded.latency_ms(99):.1f} ms, "
        f"{answers} of {crowded.due} answered, {crowded.refusals} refused, {crowded.failed} failed\n"
        f"/health   {1000 * (health_s or float('nan')):.1f} ms\n"
        f"memory    {(after - before) / max(1, arguments.connections) / 1024:.1f} KiB a connection, "
        f"{after / 2**20:.0f} MiB in all\n"
    )
    return 0 if health_s and not crowded.failed and answers > crowded.due / 2 else 1


if __name__ == "__main__":
    sys.exit(main())
