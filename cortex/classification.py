"""The classifiers of one configuration's `classify` nodes, and the embedder that they share.

Serves from the start by what can be seen of a prompt; `prepare` brings the vectors, and tries again where it fails.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cortex.chat import Json
from cortex.config.classify import EmbedderConfig
from cortex.embedding.embedder import EmbedderError
from cortex.embedding.factory import EmbedderSettings
from cortex.embedding.service import RETRY_S, EmbeddingService
from cortex.telemetry.log import Log
from routing.graph import Classify, Graph
from routing.semantic.features import Reading
from routing.semantic.judgement import Judgement, abstained
from routing.semantic.turn import clipped, embedded

if TYPE_CHECKING:
    from cortex.app import App
    from routing.semantic.classifier import NodeClassifier
    from routing.semantic.head import TaskHead, Vector

START_S = 10.0  # for `prepare`, before connections are accepted or a new runtime is swapped in
MOST_REMEMBERED = 4096  # judgements, each of a text of 700 characters at most
_WITHIN_S = {"builtin": 0.025, "static": 0.025, "sentence_transformers": 0.25}  # for a request's vector


class Classification:
    """Belongs to one event loop. Must be closed."""

    def __init__(
        self,
        graph: Graph,
        embedder: EmbedderConfig,
        log: Log,
        previous: Classification | None = None,
        *,
        shared: bool = False,
    ) -> None:
        """`previous`: one whose embedder is gone on with, if it is the same. `shared`: others embed with it, too, so
        that it is wanted even without a node that classifies."""
        self.nodes = {name: node for name, node in graph.nodes.items() if isinstance(node, Classify)}
        self.settings = EmbedderSettings(embedder.type, embedder.model, embedder.device)
        self.classifiers: Mapping[str, NodeClassifier] = {}
        # For a request's vector; what asks for one prompt after the other may grant more.
        self.within_s = embedder.timeout if embedder.timeout is not None else _WITHIN_S.get(embedder.type, 0.0)
        self._multilingual = embedder.reads_all_languages
        self._log = log
        self._shared = shared
        self.service: EmbeddingService
        if previous is not None and previous.settings == self.settings:
            self.service = previous.service
        else:
            self.service = EmbeddingService(self.settings, log)
        self._whole = False
        self._preparing: asyncio.Task[None] | None = None
        self._problem: str | None = None
        self._judgements: OrderedDict[tuple[str, str], Judgement] = OrderedDict()  # least recently asked for first

    async def prepare(self, within_s: float | None = None) -> None:
        """Make every node's classifier, with vectors where they can be had; what takes longer goes on by itself."""
        if self._shared:
            self.service.start()
        if not self.nodes or self._whole:
            return
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.get_running_loop().create_task(self._prepare(), name="cortex-classification")
        await asyncio.wait({self._preparing}, timeout=within_s)

    async def _prepare(self) -> None:
        try:
            if not self.classifiers:
                self.classifiers = await asyncio.to_thread(self._made, None)
            if self.settings.type != "none":
                self.classifiers = await asyncio.to_thread(self._made, await self._vectors())
                self._judgements.clear()
        except Exception as error:  # noqa: BLE001 - the supervision point of all that makes a classifier
            expected = isinstance(error, EmbedderError | OSError | ValueError)
            problem = str(error) if expected else f"{type(error).__name__}: {error}"
            if self._problem != problem:
                self._log.error("classify nodes are not whole", meanwhile=self._meanwhile, reason=problem)
            self._problem = problem
        else:
            self._whole, self._problem = True, None

    async def judge(self, node: str, reading: Reading, left_s: float) -> Judgement:
        """What `node` makes of a prompt, by its vector if that is needed and comes in time.

        `left_s` to the request: a vector may take half of it, and no more than `within_s`.
        """
        key = node, reading.text
        if (known := self._judgements.get(key)) is not None:
            self._judgements.move_to_end(key)
            return known
        classifier = self.classifiers.get(node)
        if classifier is None:
            return abstained("the classifier is not ready")
        judged = classifier.at_sight(reading.text, reading.features)
        if judged is None:
            vector, no_vector = await self._vector(embedded(reading.text), min(self.within_s, left_s / 2))
            judged = replace(classifier.judge(reading.features, vector), no_vector=no_vector)
        if judged.no_vector is None and self.classifiers.get(node) is classifier:  # else it knows more by now
            self._judgements[key] = judged
            if len(self._judgements) > MOST_REMEMBERED:
                self._judgements.popitem(last=False)
        return judged

    async def _vector(self, text: str, within_s: float) -> tuple[Vector | None, str | None]:
        """Or why there is none."""
        vector = await self.service.vector(text, within_s=within_s)
        if vector is not None:
            return vector, None
        state = self.service.status().state
        return None, "the embedder was too slow" if state == "ready" else f"the embedder is {state}"

    def health(self) -> Json:
        """For /api/health; None: no node classifies."""
        if not self.nodes:
            return None
        status = self.service.status()
        if self._whole:
            state = "off" if self.settings.type == "none" else status.state
        else:
            state = "failed" if self._problem or status.state == "failed" else "loading"
        told: dict[str, Json] = {"embedder": self.settings.type, "status": state}
        if reason := status.reason or self._problem:
            told["reason"] = reason
        if state not in ("ready", "off"):
            told["meanwhile"] = self._meanwhile
        return told

    @property
    def _meanwhile(self) -> str:
        if self.classifiers:
            return "prompts are classified by words and shapes alone"
        return "every prompt takes its node's default"

    def give_way(self, successor: Classification) -> None:
        """Close the embedder, if the successor has not taken it over."""
        if self.service is successor.service:
            self._stop()
        else:
            self.close()

    def close(self) -> None:
        self._stop()
        self.service.close()

    def _stop(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()

    async def _vectors(self) -> Mapping[str, Vector]:
        from cortex.task_head import shipped_head
        from routing.semantic.classifier import texts_to_embed

        texts = dict.fromkeys(text for node in self.nodes.values() for text in texts_to_embed(node))
        if self.settings.type != "builtin":
            texts |= dict.fromkeys(embedded(clipped(anchor.text)) for anchor in shipped_head().anchors)
        found = await self.service.vectors(list(texts))
        return dict(zip(texts, found, strict=True))

    # In a thread.

    def _made(self, vectors: Mapping[str, Vector] | None) -> Mapping[str, NodeClassifier]:
        from cortex.task_head import shipped_head
        from routing.semantic.classifier import node_classifier
        from routing.semantic.language import SUPPORTED

        head: TaskHead = shipped_head()
        if vectors is not None and self.settings.type != "builtin":
            head = head.over(vectors)
        languages = None if self._multilingual else SUPPORTED
        return {
            name: node_classifier(node, head, vectors, languages, self.classifiers.get(name))
            for name, node in self.nodes.items()
        }


async def keep_prepared(app: App) -> None:
    """Try again, for ever, where the vectors of the runtime in force are missing."""
    while True:
        await asyncio.sleep(RETRY_S)
        await app.runtime.classification.prepare()
