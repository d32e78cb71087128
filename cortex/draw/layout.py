"""Where boxes stand and arrows run: columns from left to right. Knows sizes, neither text nor SVG.

A node stands one column right of the last that leads to it, candidates stand in the last column. An arrow that passes
columns on its way has a free lane through each, so that it never runs beneath a box. Within a column everything stands
in the order of what leads there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cortex.draw.picture import Picture

PORT = 20.0  # between two arrows that leave one box
COLUMN_GAP = 90.0  # or more, where labels need it
_BEND = 60.0  # what an arrow needs behind its label, to turn where it leads
_ROW_GAP = 18.0
_LANE = 2.0
_MARGIN = 20.0

Point: TypeAlias = tuple[float, float]
_Lane: TypeAlias = tuple[int, int]  # an arrow, by its position, in a column
_Slot: TypeAlias = str | _Lane  # a box or a lane


@dataclass(frozen=True, slots=True)
class Place:
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Layout:
    width: float
    height: float
    places: Mapping[str, Place]
    ways: tuple[tuple[Point, ...], ...]  # one an arrow: from its box, in and out of each lane, to its target


def layout(picture: Picture, sizes: Mapping[str, tuple[float, float]], leads: Sequence[float] = ()) -> Layout:
    """`sizes`: width and height of each box; `leads`: how far each arrow runs straight on, for its label's sake."""
    columns = _columns(picture)
    leading = dict.fromkeys(picture.boxes, 0.0)  # the longest by box
    for arrow, lead in zip(picture.arrows, leads, strict=False):
        leading[arrow.source] = max(leading[arrow.source], lead)
    room: dict[_Slot, tuple[float, float]] = {slot: (0.0, _LANE) for column in columns for slot in column}
    room.update(sizes)
    longest = [max((leading[slot] for slot in column if isinstance(slot, str)), default=0.0) for column in columns]
    slots = _stand(columns, room, [max(COLUMN_GAP, lead + _BEND if lead else 0.0) for lead in longest])
    places = {name: slots[name] for name in picture.boxes}
    ports = _ports(picture)
    ways = []
    for position, arrow in enumerate(picture.arrows):
        source, target = places[arrow.source], places[arrow.target]
        way = [(source.x + source.width, source.middle + ports[position] * PORT)]
        for number in range(len(columns)):
            if lane := slots.get((position, number)):
                way += [(lane.x, lane.middle), (lane.x + lane.width, lane.middle)]
        ways.append((*way, (target.x, target.middle)))
    return Layout(
        max((place.x + place.width for place in slots.values()), default=0.0) + _MARGIN,
        max((place.y + place.height for place in slots.values()), default=0.0) + _MARGIN,
        places,
        tuple(ways),
    )


def _columns(picture: Picture) -> list[list[_Slot]]:
    depths = _depths(picture)
    columns: list[list[_Slot]] = [[] for _ in range(max(depths.values(), default=0) + 1)]
    for name, depth in depths.items():
        columns[depth].append(name)
    leading: dict[_Slot, list[tuple[_Slot, float]]] = {}  # to a slot: from where, and at which port
    for position, (arrow, port) in enumerate(zip(picture.arrows, _ports(picture).values(), strict=True)):
        before: tuple[_Slot, float] = (arrow.source, port)
        for number in range(depths[arrow.source] + 1, depths[arrow.target]):
            lane = (position, number)
            columns[number].append(lane)
            leading[lane] = [before]
            before = (lane, 0.0)
        leading.setdefault(arrow.target, []).append(before)
    rank: dict[_Slot, float] = {}
    for column in columns:
        ranked = {slot: _rank(leading.get(slot, []), rank) for slot in column}
        column.sort(key=ranked.__getitem__)
        rank.update((slot, (row + 0.5) / len(column)) for row, slot in enumerate(column))
    return columns


def _rank(leading: list[tuple[_Slot, float]], rank: Mapping[_Slot, float]) -> float:
    """The middle of what leads to a slot; what nothing leads to comes last. Ports tell apart, they do not outweigh."""
    if not leading:
        return 2.0
    return sum(rank[slot] + port / 1000 for slot, port in leading) / len(leading)


def _depths(picture: Picture) -> dict[str, int]:
    sources: dict[str, list[str]] = {name: [] for name in picture.boxes}
    for arrow in picture.arrows:
        sources[arrow.target].append(arrow.source)
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            depths[name] = 1 + max(map(depth, sources[name]), default=-1)
        return depths[name]

    last = max(map(depth, picture.boxes), default=0)
    return {name: depths[name] if box.operator else last for name, box in picture.boxes.items()}


def _ports(picture: Picture) -> dict[int, float]:
    """By an arrow's position: its place among those that leave the same box, counted from their middle."""
    counts = {name: len(arrows) for name, arrows in picture.leaving.items()}
    taken = dict.fromkeys(counts, 0)
    ports: dict[int, float] = {}
    for position, arrow in enumerate(picture.arrows):
        ports[position] = taken[arrow.source] - (counts[arrow.source] - 1) / 2
        taken[arrow.source] += 1
    return ports


def _stand(
    columns: list[list[_Slot]], sizes: Mapping[_Slot, tuple[float, float]], gaps: Sequence[float]
) -> dict[_Slot, Place]:
    """Columns beside each other, with a gap behind each; all in the middle of the tallest's height. A lane is as wide
    as its column."""
    heights = [sum(sizes[slot][1] for slot in column) + _ROW_GAP * (len(column) - 1) for column in columns]
    stand: dict[_Slot, Place] = {}
    x = _MARGIN
    for column, height, gap in zip(columns, heights, gaps, strict=True):
        width = max((sizes[slot][0] for slot in column), default=0.0)
        y = _MARGIN + (max(heights) - height) / 2
        for slot in column:
            stand[slot] = Place(x, y, width, sizes[slot][1])
            y += sizes[slot][1] + _ROW_GAP
        x += width + gap
    return stand
