"""``driftline reference``: the profile that current rows are compared with."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import Exit, epilog
from driftline.cli.options import Data, Json, Model, read_settings
from driftline.cli.package import package_of, reference_in_use
from driftline.errors import ProfileError

if TYPE_CHECKING:
    from driftline.contract.schema import ModelSchema
    from driftline.drift.profile import Profile
    from driftline.settings import Settings

BUILD_EPILOG = epilog(
    "driftline reference build training.parquet",
    "driftline reference build --first 5000",
    "driftline reference build --from-row 10000 --to-row 60000",
)
SHOW_EPILOG = epilog("driftline reference show", "driftline reference show --json | jq .rows")
DIFF_EPILOG = epilog("driftline reference diff candidate.json", no="the two differ")

File = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="CSV, Parquet or JSONL file with a column for each feature.")
]
Other = Annotated[Path, typer.Argument(metavar="FILE", help="The profile to compare with the one in use.")]
First = Annotated[int | None, typer.Option(metavar="N", help="Take the first N rows of the log.")]
FromRow = Annotated[int | None, typer.Option(metavar="ROW", help="Take the log from this row on.")]
ToRow = Annotated[int | None, typer.Option(metavar="ROW", help="The end of that range, not itself in it.")]
Output = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where to write it. Default: reference.json in the data folder")
]


def build(
    *,
    file: File = None,
    data: Data = None,
    model: Model = None,
    first: First = None,
    from_row: FromRow = None,
    to_row: ToRow = None,
    output: Output = None,
) -> None:
    """Makes the reference, of a file or of rows of the log. A monitor that runs takes it up by itself.

    What was counted under another reference is then counted again from the log.
    """
    settings = read_settings(data=data, model=model)
    from driftline.drift.profile import encode_profile  # noqa: PLC0415 - loads numpy
    from driftline.durable import make_directory, write_durably  # noqa: PLC0415

    of_log = (first, from_row, to_row) != (None, None, None)
    if (file is None) != of_log:
        raise typer.BadParameter("give either a file, or rows of the log (--first, or --from-row and --to-row)")
    if first is not None and (from_row, to_row) != (None, None):
        raise typer.BadParameter("--first takes the log from its beginning: leave --from-row and --to-row out")
    profile = _of_log(settings, first, from_row, to_row) if file is None else _of_file(settings, file)
    path = output or settings.reference_file
    try:
        make_directory(path.absolute().parent)
        write_durably(path, encode_profile(profile))
    except OSError as error:
        raise ProfileError(f"cannot write {path}: {error.strerror}") from error
    _print(profile)
    typer.echo(f"\nwritten to {path}")


def show(*, data: Data = None, model: Model = None, as_json: Json = False) -> None:
    """Prints the reference in use: where it came from, and its columns."""
    settings = read_settings(data=data, model=model)
    path = reference_in_use(settings)
    content = _read(path)
    from driftline.drift.profile import decode_profile  # noqa: PLC0415 - loads numpy

    profile = decode_profile(content)
    if as_json:
        typer.echo(content.decode().rstrip())
    else:
        _print(profile)
        typer.echo(f"\nin use: {path}" + ("" if path == settings.reference_file else ", the model package's own"))


def diff(*, other: Other, data: Data = None, model: Model = None) -> None:
    """Compares another profile with the one in use: columns, rows, and how far each column is from the other."""
    settings = read_settings(data=data, model=model)
    from driftline.drift.profile import decode_profile  # noqa: PLC0415 - loads numpy

    mine, theirs = decode_profile(_read(reference_in_use(settings))), decode_profile(_read(other))
    typer.echo(f"in use  {_line(mine)}\nother   {_line(theirs)}\n")
    names = [column.name for column in mine.columns]
    for name in [*names, *(it.name for it in theirs.columns if it.name not in names)]:
        typer.echo(f"  {name:<24}{_difference(mine, theirs, name)}")
    if mine.profile_id != theirs.profile_id:
        raise typer.Exit(Exit.NO)


def _difference(mine: "Profile", theirs: "Profile", name: str) -> str:
    from driftline.drift.compare import apart  # noqa: PLC0415 - loads numpy

    ours = [column for column in mine.columns if column.name == name]
    others = [column for column in theirs.columns if column.name == name]
    if not others:
        return "only in use"
    if not ours:
        return "only in the other"
    distance = apart(ours[0], others[0])
    return "of another kind" if distance is None else f"{distance:.1%} of the rows differ"


def _of_file(settings: "Settings", file: Path) -> "Profile":
    from driftline.monitor.sources import profile_of_file  # noqa: PLC0415 - loads numpy
    from driftline.monitor.table import Table  # noqa: PLC0415

    with closing(Table(file)) as table:
        return profile_of_file(table, _schema(settings))


def _of_log(settings: "Settings", first: int | None, from_row: int | None, to_row: int | None) -> "Profile":
    from driftline.eventlog.reader import LogReader  # noqa: PLC0415 - see read_settings
    from driftline.monitor.sources import profile_of_rows  # noqa: PLC0415 - loads numpy

    with LogReader(settings.log_dir) as log:
        start = from_row or 0
        stop = min(log.rows if to_row is None else to_row, log.rows)
        if first is not None:
            stop = min(first, log.rows)
        return profile_of_rows(log, _schema(settings), start, max(start, stop))


def _schema(settings: "Settings") -> "ModelSchema":

    return package_of(settings).schema


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProfileError(f"cannot read the reference {path}: {error.strerror}") from error


def _line(profile: "Profile") -> str:
    origin = profile.origin
    where = origin.path or f"rows {origin.first_row:,} to {origin.stop_row:,} of the log"
    return f"{profile.profile_id}  {profile.rows:,} rows, made {profile.made_at}, of {where}"


def _print(profile: "Profile") -> None:
    origin = profile.origin
    typer.echo(f"profile {_line(profile)}")
    if origin.first_timestamp:
        typer.echo(f"        from {origin.first_timestamp} to {origin.last_timestamp}")
    if not origin.in_order:
        typer.echo("        the order of its rows is not known: they are taken for independent of each other")
    typer.echo()
    for column in profile.columns:
        missing = column.counts[0] / profile.rows
        dependence = max((it.factor for it in column.dispersion), default=1.0)
        dependent = "" if dependence == 1 else f", rows dependent (factor {dependence:.1f})"
        typer.echo(f"  {column.name:<24}{column.bins.count - 2} bins, {missing:.1%} missing{dependent}")
