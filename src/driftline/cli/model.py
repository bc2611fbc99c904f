"""``driftline model``: makes model packages, and checks them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import typer

from driftline.cli.exits import Exit, complain, epilog
from driftline.cli.options import AllowPickle, pickle_setting, read_settings
from driftline.cli.package import closed
from driftline.errors import ModelError, ProfileError, ScoringError, TableError

if TYPE_CHECKING:
    from driftline.contract.package import Package
    from driftline.contract.schema import ModelSchema
    from driftline.offline.draft import Draft
    from driftline.offline.make import Made

INIT_EPILOG = epilog(
    "driftline model init iris.skops iris.csv",
    "driftline model init churn.json training.parquet --target churned --output-dir models/churn",
    "driftline model init churn:Model training.csv --gives binary",
)
CHECK_EPILOG = epilog("driftline model check ./iris", no="the package is not what it says")

ArtifactArgument = Annotated[
    str, typer.Argument(metavar="ARTIFACT", help="The model's file or folder, or a class of Python: MODULE:CLASS.")
]
Sample = Annotated[
    Path, typer.Argument(metavar="SAMPLE", help="CSV, Parquet or JSONL file of rows as the model was trained on.")
]
OutputDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where to put the package. Default: a folder of the model's name")
]
Name = Annotated[str | None, typer.Option(help="The model's name. Default: that of the artifact's file")]
Version = Annotated[str, typer.Option(help="The model's version.")]
Target = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The sample's column of what is predicted: it is no feature.")
]
Gives = Annotated[
    str | None, typer.Option(help="What the model gives, if it does not say: binary, multiclass or regression.")
]
Trust = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE", help="A type in a skops file whose code may run; as often as needed."),
]
Force = Annotated[bool, typer.Option("--force", help="Take the place of a package that is there.")]
Folder = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the model package, or of several.")]


CROWD = 8
"""More inputs than this of which there is nothing to say, but for their type, are one line."""


class _Artifact(NamedTuple):
    """What was named: the file or folder, if there is one, and what the ``[artifact]`` table begins with."""

    path: Path | None
    table: dict[str, Any]


def init(
    *,
    artifact: ArtifactArgument,
    sample: Sample,
    output_dir: OutputDir = None,
    name: Name = None,
    version: Version = "1",
    target: Target = None,
    gives: Gives = None,
    trust: Trust = None,
    allow_pickle: AllowPickle = False,
    force: Force = False,
) -> None:
    """Makes a model package of an artifact and a sample of rows, and says what it guessed.

    The features and their types come from the artifact and the sample, the outputs from the model. The package gets a
    copy of both, what the model gives for the first rows, and the profile of the sample, which the monitor holds the
    traffic against. Columns that the model does not take become context: accepted, logged and watched, not scored.

    It declares no range, and categories only where the model takes their codes: what is declared is refused otherwise.
    """
    settings = read_settings(pickle=pickle_setting(allow_pickle))
    allow = settings.pickle == "allow"
    from driftline.cli.progress import progress  # noqa: PLC0415 - slow to load
    from driftline.offline.draft import Wish, draft  # noqa: PLC0415 - see read_settings
    from driftline.offline.make import Recipe, make_package, refuse_taken  # noqa: PLC0415 - loads numpy
    from driftline.offline.summary import summaries_of  # noqa: PLC0415
    from driftline.scoring.description import describe  # noqa: PLC0415
    from driftline.tables import Table  # noqa: PLC0415

    output = _output(gives)
    found = _artifact(artifact, regression=output == "regression")
    wish = Wish(name or _stem(artifact, found), version, target, output)
    folder = output_dir or Path(wish.name)
    refuse_taken(folder, force=force)
    described = describe(
        found.table["runtime"], found.path or Path(artifact), allow_pickle=allow, trusted=tuple(trust or ())
    )
    with progress("reading") as advance:
        drafted = draft(described, summaries_of(Table(sample), advance), wish)
    head = (
        f"Made by driftline model init of {Path(artifact).name} and {sample.name}; what it guessed is for you to edit."
    )
    recipe = Recipe(folder, found.path, sample, drafted, {**found.table, **described.artifact}, head, allow)
    try:
        with progress("scoring") as advance:
            made = make_package(recipe, force=force, progress=advance)
    except ModelError as error:
        raise _with_its_cause(error) from error
    _print_draft(drafted, found.table["runtime"])
    _print_made(made, folder, drafted.schema, allow_pickle=allow_pickle)


def check(*, model: Folder, allow_pickle: AllowPickle = False) -> None:
    """Checks that a model package is what it says: its sample is valid, is scored, and as it is expected to be."""
    settings = read_settings(pickle=pickle_setting(allow_pickle))
    from driftline.contract.folder import find_packages  # noqa: PLC0415 - see read_settings
    from driftline.contract.package import FILE_NAME  # noqa: PLC0415

    folder = model.parent if model.name == FILE_NAME else model
    wrong = False
    try:
        found = find_packages(folder) if folder.is_dir() and any(folder.iterdir()) else [folder]
    except ModelError as error:
        complain(error)
        raise typer.Exit(Exit.NO) from error
    for path in found:
        if len(found) > 1:
            typer.echo(f"{path}:")
        try:
            _check(path, allow_pickle=settings.pickle == "allow")
        except (ModelError, ProfileError, TableError) as error:
            complain(_with_its_cause(error) if isinstance(error, ModelError) else error)
            wrong = True
    if wrong:
        raise typer.Exit(Exit.NO)


def _with_its_cause(error: ModelError) -> ModelError:
    """Returns an error with what a model's library said, which servers keep to themselves: it may tell features."""
    failed = error.__cause__
    cause = failed.__cause__ if isinstance(failed, ScoringError) else None
    said = str(cause or "").strip()
    return ModelError(f"{error.message}: {said.splitlines()[0]}") if said else error


def _check(path: Path, *, allow_pickle: bool) -> None:
    from driftline.contract.package import read_package  # noqa: PLC0415 - see read_settings
    from driftline.scoring import load_model  # noqa: PLC0415
    from driftline.scoring.check import ABSOLUTE, RELATIVE, check_package  # noqa: PLC0415

    package = read_package(path)
    loaded = load_model(package, allow_pickle=allow_pickle)
    typer.echo(_title(package.schema, str(package.artifact["runtime"])))
    with closed(loaded):
        checked = check_package(package, loaded, most_rows=None)
    reference = _checked_reference(package)
    if package.sample is None:
        typer.echo("no sample: nothing tells whether the model takes what the package says")
    else:
        unscored = f", {checked.unscored:,} of them without a score" if checked.unscored else ""
        typer.echo(f"{package.sample.name}: {checked.rows:,} rows, all valid, the model scores them{unscored}")
    if package.expected is not None:
        typer.echo(
            f"{package.expected.name}: {checked.compared:,} rows are as expected, the largest difference is "
            f"{checked.difference:.3g} (let pass: {RELATIVE:g} of a number, or {ABSOLUTE:g})"
        )
    typer.echo(reference)


def _output(gives: str | None) -> Any:
    from driftline.contract.schema import Output  # noqa: PLC0415 - see read_settings

    known = get_args(Output)
    if gives is not None and gives not in known:
        raise typer.BadParameter(f"a model gives one of: {', '.join(known)}", param_hint="--gives")
    return gives


def _artifact(named: str, *, regression: bool) -> _Artifact:
    from driftline.scoring.artifact import sha256_of  # noqa: PLC0415 - see read_settings
    from driftline.scoring.description import runtime_of  # noqa: PLC0415

    module, colon, cls = named.rpartition(":")
    if colon and not Path(named).exists():
        source = Path(module.removesuffix(".py"))
        path = next((it for it in (source.with_name(f"{source.name}.py"), source) if it.exists()), None)
        return _Artifact(path, {"runtime": "python", "class": f"{source.name}:{cls}"})
    path = Path(named)
    runtime = runtime_of(path)
    if runtime == "logistic" and regression:
        runtime = "linear"
    return _Artifact(path, {"runtime": runtime, "file": path.name, "sha256": sha256_of(path)})


def _stem(named: str, found: _Artifact) -> str:
    if found.table["runtime"] == "python":
        return str(found.table["class"]).partition(":")[0].rpartition(".")[2]
    return Path(named).stem


def _title(schema: "ModelSchema", runtime: str) -> str:
    classes = f", classes {', '.join(map(str, schema.classes))}" if schema.labels else ""
    return f"{schema.name} {schema.version}: {schema.output}, {len(schema.inputs)} inputs, runtime {runtime}{classes}"


def _print_draft(drafted: "Draft", runtime: str) -> None:
    schema = drafted.schema
    typer.echo(_title(schema, runtime) + "\n")
    plain = [it for it in schema.features if it.role == "input" and not it.nullable and it.name not in drafted.notes]
    alike = {kind: [it.name for it in plain if it.type == kind] for kind in {it.type for it in plain}}
    crowds = {kind: names for kind, names in alike.items() if len(names) > CROWD}
    listed = [it for it in schema.features if it not in plain or it.type not in crowds]
    for kind, names in sorted(crowds.items()):
        typer.echo(f"  {len(names)} inputs of type {kind}: {names[0]}, {names[1]} ... {names[-1]}")
    width = min(max((len(feature.name) for feature in listed), default=0), 40)
    for feature in listed:
        shown = feature.type + (", nullable" if feature.nullable else "")
        role = "context" if feature.role == "context" else ""
        typer.echo(f"  {feature.name:<{width}}  {shown:<18}  {role:<7}  {drafted.notes.get(feature.name, '')}".rstrip())
    typer.echo()
    for guess in drafted.guesses:
        typer.echo(f"guessed: {guess}")
    for name, why in drafted.left_out.items():
        typer.echo(f"left out: {name}: {why}" if name else f"left out: {why}")
    if drafted.question:
        typer.echo(f"question: {drafted.question}")


def _print_made(made: "Made", folder: Path, schema: "ModelSchema", *, allow_pickle: bool) -> None:
    unscored = f", {made.checked.unscored:,} of the first {made.checked.rows:,} without a score"
    typer.echo(f"{made.rows:,} rows are valid, the model scores them{unscored if made.checked.unscored else ''}")
    if made.profile is None:
        typer.echo(f"no reference.json: {made.unfit}. The first rows of the log will stand in for it")
    if len(schema.inputs) < len(schema.features):
        typer.echo("context columns are required in every request: delete those that clients will not send")
    flag = " --allow-pickle" if allow_pickle else ""
    typer.echo(f"written to {folder}: look through {folder / 'model.toml'}, then\n\n  driftline up {folder}{flag}\n")


def _checked_reference(package: "Package") -> str:
    from driftline.drift.profile import decode_profile  # noqa: PLC0415 - loads numpy
    from driftline.monitor.follow import misfit  # noqa: PLC0415

    path = package.reference
    if not path.exists():
        return f"no {path.name}: the first rows of the log will stand in for it"
    try:
        profile = decode_profile(path.read_bytes())
    except OSError as error:
        raise ProfileError(f"cannot read {path}: {error.strerror}") from error
    except ProfileError as error:
        raise ProfileError(f"{path}: {error.message}") from error
    if wrong := misfit(profile, package.schema):
        raise ProfileError(f"{path} does not fit: {wrong}. Make it anew: driftline reference build")
    return f"{path.name}: the profile of {profile.rows:,} rows"
