"""`autonl`: the command-line application, assembled from its commands. A command is imported when it is used."""

from __future__ import annotations

import click
from click.core import ParameterSource
from click.shell_completion import get_completion_class

from cli.commands import FullHelpGroup, LazyCommand, own_help_option
from cli.options import key_before_option, url_before_option

COMMANDS = (
    LazyCommand(
        "up",
        "cli.up:up",
        "Run the whole service here: broker, API with the page, worker, sweeper, checker, webhooks. Ctrl-C stops it.",
    ),
    LazyCommand("search", "cli.start_search:search", "Start a search. With --wait, exit code 1 unless it succeeded."),
    LazyCommand("status", "cli.searches:status", "Show the current state of a search. Exit code 1 if it failed."),
    LazyCommand(
        "watch", "cli.watch:watch", "Follow a search until it ends or is paused. Exit code 1 unless it succeeded."
    ),
    LazyCommand("list", "cli.searches:list_searches", "List searches, newest first."),
    LazyCommand(
        "trade-off",
        "cli.trade_off:trade_off",
        "Show what accuracy costs: the networks that a search measured, of all of its budgets.",
    ),
    LazyCommand(
        "architecture-history",
        "cli.architecture_history:architecture_history",
        "Show how gates, options and the derived network changed over the epochs of a search.",
    ),
    LazyCommand(
        "repeats",
        "cli.repeats:repeats",
        "Show how far the results of a repeated search spread.",
    ),
    LazyCommand(
        "compare",
        "cli.compare:compare",
        "Compare two to five searches: settings that differ, accuracy, cost, and the networks block by block.",
    ),
    LazyCommand("events", "cli.searches:events", "Show the event log of a search, oldest event first."),
    LazyCommand("logs", "cli.logs:logs", "Show the end of what each attempt of a search printed."),
    LazyCommand(
        "cancel",
        "cli.searches:cancel",
        "Cancel a search; the best architecture found so far is kept, with a checkpoint.",
    ),
    LazyCommand(
        "pause", "cli.searches:pause", "Pause a search: it saves its run state and frees its worker until `resume`."
    ),
    LazyCommand(
        "resume", "cli.searches:resume", "Resume a paused, failed or cancelled search from its last run state."
    ),
    LazyCommand(
        "label", "cli.searches:label", "Set and remove labels of a search, in whatever state it is; others stay."
    ),
    LazyCommand("delete", "cli.searches:delete", "Delete a search that has ended, with all of its files."),
    LazyCommand(
        "download",
        "cli.checkpoints:download",
        "Download the network of a search, verified by its SHA-256. Run it again to continue an interrupted download.",
    ),
    LazyCommand(
        "predict",
        "cli.predict:predict",
        "Name the classes of images with the network of a finished search. Exit code 1 if an image cannot be read.",
    ),
    LazyCommand(
        "report",
        "cli.reports:report",
        "Download the report of a search, verified by its SHA-256: the network, its accuracy, and how it was found.",
    ),
    LazyCommand(
        "doubtful-labels",
        "cli.doubtful_labels:doubtful_labels",
        "List images that are perhaps labelled wrong: to the network, another class is more probable.",
    ),
    LazyCommand(
        "device",
        "cli.devices:device",
        "Measure how long blocks take on this machine; add, list, show and delete devices that latency is limited on.",
    ),
    LazyCommand(
        "estimate",
        "cli.estimate:estimate",
        "Estimate how long a search takes on this machine, from a short run of it on generated images.",
    ),
    LazyCommand(
        "zoo",
        "cli.zoo:zoo",
        "List AutoNL-S, AutoNL-L and other published networks, with their published figures and those counted here.",
    ),
    LazyCommand(
        "backup",
        "cli.backup:backup",
        "Copy the database and all files of a service to TARGET, a new folder or a new .tar file.",
    ),
    LazyCommand(
        "restore", "cli.backup:restore", "Put a backup into an empty data folder and an empty database, verified."
    ),
    LazyCommand(
        "usage", "cli.usage:usage", "Show CPU seconds, searches and bytes by day, what is in use now, and the limits."
    ),
    LazyCommand("dataset", "cli.datasets:dataset", "Add, list, show and delete datasets."),
    LazyCommand("webhooks", "cli.webhooks:webhooks", "Add, list, test and delete webhooks, and see what was sent."),
    LazyCommand(
        "models",
        "cli.models:models",
        "Promote results to aliases of models, such as products@prod; roll back, download, look at the history.",
    ),
    LazyCommand("weights", "cli.weights:weights", "Add, list, show and delete weights that a network can start from."),
    LazyCommand("keys", "cli.keys:keys", "Make, list and revoke keys of a service on this machine."),
    LazyCommand("tenants", "cli.tenants:tenants", "Create, list and delete the tenants of a service on this machine."),
)


def _show_completion(context: click.Context, _parameter: click.Parameter, shell: str | None) -> None:
    """Print the script and exit, if a shell is named."""
    completion = get_completion_class(shell) if shell else None
    if completion is not None and not context.resilient_parsing:
        click.echo(completion(context.command, {}, "autonl", "_AUTONL_COMPLETE").source())
        context.exit()


@click.group("autonl", cls=FullHelpGroup, commands=COMMANDS)
@click.option(
    "--show-completion",
    type=click.Choice(("bash", "fish", "zsh")),
    callback=_show_completion,
    expose_value=False,
    is_eager=True,
    help="print the script that completes commands in a shell; save it where the shell reads completions",
)
@url_before_option
@key_before_option
@click.version_option(package_name="autonl", message="autonl %(version)s", help="show the version and exit")
@own_help_option
@click.pass_context
def app(context: click.Context, url: str) -> None:
    """Search for image classifiers that fit a MACs budget."""
    if context.invoked_subcommand == "up" and context.get_parameter_source("url") == ParameterSource.COMMANDLINE:
        raise click.UsageError("--url names a service that runs; `autonl up` starts one, at --host and --port")


if __name__ == "__main__":
    app(prog_name="autonl")
