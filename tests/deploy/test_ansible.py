"""The playbook, as far as it can be checked without a machine to deploy to: ``make e2e`` does the rest."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "deploy" / "ansible"
ROLES = ANSIBLE / "roles"
PACK = ROLES / "driftline" / "files" / "pack.py"
YAML_FILES = sorted(ANSIBLE.rglob("*.yml"))
PAGE = ROOT / "docs" / "deploy.md"


class Loader(yaml.SafeLoader):
    """Knows Ansible's own tag."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]  # is one


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader)


DOCUMENTED = read(ANSIBLE / "group_vars" / "all.yml")
OWN = read(ROLES / "driftline" / "vars" / "main.yml")


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ANSIBLE)))
def test_every_file_is_yaml(path: Path) -> None:
    assert read(path)


def made_in(tasks: Any) -> set[str]:
    """The variables that tasks make themselves."""
    made: set[str] = set()
    for task in tasks or ():
        made |= {task["register"]} if "register" in task else set()
        made |= set(task.get("ansible.builtin.set_fact", ())) | set(task.get("vars", ()))
        for inner in ("block", "rescue", "always"):
            made |= made_in(task.get(inner))
    return made


def test_every_variable_that_the_roles_use_is_documented_or_their_own() -> None:
    files = [*ROLES.rglob("*.yml"), *ROLES.rglob("*.j2"), ANSIBLE / "playbook.yml", ANSIBLE / "group_vars" / "all.yml"]
    used = {name for path in files for name in re.findall(r"\bdriftline_\w+", path.read_text())}
    made = {name for path in ROLES.glob("*/tasks/*.yml") for name in made_in(read(path))}
    assert used - DOCUMENTED.keys() - OWN.keys() - made == set()


def test_every_documented_variable_is_used() -> None:
    text = "\n".join(path.read_text() for path in [*ROLES.rglob("*.yml"), *ROLES.rglob("*.j2")])
    assert [name for name in DOCUMENTED if not re.search(rf"\b{name}\b", text)] == []


def test_every_variable_has_a_comment_above_it() -> None:
    lines = (ANSIBLE / "group_vars" / "all.yml").read_text().splitlines()
    named = [number for number, line in enumerate(lines) if re.match(r"driftline_\w+:", line)]
    bare = [lines[n] for n in named if not lines[n - 1].startswith("#") and n - 1 not in named]
    assert bare == []


def test_the_page_has_every_variable_and_no_other() -> None:
    assert set(re.findall(r"^\| `(driftline_\w+)` \|", PAGE.read_text(), re.MULTILINE)) == DOCUMENTED.keys()


def test_what_the_roles_copy_exists() -> None:
    assert [path for path in OWN["driftline_bundle_paths"] if not (ROOT / path).exists()] == []
    templates = [
        ROLES / name / "templates" / source
        for name in ("docker", "driftline")
        for path in (ROLES / name / "tasks").glob("*.yml")
        for source in re.findall(r"src: (\S+\.j2)", path.read_text())
    ]
    assert templates
    assert all(path.exists() for path in templates)


def test_what_the_image_is_built_from_is_copied() -> None:
    copied = {source for line in instructions("COPY") if "--from" not in line for source in line.split()[1:-1]}
    bundled = OWN["driftline_bundle_paths"]
    assert copied
    assert [path for path in copied if not any(Path(path).is_relative_to(part) for part in bundled)] == []


def instructions(name: str) -> list[str]:
    lines = (ROOT / "deploy" / "docker" / "Dockerfile").read_text().splitlines()
    return [line for line in lines if line.startswith(f"{name} ")]


def test_imported_files_exist() -> None:
    for path in ROLES.glob("*/tasks/*.yml"):
        for name in re.findall(r"(?:import_tasks|include_tasks|file): (\S+\.yml)", path.read_text()):
            assert (path.parent / name).exists(), f"{path} wants {name}"


def test_each_tag_that_undoes_something_must_be_asked_for() -> None:
    (play,) = read(ANSIBLE / "playbook.yml")
    tags = {task["name"]: task.get("tags", []) for task in play["tasks"]}
    assert [name for name, of in tags.items() if {"rollback", "uninstall"} & set(of) and "never" not in of] == []


def pack(output: Path, *paths: str, project: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PACK), str(project), str(output), *paths]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_bundle_has_the_same_bytes_whenever_it_was_packed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src" / "__pycache__").mkdir(parents=True)
    (project / "src" / "a.py").write_text("a")
    (project / "src" / "__pycache__" / "a.pyc").write_text("not for others")
    assert pack(tmp_path / "1.tar", "src", project=project).returncode == 0
    (project / "src" / "a.py").touch()
    (project / "src" / "__pycache__" / "b.pyc").touch()
    assert pack(tmp_path / "2.tar", "src", project=project).returncode == 0
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    with tarfile.open(tmp_path / "1.tar") as archive:
        assert archive.getnames() == ["src", "src/a.py"]


def test_an_incomplete_project_is_refused_by_name(tmp_path: Path) -> None:
    refused = pack(tmp_path / "1.tar", "compose.yaml", "src", project=tmp_path)
    assert refused.returncode == 1
    assert "lacks compose.yaml, src" in refused.stderr
