"""Records the README's picture: a real session with the demo, as an SVG. usage: record_demo.py [OUT]

Long streams are shortened to their first and last events, marked by an ellipsis; nothing else is changed but the port.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "demo.svg"
BODY = '{"messages": [{"role": "user", "content": "Hello"}]}'
SHOWN = 3


def main() -> None:
    console = Console(record=True, width=116, file=io.StringIO())
    command = [sys.executable, "-m", "cortex", "serve", "--demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as demo:
        assert demo.stdout is not None
        banner = [demo.stdout.readline().rstrip() for _ in range(8)]
        port = re.search(r":(\d+) \(demo\)", banner[0])
        assert port is not None, banner
        try:
            stream = failed_over(int(port[1]))
        finally:
            demo.terminate()
    prompt(console, "make demo")
    for line in banner:
        console.print(Text(line.replace(port[1], "4000")))
    console.print()
    prompt(console, f"curl -N localhost:4000/api/chat -H 'Content-Type: application/json' -d '{BODY}'")
    *tokens, done = [frame for frame in stream.split("\n\n") if frame]
    for frame in tokens[:SHOWN]:
        console.print(Text(frame, style="cyan"))
    console.print(Text("…", style="dim"))
    event, _, data = done.partition("\ndata: ")
    console.print(Text(event, style="green"))
    told = json.loads(data)
    told["usage"] = {name: value for name, value in told["usage"].items() if name.endswith("tokens")}
    for line in json.dumps(told, indent=2).replace('": {\n      "', '": {"').splitlines():
        failing = '"kind"' in line and '"ok"' not in line
        console.print(Text("data: " + line if line == "{" else line, style="bold red" if failing else "green"))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(console.export_svg(title="cortex"))
    print(f"wrote {OUT.name}")


def failed_over(port: int) -> str:
    """The first stream whose answer did not come from the first attempt."""
    for _ in range(50):
        out = subprocess.run(
            ["curl", "-sN", f"http://127.0.0.1:{port}/api/chat", "-H", "Content-Type: application/json", "-d", BODY],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        if "event: done" in out and out.count('"target"') > 1:
            return out
    raise SystemExit("nothing failed in 50 requests")


def prompt(console: Console, command: str) -> None:
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))


main()
