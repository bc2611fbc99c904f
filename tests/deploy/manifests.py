"""The Kubernetes manifests as Python sees them."""

from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
Manifest = dict[str, Any]


def kustomization() -> Manifest:
    """What kustomize is told."""
    found: Manifest = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
    return found


def manifests(kind: str | None = None) -> list[Manifest]:
    """All manifests that kustomize is told of, or those of one kind."""
    everything = [
        manifest
        for name in kustomization()["resources"]
        for manifest in yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8"))
    ]
    return [manifest for manifest in everything if kind in {None, manifest["kind"]}]


def manifest(kind: str, name: str) -> Manifest:
    """The one manifest of this kind and name."""
    [found] = [one for one in manifests(kind) if one["metadata"]["name"] == name]
    return found


def pod(workload: Manifest) -> Manifest:
    """The pod's specification in a workload."""
    found: Manifest = workload["spec"]["template"]["spec"]
    return found


def containers(workload: Manifest) -> list[Manifest]:
    """The containers of a workload; the first one has its name."""
    found: list[Manifest] = pod(workload)["containers"]
    return found


def container(workload: Manifest, name: str | None = None) -> Manifest:
    """The container of this name in a workload, or the one that it is named after."""
    wanted = name or labels(workload)["app.kubernetes.io/component"]
    [found] = [one for one in containers(workload) if one["name"] == wanted]
    return found


def labels(workload: Manifest) -> dict[str, str]:
    """The labels of a workload's pods."""
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def selects(selector: Manifest, of: dict[str, str]) -> bool:
    """Whether a label selector selects what has these labels; a Service's selector is given as its matchLabels."""
    wanted = selector.get("matchLabels", {}).items() <= of.items()
    return wanted and all(
        of.get(expression["key"]) in expression["values"] for expression in selector.get("matchExpressions", [])
    )
