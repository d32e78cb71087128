"""The results page: tables, plots that are SVG, and errors where nobody overlooks them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import results
from benchmarks.figures import Table
from benchmarks.outcome import Outcome
from benchmarks.overhead import main
from benchmarks.subjects import SUBJECTS
from benchmarks.svg import bars, lines

OUTCOME = Outcome(
    name="speed",
    title="How fast",
    machine={"cpu": "abacus", "commit": None},
    settings={"rounds": 3},
    tables=[Table("Beads a second", ["left", "right"], [("fast", ["1", "2"])])],
    data={"figures": {"left": 1}},
    errors=[],
    plots={"speed.svg": bars("Beads", "beads/s", {"left": 1.0, "right": 2.0})},
)


def test_a_page_has_tables_plots_and_the_machine(tmp_path: Path) -> None:
    (tmp_path / "old.svg").write_text("of an earlier page")
    page = results.write(tmp_path, [OUTCOME]).read_text()
    assert "| fast | 1 | 2 |" in page
    assert "![speed](speed.svg)" in page
    assert "| cpu | abacus |" in page
    assert "commit" not in page
    assert "errors" not in page
    assert {file.name for file in tmp_path.iterdir()} == {"README.md", "results.json", "speed.svg"}
    assert json.loads((tmp_path / "results.json").read_text())["speed"]["figures"] == {"left": 1}


def test_errors_stand_at_the_top_of_the_page() -> None:
    page = results.markdown([replace(OUTCOME, errors=["right: 3 × status 502\n<html>"])])
    assert page.index("these figures do not count") < page.index("## How fast")
    assert "- right: 3 × status 502 <html>" in page


@pytest.mark.parametrize(
    "plot",
    [
        bars("a < b & c", "ms", {"<x>": 0.0, "y": 12.5}, digits=1),
        bars("none", "ms", {}),
        lines("rates", "req/s", "ms", {"a": [(1, 0.5), (1000, 80)], "b & c": [(10, 0.0)]}, limits=(5, 50)),
        lines("none", "req/s", "ms", {}),
    ],
)
def test_plots_are_well_formed(plot: str) -> None:
    root = ElementTree.fromstring(plot)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= height


def test_a_bar_is_as_long_as_its_value() -> None:
    root = ElementTree.fromstring(bars("x", "ms", {"a": 1.0, "b": 4.0}))
    _, shorter, longer = (float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect"))
    assert longer == pytest.approx(4 * shorter, rel=0.01)


def test_what_is_not_installed_cannot_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert not SUBJECTS["nginx"].installed()
    with pytest.raises(SystemExit):
        main(["--subjects", "nginx"])
    assert "nginx is not installed" in capsys.readouterr().err


def test_a_translated_stream_is_not_measured_of_those_that_cannot(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--scenario", "stream-gemini", "--subjects", "bare"])
    assert "stream-gemini is measured of cortex alone" in capsys.readouterr().err
