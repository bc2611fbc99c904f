"""What a Driftline says that it has counted."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

PATIENCE_S = 30.0


def counted(port: int, sample: str, **labels: str) -> int:
    """The sum of a counter's samples that have these labels, from ``/metrics``; 0 if there is none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    return sum(
        round(each.value)
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    )
