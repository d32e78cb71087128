"""The newest decisions, in memory, bounded. Rendered only when somebody asks."""

from __future__ import annotations

from collections import OrderedDict

from cortex.telemetry.record import RequestRecord

KEPT = 1000


class Decisions:
    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._records: OrderedDict[str, RequestRecord] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: RequestRecord) -> None:
        self._records[record.request_id] = record
        if len(self._records) > self._kept:
            self._records.popitem(last=False)

    def get(self, request_id: str) -> RequestRecord | None:
        return self._records.get(request_id)

    def newest(self, limit: int) -> list[RequestRecord]:
        """The newest first, at most `limit`."""
        return [record for record, _ in zip(reversed(self._records.values()), range(limit), strict=False)]
