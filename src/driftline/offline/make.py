"""Makes a package: a folder with the artifact, the sample, what the model gives for it, and its profile."""

import shutil
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from driftline.contract.cells import features_of_cells
from driftline.contract.outputs import outputs_of
from driftline.contract.package import FILE_NAME, REFERENCE_FILE, Package, read_package
from driftline.contract.problems import InvalidFieldsError
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema
from driftline.drift.profile import Origin, Profile, encode_profile
from driftline.errors import InputError, ModelError, ProfileError, ScoringError
from driftline.monitor.sources import profile_of_file
from driftline.monitor.table import Table as ProfiledTable
from driftline.offline.draft import Draft
from driftline.offline.model_toml import model_toml
from driftline.scoring import Model, load_model
from driftline.scoring.check import Checked, check_package, told
from driftline.tables import Progress, Table

EXPECTED_FILE: Final = "expected.jsonl"
EXPECTED_ROWS: Final = 200
"""What the model gives is kept for so many rows of the sample."""


class Recipe(NamedTuple):
    """What a package is made of.

    Attributes:
        folder: Where it is to be.
        artifact: The file or folder that scores; None if a class of an installed module does.
        sample: The table.
        draft: What was guessed.
        runtime: What the ``[artifact]`` table has besides the file: the runtime, and what it is told.
        head: The comment at the beginning of ``model.toml``.
        allow_pickle: Whether the artifact may run code as it is loaded.
    """

    folder: Path
    artifact: Path | None
    sample: Path
    draft: Draft
    runtime: Mapping[str, Any]
    head: str
    allow_pickle: bool


class Made(NamedTuple):
    """A package that was made.

    Attributes:
        checked: What holds of it.
        rows: Rows of the sample.
        profile: The reference; None if the sample is not fit for one.
        unfit: Why it is not.
    """

    checked: Checked
    rows: int
    profile: Profile | None
    unfit: str


def make_package(recipe: Recipe, *, force: bool, progress: Progress) -> Made:
    """Returns what was made of it, once the package is in its place, whole.

    Args:
        recipe: What to make.
        force: Whether it may take the place of another package.
        progress: Told of what is scored of the sample.

    Raises:
        ModelError: The folder is taken, or the model does not do with the sample what the draft says.
        TableError: The sample cannot be read.
    """
    refuse_taken(recipe.folder, force=force)
    folder = recipe.folder.absolute()
    unborn = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    try:
        unborn.mkdir(parents=True)
        made = _made(recipe, unborn, progress)
        _put(unborn, folder)
    except OSError as error:
        raise ModelError(f"cannot make {recipe.folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unborn, ignore_errors=True)
    return made


def refuse_taken(folder: Path, *, force: bool) -> None:
    """Returns if a package may be put in a place.

    Raises:
        ModelError: Something else is there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / FILE_NAME).is_file():
        raise ModelError(f"{folder} is there already, and no model package: choose another --output-dir")
    if not force:
        raise ModelError(
            f"{folder} is a model package already: choose another --output-dir, or replace it with --force"
        )


def _put(unborn: Path, folder: Path) -> None:
    before = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    if folder.exists():
        folder.rename(before)
    unborn.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def _made(recipe: Recipe, folder: Path, progress: Progress) -> Made:
    sample = folder / f"sample{recipe.sample.suffix.lower()}"
    shutil.copyfile(recipe.sample, sample)
    artifact = dict(recipe.runtime)
    if recipe.artifact is not None:
        _copy(recipe.artifact, folder / recipe.artifact.name)
    schema, notes = recipe.draft.schema, recipe.draft.notes
    files = {"sample": sample.name, "expected": EXPECTED_FILE}
    (folder / FILE_NAME).write_text(model_toml(schema, files, artifact, head=recipe.head, notes=notes), "utf-8")
    (folder / EXPECTED_FILE).touch()
    package = read_package(folder)
    model = load_model(package, allow_pickle=recipe.allow_pickle)
    with tempfile.TemporaryDirectory(dir=folder) as working:
        scored = Path(working) / "scored.jsonl"
        rows = _score(package, model, scored, progress)
        profile, unfit = _profile(scored, schema, sample)
    if profile is not None:
        (folder / REFERENCE_FILE).write_bytes(encode_profile(profile))
    return Made(check_package(package, model), rows, profile, unfit)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _score(package: Package, model: Model, scored: Path, progress: Progress) -> int:
    """Writes all rows as the log has them, and what is expected of the first ones; returns how many there were."""
    assert package.sample is not None
    schema, table, rows = package.schema, Table(package.sample), 0
    decoder, outputs = RequestDecoder(schema), outputs_of(schema)
    names = outputs.response.__struct_fields__[1:]  # type: ignore[attr-defined]  # of a struct, whose maker it is
    nothing = dict.fromkeys(names)
    encode = msgspec.json.Encoder().encode
    with scored.open("wb") as lines, (package.path / EXPECTED_FILE).open("wb") as expected:
        for piece in table.pieces(progress=progress):
            try:
                features = features_of_cells(schema, decoder, piece, text=table.text)
                scores = model.score([decoder.inputs(each) for each in features])
            except InvalidFieldsError as error:
                raise ModelError(f"the sample does not fit what was guessed of it: {told(error, rows)}") from error
            except ScoringError as error:
                raise ModelError(f"the model cannot score the sample: {error.message}") from error
            for each, score in zip(features, scores, strict=True):
                try:
                    values = dict(zip(names, outputs.of(score), strict=True))
                except InputError:
                    values = nothing
                except ScoringError as error:
                    raise ModelError(f"it is not what was guessed: {error.message}") from error
                if values is not nothing:
                    lines.write(encode({"features": each, **values}) + b"\n")
                if rows < EXPECTED_ROWS:
                    expected.write(encode(values) + b"\n")
                rows += 1
    return rows


def _profile(scored: Path, schema: ModelSchema, sample: Path) -> tuple[Profile | None, str]:
    """Returns the profile of the scored rows; None, and why, if they are not fit for one."""
    try:
        with closing(ProfiledTable(scored)) as table:
            profile = profile_of_file(table, schema)
    except ProfileError as error:
        return None, error.message.replace(str(scored), "the sample")
    return replace(profile, origin=Origin("package", path=sample.name)), ""
