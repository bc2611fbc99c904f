"""The command line as a whole: which commands there are."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from driftline import __version__
from driftline.cli import (
    alerts,
    backtest,
    chaos,
    compact,
    compare,
    config,
    doctor,
    keys,
    ledger,
    log,
    model,
    monitor,
    query,
    reference,
    replay,
    report,
    score,
    serve,
    serving,
    up,
    worker,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, and secrets with them
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


log_app = typer.Typer(
    no_args_is_help=True,
    help="What a log says of itself, and whether it is true; a copy; a repair; a new one in place of a lost one.",
)

alerts_app = typer.Typer(
    no_args_is_help=True, help="What is firing and what is kept silent; and whether anybody would be told."
)

keys_app = typer.Typer(no_args_is_help=True, help="Who may ask: draws API keys, lists them, takes them back.")

model_app = typer.Typer(
    no_args_is_help=True,
    help="Models: makes packages and checks them; which of their versions answer, and which are tried beside them.",
)

reference_app = typer.Typer(
    no_args_is_help=True, help="What current rows are compared with: makes the reference, shows it, compares two."
)


def _add(group: typer.Typer, name: str, command: Callable[..., None], epilog: str) -> None:
    # One line a paragraph: the help is wrapped to the reader's terminal, not to our editors.
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    group.command(name, help="\n\n".join(" ".join(text.split()) for text in paragraphs), epilog=epilog)(command)


_add(app, "up", up.up, up.EPILOG)
_add(app, "serve", serve.serve, serve.EPILOG)
_add(app, "worker", worker.worker, worker.EPILOG)
_add(app, "monitor", monitor.monitor, monitor.EPILOG)
_add(app, "backtest", backtest.backtest, backtest.EPILOG)
_add(app, "report", report.report, report.EPILOG)
_add(app, "score", score.score, score.EPILOG)
_add(app, "ledger", ledger.ledger, ledger.EPILOG)
_add(app, "compare", compare.compare, compare.EPILOG)
_add(app, "replay", replay.replay, replay.EPILOG)
_add(app, "query", query.query, query.EPILOG)
_add(app, "compact", compact.compact, compact.EPILOG)
_add(app, "chaos", chaos.chaos, chaos.EPILOG)
_add(app, "doctor", doctor.doctor, doctor.EPILOG)
_add(app, "config", config.config, config.EPILOG)
_add(alerts_app, "list", alerts.show, alerts.LIST_EPILOG)
_add(alerts_app, "silence", alerts.silence, alerts.SILENCE_EPILOG)
_add(alerts_app, "test", alerts.try_out, alerts.TEST_EPILOG)
_add(keys_app, "add", keys.add, keys.ADD_EPILOG)
_add(keys_app, "list", keys.show, keys.LIST_EPILOG)
_add(keys_app, "revoke", keys.revoke, keys.REVOKE_EPILOG)
_add(model_app, "init", model.init, model.INIT_EPILOG)
_add(model_app, "check", model.check, model.CHECK_EPILOG)
_add(model_app, "list", serving.show, serving.LIST_EPILOG)
_add(model_app, "promote", serving.promote, serving.PROMOTE_EPILOG)
_add(model_app, "rollback", serving.rollback, serving.ROLLBACK_EPILOG)
_add(model_app, "shadow", serving.shadow, serving.SHADOW_EPILOG)
_add(model_app, "canary", serving.canary, serving.CANARY_EPILOG)
_add(reference_app, "build", reference.build, reference.BUILD_EPILOG)
_add(reference_app, "show", reference.show, reference.SHOW_EPILOG)
_add(reference_app, "diff", reference.diff, reference.DIFF_EPILOG)
_add(log_app, "show", log.show, log.SHOW_EPILOG)
_add(log_app, "verify", log.verify, log.VERIFY_EPILOG)
_add(log_app, "backup", log.backup, log.BACKUP_EPILOG)
_add(log_app, "restore", log.restore, log.RESTORE_EPILOG)
_add(log_app, "repair", log.repair, log.REPAIR_EPILOG)
_add(log_app, "replace", log.replace, log.REPLACE_EPILOG)
app.add_typer(alerts_app, name="alerts")
app.add_typer(keys_app, name="keys")
app.add_typer(log_app, name="log")
app.add_typer(model_app, name="model")
app.add_typer(reference_app, name="reference")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"driftline {__version__}")
        raise typer.Exit


@app.callback()
def driftline(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Serves a model over HTTP, keeps every prediction, and says when the world has drifted away from the model.

    Start with [bold]driftline up[/bold]; each command has its own --help.
    """
