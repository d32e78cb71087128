"""The rules of the cache, as one configuration has them: who may be answered with what, and what is remembered.

Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import msgspec

from cache.key import NoKey, Scope
from cache.store import Entry
from cortex.caching.answer import Answer, Origin
from cortex.caching.cache import ResponseCache
from cortex.caching.directives import Directives, read_directives
from cortex.caching.flight import Flight
from cortex.caching.repeats import Repeats
from cortex.caching.scope import EntryScope, entry_scope
from cortex.caching.similar import Question, Similar, question_of
from cortex.caching.vectors import KeptVector, packed
from cortex.chat import Json
from cortex.config.schema import Config
from cortex.operation import Chat, Embed, Operation
from cortex.relay import Tally
from cortex.sink import Sink
from cortex.telemetry.record import RequestRecord
from routing.graph import Candidate, Graph
from routing.graph import Entry as GraphEntry

if TYPE_CHECKING:
    from cache.semantic import Match

_MOST_DIGESTS = 16  # of one body: for so many clients it need not be digested again
_UNNAMED_TEMPERATURE = 1.0  # what most models take where a request names none


class Query(msgspec.Struct):
    """What one request wants of the cache."""

    key: bytes  # b"": the cache has no part in it
    asked: str  # the entry's name
    directives: Directives
    keys: Scope | None = None  # where it was digested
    also: tuple[Json, ...] = ()  # what was asked besides the body
    texts: list[bytes] | None = None  # of embeddings: each item's own key
    question: Question | None = None  # of a chat, once it has been compared with others
    compared: bool = False
    failures: int = 0  # of requests that led before it, while it waited
    waited: bool = False  # for another's answer
    alone: bool = False  # that answer did not serve it, and another one would not either

    @property
    def keeps(self) -> bool:
        """Its answer may be remembered, and shared as it comes."""
        return self.directives.store and self.directives.ttl_s != 0


class Caching:
    """Lives as long as a Runtime; what it knows of the graph is learnt as it is asked for, an entry at a time."""

    def __init__(
        self,
        config: Config,
        graph: Graph,
        clients: Mapping[str, str],
        cache: ResponseCache,
        similar: Similar | None = None,
    ) -> None:
        """`clients` has a digest for each client key's name: what a key is called may change with a reload.

        `similar`: questions are compared, too.
        """
        self.cache = cache
        self.similar = similar
        self._config = config
        self._exact = config.cache.exact
        self._always = self._exact.enabled and not self._exact.ttl_by_model and self._exact.max_temperature is None
        self._share = config.cache.share
        self._graph = graph
        self._clients = clients
        self.repeats = Repeats()
        self._scopes: dict[tuple[str, str, str], tuple[EntryScope, Scope]] = {}

    def query(
        self, operation: Operation, entry: GraphEntry, record: RequestRecord, headers: Mapping[str, str]
    ) -> Query:
        """The record tells why the cache has no part in the request, if so. Raises Fault(BAD_REQUEST)."""
        query = Query(b"", entry.name, read_directives(headers, operation.cache))
        why = None if self._always else self._why_not(operation, entry)
        if why is None:
            try:
                self._set_key(query, operation, entry, record, headers)
            except NoKey as error:
                why = f"no canonical form: {error}"
        if why is not None:
            self.cache.counts.bypassed += 1
            record.cache_reason = why
        return query

    def _why_not(self, operation: Operation, entry: GraphEntry) -> str | None:
        exact = self._exact
        if not exact.enabled:
            return "switched off"
        if exact.ttl_by_model.get(entry.name) == 0:
            return "switched off for this model"
        if exact.max_temperature is not None and operation.temperature(_UNNAMED_TEMPERATURE) > exact.max_temperature:
            return "the temperature is above cache.exact.max_temperature"
        return None

    def _set_key(
        self, query: Query, operation: Operation, entry: GraphEntry, record: RequestRecord, headers: Mapping[str, str]
    ) -> None:
        """Raises NoKey."""
        kind = operation.kind
        scope = self._scopes.get((kind, entry.kind, entry.name))
        if scope is None:
            place = entry_scope(self._config, self._graph, entry)
            scope = self._scopes[kind, entry.kind, entry.name] = (place, self.cache.keys.scope(kind, place.digest))
        place, keys = scope
        query.keys = keys
        client = None if self._share or record.client is None else self._clients.get(record.client, record.client)
        seen = place.of_request(headers, record.client) if place.looks else ()
        also = query.also = (operation.provider, query.directives.namespace, client, *seen)
        known = operation.digests.get((keys, also))
        query.key = known or keys.digest(operation.body, operation.besides, also)
        if isinstance(operation, Embed):
            items = operation.request.items
            query.texts = [keys.part(query.key, item) for item in items]
            query.key = keys.part(query.key, items)
        record.cache_key = query.key.hex()

    def find(self, query: Query, now: float) -> Entry[Answer] | None:
        """What a chat may be answered with at once."""
        if query.texts is not None:
            return None
        found = self._good(query.key, query, now)
        assert found is None or isinstance(found.value, Answer)
        return cast("Entry[Answer] | None", found)

    def compares(self, query: Query) -> bool:
        """Whether it is still to be seen if the same was asked in other words."""
        return (
            self.similar is not None
            and not query.compared
            and query.keys is not None
            and query.directives.look
            and query.texts is None
        )

    async def compare(self, query: Query, operation: Operation, left_s: float) -> Match | None:
        """An answered question that asks the same, if this one `compares`. Once a request."""
        similar = self.similar
        assert similar is not None
        assert query.keys is not None
        query.compared = True
        query.question = question_of(operation, query.keys, query.also)
        return None if query.question is None else await similar.find(query.question, left_s)

    def find_matched(self, match: Match, query: Query, now: float) -> Entry[Answer] | None:
        """What that question was answered with, unless it is too old or gone."""
        assert self.similar is not None
        found = self._good(match.key, query, now)
        if found is None:
            self.similar.forget(match.key)
            return None
        return cast("Entry[Answer]", found) if now - found.stored_at <= self.similar.max_age_s else None

    def find_vectors(self, query: Query, now: float) -> dict[int, Entry[KeptVector]]:
        """What is known of the items of a request for embeddings, by their places."""
        found = {place: self._good(key, query, now) for place, key in enumerate(query.texts or ())}
        return {place: cast("Entry[KeptVector]", each) for place, each in found.items() if each is not None}

    def _good(self, key: bytes, query: Query, now: float) -> Entry[Answer | KeptVector] | None:
        directives = query.directives
        if not query.key or not directives.look:
            return None
        found = self.cache.store.get(key, now)
        if found is None or directives.max_age_s is None or now - found.stored_at <= directives.max_age_s:
            return found
        return None

    def joinable(self, query: Query, now: float, deadline: float) -> Flight | None:
        """Another's call that the request may wait for."""
        if not query.key or not query.directives.look or query.alone:
            return None
        return self.cache.flights.joinable(query.key, now, deadline)

    def lead(self, query: Query, record: RequestRecord, sink: Sink, deadline: float) -> Flight | None:
        """The request is going to ask upstreams. None: what they answer is its own alone."""
        if not query.key:
            return None
        flights, counts = self.cache.flights, self.cache.counts
        if not query.directives.look:
            counts.bypassed += 1
            record.cache, record.cache_reason = "bypass", "no-cache asked"
        else:
            counts.misses += 1
            record.cache, record.cache_reason = "miss", None
        if not query.keeps:
            record.cache_reason = "no-store asked" if query.directives.look else "no-cache and no-store asked"
            return None
        if query.directives.look:
            return flights.lead(query.key, sink, deadline, query.failures)
        return flights.alone(query.key, sink, deadline)

    def land(
        self, flight: Flight, query: Query, operation: Operation, tally: Tally, record: RequestRecord, now: float
    ) -> None:
        """The leader's answer is whole: remember it, if it may be, and give it to those who wait."""
        origin = flight.origin
        assert origin is not None, "an answer is whole after its commit"
        if isinstance(operation, Embed):
            record.cache_reason = self._keep_vectors(query, operation, origin, now)
            flight.whole(None)
        elif flight.kept:
            answer = Answer(origin, b"".join(flight.parts), tally, query.asked)
            why = self._keep(query, answer, now)
            record.cache_reason = why if record.cache == "miss" else f"{record.cache_reason}; {why}"
            if query.question is not None and query.question.nearest is not None:
                record.cache_reason += f"; {query.question.nearest}"
            flight.whole(answer)
        else:
            record.cache_reason = "not kept: too large"
            flight.lose()

    def repeats_itself(self, chat: Chat, query: Query) -> None:
        """The request was answered from memory: its very bytes may come again."""
        if len(chat.digests) < _MOST_DIGESTS:
            chat.digests[query.keys, query.also] = query.key
        self.repeats.add(chat)

    def render(self, answer: Answer, key: bytes, operation: Operation, request_id: str) -> bytes:
        """What the client gets of an answer, which may be kept under this key and hold more from now on."""
        forms = len(answer.rendered or ())
        body = answer.render(operation, request_id)
        if len(answer.rendered or ()) != forms:
            self.cache.store.grown(key, answer)
        return body

    def served(self, record: RequestRecord) -> None:
        """An answer that took no upstream call is about to be sent: count it."""
        counts, usage = self.cache.counts, record.usage
        if record.cache == "coalesced":
            counts.coalesced += 1
        elif record.cache == "semantic":
            counts.semantic += 1
        else:
            counts.hits += 1
        counts.saved_tokens += 0 if usage is None else usage.total_tokens
        counts.saved_usd += record.saved_usd or 0.0

    # For those who look after it

    def overview(self, now: float) -> dict[str, Json]:
        """As /api/cache shows it."""
        cache, store = self.cache, self.cache.store
        store.expire(now)
        counts = asdict(cache.counts)
        saved = {"tokens": counts.pop("saved_tokens"), "usd": round(counts.pop("saved_usd"), 9)}
        return {
            "enabled": self._exact.enabled,
            "entries": len(store),
            "max_entries": store.bounds.max_entries,
            "bytes": store.size_bytes,
            "max_bytes": store.bounds.max_bytes,
            "under_way": len(cache.flights),
            **counts,
            **asdict(store.counts),
            "saved": saved,
            **({} if self.similar is None else {"questions": self.similar.overview()}),
        }

    def remove(self, key: bytes | None = None, model: str | None = None) -> int:
        """Forget what has this key, was asked of this model or answered by it; all of it if neither is given.

        How many entries that were.
        """
        store = self.cache.store
        if key is not None:
            kept = store.peek(key)
            return int(kept is not None and _is_by(kept, model) and store.remove(key))
        return len(store.remove_where(lambda kept: _is_by(kept, model)))

    # What is kept

    def _keep(self, query: Query, answer: Answer, now: float) -> str:
        """What became of it."""
        tally = answer.tally
        if not tally.complete:
            return f"not kept: finish reason {tally.finish_reason}"
        ttl_s = self._ttl_s(query, answer.origin.candidate)
        if ttl_s <= 0:
            return "not kept: its time to live is 0"
        if not self.cache.store.put(query.key, answer, now, ttl_s):
            return "not kept: too large"
        if query.question is not None and self.similar is not None:
            self.similar.remember(query.question, query.key)
        return "kept"

    def _keep_vectors(self, query: Query, operation: Embed, origin: Origin, now: float) -> str:
        fresh, texts = operation.fresh, query.texts
        assert fresh is not None
        assert texts is not None
        ttl_s = self._ttl_s(query, origin.candidate)
        vectors = fresh.embeddings.vectors
        kept = 0
        for place, vector, tokens in zip(fresh.places, vectors, fresh.tokens(operation.request), strict=True):
            value = KeptVector(
                origin.candidate, origin.route, query.asked, fresh.embeddings.model, packed(vector), tokens
            )
            kept += self.cache.store.put(texts[place], value, now, ttl_s)
        return f"{len(texts) - len(vectors)} of {len(texts)} were known, {kept} kept"

    def _ttl_s(self, query: Query, candidate: Candidate) -> float:
        """The request's own; else the nearest that is configured."""
        if query.directives.ttl_s is not None:
            return query.directives.ttl_s
        by_model = self._exact.ttl_by_model
        if by_model:
            for name in (query.asked, candidate.name, candidate.model, candidate.provider):
                if (ttl_s := by_model.get(name)) is not None:
                    return ttl_s
        return self._exact.ttl


def _is_by(kept: Answer | KeptVector, model: str | None) -> bool:
    candidate = kept.origin.candidate if isinstance(kept, Answer) else kept.candidate
    return model in (None, kept.asked, candidate.name, candidate.model)
