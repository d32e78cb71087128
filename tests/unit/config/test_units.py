from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from cortex.config.scalars import BOOLEAN, REFUSED, TEXT, choice, number, whole
from cortex.config.units import Delay, Duration, Share, Size, read_delay, read_duration, read_share, read_size


def refusal(read: Callable[[object], Any], value: object) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        read(value)
    assert caught.value.type == REFUSED
    return str((caught.value.context or {})["message"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30.0), ("15m", 900.0), ("1h", 3600.0), ("1h30m", 5400.0), ("1.5s", 1.5), (" 5s ", 5.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("value", [5, "5", 0.5, " 1e3 "])
def test_a_number_is_no_duration(value: object) -> None:
    assert refusal(read_duration, value) == "a duration without a unit"


@pytest.mark.parametrize("value", ["", "s", "5 s", "-5s", "5d", "5S", "1,5s", "5s 3", True, None, [], "9" * 20 + "s"])
def test_no_duration(value: object) -> None:
    assert refusal(read_duration, value) == "not a duration"


def test_a_delay_may_be_nothing_and_a_duration_may_not() -> None:
    assert read_delay("0s") == 0
    assert refusal(read_duration, "0ms") == "must be longer than 0"
    assert refusal(read_duration, "9999h") == "longer than a year"


@pytest.mark.parametrize(
    ("text", "amount"),
    [("64KiB", 65536), ("256MiB", 256 * 2**20), ("1GiB", 2**30), ("1KB", 1000), ("2MB", 2_000_000), ("10 B", 10)],
)
def test_sizes(text: str, amount: int) -> None:
    assert read_size(text) == amount


@pytest.mark.parametrize(
    ("value", "message"),
    [(65536, "a size without a unit"), ("1", "a size without a unit"), ("1kb", "not a size"), ("1.5MiB", "not a size"),
     ("0B", "must be more than 0"), (None, "not a size")],
)  # fmt: skip
def test_no_size(value: object, message: str) -> None:
    assert refusal(read_size, value) == message


@pytest.mark.parametrize(
    ("value", "part"), [("20%", 0.2), (0.2, 0.2), ("0.2", 0.2), ("0%", 0.0), (1, 1.0), ("12.5 %", 0.125)]
)
def test_shares(value: object, part: float) -> None:
    assert read_share(value) == pytest.approx(part)


@pytest.mark.parametrize("value", ["20", 20, "101%", -0.1, float("nan"), float("inf"), "half", True, None])
def test_no_share(value: object) -> None:
    assert refusal(read_share, value) in ("not a share", "must be from 0% to 100%", "must be a number")


@given(st.integers(0, 10**5), st.sampled_from(["ms", "s", "m"]), st.integers(1, 10**4), st.sampled_from(["ms", "s"]))
def test_a_duration_is_the_sum_of_its_parts(first: int, unit: str, second: int, other: str) -> None:
    parts_s = read_delay(f"{first}{unit}") + read_duration(f"{second}{other}")
    assert read_duration(f"{first}{unit}{second}{other}") == pytest.approx(parts_s)


@pytest.mark.parametrize("value", [4000, "4000", " 4000 "])
def test_whole_numbers(value: object) -> None:
    assert whole(0, 65535).read(value) == 4000


@pytest.mark.parametrize("value", [True, 4000.0, "4000.0", "4_000", "0x10", "", None, [], "9" * 40])
def test_no_whole_number(value: object) -> None:
    assert refusal(whole(0).read, value) == "must be a whole number"


def test_limits_of_numbers() -> None:
    assert refusal(whole(1).read, 0) == "must be 1 or more"
    assert refusal(whole(1, 5).read, "6") == "must be from 1 to 5"
    assert refusal(number().read, -1) == "must be 0 or more"
    assert refusal(number(above_zero=True).read, "0") == "must be more than 0"
    assert refusal(number().read, float("inf")) == "must be a number"
    assert number().read("1e-3") == 0.001


@pytest.mark.parametrize(("value", "found"), [(True, True), ("TRUE", True), (" false ", False)])
def test_booleans(value: object, found: bool) -> None:
    assert BOOLEAN.read(value) is found


@pytest.mark.parametrize("value", ["yes", "on", 1, 0, "", None])
def test_no_boolean(value: object) -> None:
    assert refusal(BOOLEAN.read, value) == "must be true or false"


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "a\x00", "x" * 300, 5, None])
def test_no_text(value: object) -> None:
    assert refusal(TEXT.read, value).startswith("must ")


def test_a_choice_names_what_may_be_chosen_and_never_what_was() -> None:
    assert refusal(choice(("debug", "info")).read, "canary") == "must be one of: debug, info"


@pytest.mark.parametrize(
    ("annotated", "written", "not_written"),
    [
        (Duration, ["250ms", "1h30m", "1.5s", "${X:-5s}", "${X}m", "os.environ/X"], ["5", "5 s", "s", "-1s"]),
        (Delay, ["0s"], ["0"]),
        (Size, ["64KiB", "10 B", "${X}"], ["64", "64kb"]),
        (Share, ["20%", "0.2", "${X}"], ["a half", "%"]),
    ],
)
def test_the_schema_s_pattern_takes_what_is_read(annotated: Any, written: list[str], not_written: list[str]) -> None:
    scalar = get_args(annotated)[1]
    pattern = scalar.described["pattern"]
    assert [text for text in written if not re.search(pattern, text)] == []
    assert [text for text in not_written if re.search(pattern, text)] == []
    for example in scalar.described["examples"]:
        scalar.read(example)
