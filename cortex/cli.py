"""The command line: serve, check, graph, explain, routes, schema.

Promises exit codes (0 good; 1 it could not be done; 2 the command or the configuration is wrong; 130 interrupted) and
that nobody sees a traceback. Answers go to standard output, everything else to standard error. What a command needs is
imported when it runs, so that `cortex --help` is there at once.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cortex import __version__

if TYPE_CHECKING:
    from cortex.app import App
    from cortex.config.load import Loaded
    from cortex.config.schema import Config

DEFAULT_FILE = Path("cortex.yaml")
FAILED, WRONG, INTERRUPTED = 1, 2, 130
_MAX_PROMPT_BYTES = 32 * 1024 * 1024

_FILE = click.Path(path_type=Path)
_config_option = click.option(
    "--config", "path", type=_FILE, default=DEFAULT_FILE, metavar="FILE", help="The configuration.  [cortex.yaml]"
)
_config_argument = click.argument("path", type=_FILE, default=DEFAULT_FILE, metavar="[FILE]")


def main() -> int:
    """Run the command that the arguments name; its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without the letters of a drawing
    try:
        code = commands.main(prog_name="cortex", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left (`cortex graph | head`); without this, Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an exit code
        place = traceback.extract_tb(error.__traceback__)[-1]
        _say(f"cortex: internal error: {type(error).__name__} at {place.filename}:{place.lineno}; please report it")
        return FAILED
    return code if isinstance(code, int) else 0


@click.group("cortex", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cortex", message="%(prog)s %(version)s")
def commands() -> None:
    """Route requests for language models as one file says: cortex.yaml."""


@commands.command()
@click.option("--config", "path", type=_FILE, metavar="FILE", help="The configuration.  [cortex.yaml]")
@click.option("--host", help="Address to listen on, instead of server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of server.port; 0: any.")
@click.option("--workers", metavar="N", help="Processes that share the port; 1 in this version.")
@click.option("--demo", is_flag=True, help="Serve simulated providers: no key and no network needed.")
def serve(path: Path | None, host: str | None, port: int | None, workers: str | None, demo: bool) -> int:
    """Serve until stopped. A saved configuration is loaded at once; SIGTERM finishes what is in flight."""
    if workers not in (None, "1"):
        raise click.UsageError(f"--workers {workers} is not available in this version; leave it out")
    if demo and path is not None:
        raise click.UsageError("--demo brings a configuration of its own; leave out --config")
    loaded, config = _load(_demo_file() if demo else path or DEFAULT_FILE)
    _refuse_open_door(config, host)
    from cortex.overview import banner
    from cortex.serve import run

    listening = False

    def ready(app: App, address: str) -> None:
        nonlocal listening
        listening = True
        runtime = app.runtime
        text = banner(runtime.graph, address, str(loaded.path), asks_for_key=bool(runtime.client_keys), demo=demo)
        click.echo(text, nl=False)

    try:
        return run(loaded, host=host, port=port, ready=ready)
    except OSError as error:
        if listening:
            raise
        _say(_cannot_listen(error, host or config.server.host, config.server.port if port is None else port))
        return FAILED


@commands.command()
@_config_argument
def check(path: Path) -> int:
    """Tell every problem of a configuration, or what it makes. Exit code 0: good, 2: problems."""
    _, config = _load(path)
    from cortex.config.graph import routing_graph
    from cortex.overview import summary

    click.echo(f"{path}: good")
    base_urls = {name: provider.base_url for name, provider in config.providers.items() if provider.simulate is None}
    click.echo(summary(routing_graph(config), base_urls), nl=False)
    return 0


@commands.command()
@_config_argument
@click.option("--format", "form", type=click.Choice(["text", "mermaid", "svg"]), default="text", show_default=True)
def graph(path: Path, form: str) -> int:
    """Draw the routing graph."""
    _, config = _load(path)
    from cortex.config.graph import routing_graph
    from cortex.draw import draw

    click.echo(draw(routing_graph(config), form), nl=False)
    return 0


@commands.command("explain")
@click.argument("prompt")
@_config_option
@click.option("--model", help="The model to ask for, instead of default_model.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain_prompt(prompt: str, path: Path, model: str | None, as_json: bool) -> int:
    """Tell which way PROMPT would take ("-": read it from standard input). Calls no provider."""
    loaded, _ = _load(path)
    import asyncio
    import json
    import random
    import time

    from cortex.build import build
    from cortex.errors import Fault
    from cortex.explain import Explanation, explain
    from cortex.telemetry.log import Log
    from cortex.upstream.transport import HttpTransport

    if prompt == "-":
        prompt = sys.stdin.buffer.read(_MAX_PROMPT_BYTES).decode(errors="replace")

    async def explained() -> Explanation:
        runtime = build(loaded, None, HttpTransport(), Log(level="error"))
        try:
            return await explain(runtime, prompt, model, time.monotonic(), random.Random())
        finally:
            runtime.classification.close()

    try:
        explanation = asyncio.run(explained())
    except Fault as fault:
        _say(f"cortex: {fault.message}")
        return WRONG
    if as_json:
        click.echo(json.dumps(explanation.as_json(), indent=2, ensure_ascii=False))
    else:
        click.echo(explanation.as_text(), nl=False)
    return 0


@commands.group("routes")
def routes() -> None:
    """What `classify` nodes make of prompts."""


@routes.command("eval")
@click.argument("file", type=_FILE, metavar="FILE.jsonl")
@_config_option
@click.option("--node", help="The node to evaluate; needed only if several classify.")
@click.option("--picture", type=_FILE, metavar="OUT.svg", help="Draw the confusion matrix and the coverage curve.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def evaluate_routes(file: Path, path: Path, node: str | None, picture: Path | None, as_json: bool) -> int:
    """Score a classify node on prompts whose routes are known. Calls no provider.

    FILE.jsonl has a line {"text": "…", "route": "coding"} for each prompt; null is for none.
    """
    if picture is not None and not picture.absolute().parent.is_dir():
        raise click.UsageError(f"--picture {picture}: there is no such folder")
    loaded, config = _load(path)
    import asyncio
    import json

    from cortex.config.graph import routing_graph
    from cortex.routes_eval import Refused, Unable, classify_node, read_prompts, report

    try:
        name, classify = classify_node(routing_graph(config), node)
    except LookupError as error:
        raise click.UsageError(str(error)) from None
    try:
        prompts = read_prompts(file, classify)
    except Refused as refused:
        for reason in refused.reasons:
            _say(reason)
        return WRONG
    try:
        with click.progressbar(
            length=len(prompts), file=sys.stderr, hidden=not sys.stderr.isatty(), update_min_steps=50
        ) as progress:
            found = asyncio.run(report(loaded, name, prompts, progress.update))
    except Unable as unable:
        _say(f"cortex: {unable}")
        return FAILED
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        from cortex.draw.evaluation_text import render

        click.echo(render(found.node, found.evaluation, found.notes), nl=False)
    if picture is not None:
        from cortex.draw.evaluation import draw_evaluation

        try:
            picture.write_text(draw_evaluation(found.node, found.evaluation), encoding="utf-8")
        except OSError as error:
            _say(f"cortex: {picture} cannot be written: {error.strerror or type(error).__name__}")
            return FAILED
    return 0


@commands.command()
def schema() -> int:
    """Print the JSON Schema of cortex.yaml, for editors."""
    import json

    from cortex.config.export import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0


def _load(path: Path) -> tuple[Loaded, Config]:
    """The configuration. Tells its problems; ends the command if it cannot be used."""
    from cortex.config.load import load

    loaded = load(path)
    for problem in loaded.problems:
        _say(str(problem))
    if loaded.config is None:
        count = len(loaded.problems)
        _say("1 problem" if count == 1 else f"{count} problems")
        raise click.exceptions.Exit(WRONG)
    return loaded, loaded.config


def _demo_file() -> Path:
    return Path(__file__).with_name("demo.yaml")


def _refuse_open_door(config: Config, host: str | None) -> None:
    """The configuration's own rule, for an address given here: beyond this machine only with client keys."""
    from cortex.config.schema import is_loopback

    if host is not None and not is_loopback(host) and not config.server.client_keys:
        _say(
            f"cortex: {host} is open to others, and no client keys are set; set server.client_keys or leave out --host"
        )
        raise click.exceptions.Exit(WRONG)


def _cannot_listen(error: OSError, host: str, port: int) -> str:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            why = "the port is in use; stop what listens there, or choose another with --port"
        case errno.EACCES:
            why = "not allowed; choose a port above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address; choose one that it has with --host"
        case _:
            why = f"{error.strerror or type(error).__name__}; choose another address with --host and --port"
    return f"cortex: cannot listen on {where}: {why}"


def _say(line: str) -> None:
    click.echo(line, err=True)
