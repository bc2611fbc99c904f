"""What kustomize makes of the Kubernetes base, and of the overlay that docs/deploy.md shows."""

import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from deploy.e2e.commands import Shell
from deploy.e2e.steps import ensure
from deploy.e2e.tools import PROJECT

BASE = PROJECT / "deploy" / "kubernetes"
PAGE = PROJECT / "docs" / "deploy.md"
OVERLAY = re.compile(r"```yaml\n(# kustomization\.yaml\n.*?)```", re.DOTALL)
OLDEST = "1.30"
INSTALL = "apt-get -qq update && apt-get -qq install --no-install-recommends kubectl >/dev/null"

Manifest = dict[str, Any]


def build(shell: Shell, work: Path, image: str) -> str:
    """How many objects kustomize makes of the base; each is in its manifests, and is what the API's schema asks for.

    Args:
        shell: Runs ``docker``.
        work: A new folder for the overlay.
        image: A Debian 13, for its kubectl.

    Raises:
        CheckError: The base or the overlay is not what it should be.
        CommandError: kustomize refuses it.
    """
    shutil.copytree(BASE, work / "driftline" / "deploy" / "kubernetes")
    overlay = OVERLAY.search(PAGE.read_text())
    ensure(overlay, "docs/deploy.md shows no overlay")
    assert overlay is not None
    (work / "kustomization.yaml").write_text(overlay[1])
    both = f"{INSTALL} && kubectl kustomize driftline/deploy/kubernetes && echo '=====' && kubectl kustomize ."
    mount = ("--volume", f"{work}:/work:ro", "--workdir", "/work")
    base, _, customized = shell.run("docker", "run", "--rm", *mount, image, "sh", "-c", both).partition("=====\n")

    built = list(yaml.safe_load_all(base))
    files = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    written = [one for name in files for one in yaml.safe_load_all((BASE / name).read_text())]
    made = {_name(one) for one in built if one["kind"] != "ConfigMap"}  # of which kustomize makes one from a file
    ensure(made == {_name(one) for one in written}, f"kustomize makes {sorted(made)}")
    for one in built:
        kubernetes_validate.validate(one, OLDEST, strict=True)
    images = {image for one in yaml.safe_load_all(customized) for image in _images(one)}
    ensure(any(name.startswith("registry.example.com/driftline:") for name in images), f"the overlay has {images}")
    return f"{len(built)} objects"


def _name(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _images(manifest: Manifest) -> list[str]:
    template = manifest.get("spec", {}).get("template")
    return [container["image"] for container in template["spec"]["containers"]] if template else []
