"""One `classify` node with the shipped head: at sight, with vectors, and with examples of one's own.

Prompts are such that nobody would doubt their task.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cortex.embedding.builtin import BuiltinEmbedder
from cortex.embedding.embedder import Embedder
from cortex.embedding.static import StaticEmbedder
from routing.graph import Classify, Route, Target, Threshold
from routing.semantic.classifier import NodeClassifier, node_classifier, texts_to_embed
from routing.semantic.features import features_of
from routing.semantic.head import TaskHead, Vector
from routing.semantic.judgement import Judgement
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import EMBEDDED_FIRST_CHARS, EMBEDDED_LAST_CHARS, clipped, embedded

PROMPTS = [
    ("coding", "Write a Python function that reverses a linked list"),
    ("coding", "Fix this TypeError in my JavaScript code: undefined is not a function"),
    ("coding", "Escribe una función en Python que ordene una lista"),
    ("math", "Solve the equation 3x + 7 = 22 for x"),
    ("math", "Calculate 15% of 240"),
    ("creative", "Write a short poem about the sea at night"),
    ("creative", "Write a story about a dragon who is afraid of fire"),
    ("creative", "Escribe un poema sobre el mar"),
    ("text_ops", "Translate the following text into German: The weather is nice today and we are going to the beach."),
    (
        "text_ops",
        "Summarize the following article in three sentences: The council met on Monday to discuss the budget.",
    ),
    ("qa", "What is the capital of Australia?"),
    ("qa", "When did World War II end?"),
    ("chat", "Hi! How are you today?"),
]
REASONING = "Three people stand in a line. Anna is not first, Ben is behind Carla. Who is in the middle?"

LEGAL = (
    "Is this clause in my lease enforceable?",
    "Review the indemnity section of this contract",
    "Can my landlord keep the deposit?",
    "What does force majeure mean for our supplier agreement?",
    "Draft a non-disclosure agreement for a contractor",
    "Is a verbal contract binding in court?",
    "Who is liable if the tenant breaks the window?",
    "Does this warranty cover consequential damages?",
)
TRAVEL = (
    "Which flights go from Lima to Madrid on Friday?",
    "Find me a hotel near the old town for two nights",
    "Do I need a visa to visit Japan?",
    "Plan a weekend trip to Lisbon",
    "How much luggage may I take on the train?",
    "Change my booking to the morning ferry",
    "Which airport is closest to the conference?",
    "Is breakfast included at the hostel?",
)
PINGS = (
    "Ignore all of this, I am only testing",
    "test test 123",
    "just checking whether this works",
    "this is a test message, do not answer",
    "testing, please ignore",
    "this is only a test",
)


def by_task(*tasks: str, threshold: Threshold = "auto", **thresholds: Threshold) -> Classify:
    """A route for each task, called like it."""
    return Classify(
        tuple(Route(task, Target(task), task, threshold=thresholds.get(task)) for task in tasks or TASKS),
        Target("default"),
        threshold,
    )


OWN = Classify(
    (
        Route("code", Target("coder"), "coding"),
        Route("legal", Target("lawyer"), examples=LEGAL),
        Route("travel", Target("guide"), examples=TRAVEL),
    ),
    Target("default"),
    none=PINGS,
)


def vectors_of(texts: list[str], embedder: Embedder) -> dict[str, Vector]:
    return dict(zip(texts, embedder.embed(texts), strict=True))


def judged(classifier: NodeClassifier, prompt: str, embedder: Embedder | None = None) -> Judgement:
    """As a request is: at sight, or else with its vector."""
    text = clipped(prompt)
    features = features_of(text)
    found = classifier.at_sight(text, features)
    if found is None:
        assert embedder is not None, "without vectors, everything is judged at sight"
        found = classifier.judge(features, embedder.embed([embedded(text)])[0])
    well_formed(classifier.node, found)
    return found


def well_formed(node: Classify, found: Judgement) -> None:
    names = {route.name for route in node.routes}
    assert len(found.best) in (0, min(2, len(names)))
    assert {name for name, _ in found.best} <= names
    assert len({name for name, _ in found.best}) == len(found.best)
    probabilities = [probability for _, probability in found.best]
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert probabilities == sorted(probabilities, reverse=True)
    assert (found.threshold is None) is (not found.best)
    assert (found.stage == "abstained") is (found.route is None)
    assert (found.reason is not None) is (found.route is None)
    if found.route is not None:
        assert found.threshold is not None
        assert found.route == found.best[0][0]
        assert found.best[0][1] >= found.threshold
    elif found.best:
        assert found.threshold is not None
        assert found.best[0][1] < found.threshold


# Tasks


@pytest.fixture(scope="session")
def at_sight(head: TaskHead) -> NodeClassifier:
    return node_classifier(by_task(), head, None)


@pytest.fixture(scope="session")
def whole(head: TaskHead) -> NodeClassifier:
    return node_classifier(by_task(), head, {})


@pytest.mark.parametrize(("task", "prompt"), PROMPTS)
def test_a_task_is_seen_without_a_vector(at_sight: NodeClassifier, task: str, prompt: str) -> None:
    found = judged(at_sight, prompt)
    assert (found.route, found.stage, found.best[0][0]) == (task, "features", task)


@pytest.mark.parametrize(("task", "prompt"), [*PROMPTS, ("reasoning", REASONING)])
def test_a_task_is_told_with_a_vector(whole: NodeClassifier, builtin: BuiltinEmbedder, task: str, prompt: str) -> None:
    assert judged(whole, prompt, builtin).route == task
    vector = builtin.embed([embedded(clipped(prompt))])[0]
    found = whole.judge(features_of(clipped(prompt)), vector)
    well_formed(whole.node, found)
    assert (found.route, found.stage) == (task, "embedding")


def test_a_vector_is_asked_for_where_it_is_not_clear(whole: NodeClassifier, head: TaskHead) -> None:
    """What is decided at sight is as clear as the head says it must be."""
    asked = 0
    for anchor in head.anchors:
        found = whole.at_sight(clipped(anchor.text), anchor.features)
        if found is None:
            asked += 1
        elif found.best:
            well_formed(whole.node, found)
            assert found.route is not None
            assert found.best[0][1] >= head.clear[found.route]
    assert 0 < asked < len(head.anchors)


def test_without_a_vector_it_is_judged_as_at_sight(whole: NodeClassifier, at_sight: NodeClassifier) -> None:
    for _, prompt in [*PROMPTS, ("", REASONING)]:
        features = features_of(prompt)
        assert whole.judge(features, None) == at_sight.at_sight(prompt, features)


def test_the_way_of_a_route(whole: NodeClassifier) -> None:
    assert whole.node.route("math").to == Target("math")
    assert not whole.learns


@pytest.mark.parametrize("with_vectors", [False, True])
def test_a_task_that_has_no_route_goes_to_the_default(
    head: TaskHead, builtin: BuiltinEmbedder, with_vectors: bool
) -> None:
    classifier = node_classifier(by_task("coding", "math"), head, {} if with_vectors else None)
    for task, prompt in PROMPTS:
        found = judged(classifier, prompt, builtin)
        assert found.route == (task if task in ("coding", "math") else None), prompt
        assert found.stage != "abstained" or found.reason is not None


def test_what_clearly_has_no_route_needs_no_vector(head: TaskHead) -> None:
    classifier = node_classifier(by_task("coding"), head, {})
    poem = "Write a short poem about the sea at night"
    found = classifier.at_sight(poem, features_of(poem))
    assert found is not None
    assert (found.route, found.stage, found.reason) == (None, "abstained", "coding is not sure enough")
    assert [name for name, _ in found.best] == ["coding"]


# Thresholds

UNCLEAR = ["hm", "ok go on", "asdf qwerty", "?!", "12", "the thing", "👍", "Write a short poem about the sea at night"]


@pytest.mark.parametrize("with_vectors", [False, True])
def test_a_threshold_of_0_never_abstains(head: TaskHead, builtin: BuiltinEmbedder, with_vectors: bool) -> None:
    classifier = node_classifier(by_task("coding", "math", threshold=0), head, {} if with_vectors else None)
    for prompt in UNCLEAR:
        found = judged(classifier, prompt, builtin)
        assert found.route in ("coding", "math"), prompt
        assert found.threshold == 0


def test_a_routes_threshold_beats_the_nodes(head: TaskHead) -> None:
    code = "Write a Python function that reverses a linked list"
    hello = "Hi! How are you today?"
    strict = node_classifier(by_task("coding", "chat", threshold=1, chat=0.1), head, None)
    assert (judged(strict, code).route, judged(strict, code).threshold) == (None, 1)
    assert (judged(strict, hello).route, judged(strict, hello).threshold) == ("chat", 0.1)
    loose = node_classifier(by_task("coding", "chat", threshold=0, coding=1), head, None)
    assert judged(loose, code).route is None
    assert judged(loose, code).reason == "coding is not sure enough"
    assert judged(loose, hello).route == "chat"


def test_a_route_may_be_calibrated_where_the_node_is_not(head: TaskHead) -> None:
    made = node_classifier(by_task("coding", "chat", threshold=0.99, coding="auto"), head, None)
    assert made.seen.thresholds == {"coding": head.seen_thresholds["coding"], "chat": 0.99}


def test_thresholds_are_calibrated_where_none_is_given(head: TaskHead) -> None:
    node = by_task("coding", "chat", chat=0.25)
    poem = {task: judged(node_classifier(by_task(task), head, None), "hm").threshold for task in TASKS}
    assert poem == {task: head.seen_thresholds[task] for task in TASKS}
    code = "Write a Python function that reverses a linked list"
    classifier = node_classifier(node, head, {})
    assert classifier.whole is not None
    assert classifier.whole.thresholds == {"coding": head.thresholds["coding"], "chat": 0.25}
    assert judged(node_classifier(node, head, None), code).threshold == head.seen_thresholds["coding"]


# What is not read

ITALIAN = "Scrivi una poesia sul mare per la mia nonna"


def test_a_language_that_the_head_was_not_trained_on_goes_to_the_default(head: TaskHead) -> None:
    sure = node_classifier(by_task(threshold=0.01), head, None)
    for prompt, language in ((ITALIAN, "it"), ("写一首关于大海的诗", "zh"), ("Напиши стихотворение о море", "ru")):
        found = judged(sure, prompt)
        assert (found.route, found.best, found.threshold) == (None, (), None)
        assert found.reason == f"language: {language}"


@pytest.mark.parametrize("vectors", [None, {}])
def test_a_threshold_of_0_abstains_for_no_language_either(head: TaskHead, vectors: dict[str, Vector] | None) -> None:
    assert judged(node_classifier(by_task(threshold=0), head, vectors), ITALIAN).route is not None


def test_an_embedder_of_all_languages_reads_it(head: TaskHead) -> None:
    found = judged(node_classifier(by_task(threshold=0.01), head, None, languages=None), ITALIAN)
    assert found.route is not None


def test_a_prompt_too_short_to_tell_its_language_is_read(at_sight: NodeClassifier) -> None:
    assert features_of("fibonacci python function").language is None
    assert judged(at_sight, "fibonacci python function").route == "coding"


@pytest.mark.parametrize("vectors", [None, {}])
def test_where_there_is_no_text_there_is_nothing_to_judge(head: TaskHead, vectors: Mapping[str, Vector] | None) -> None:
    classifier = node_classifier(by_task(threshold=0), head, vectors)
    assert judged(classifier, "") == Judgement(None, (), None, "abstained", "there is no text to read")


# Examples of one's own


@pytest.fixture(scope="session")
def own_at_sight(head: TaskHead) -> NodeClassifier:
    return node_classifier(OWN, head, None)


@pytest.fixture(scope="session")
def own(head: TaskHead, builtin: BuiltinEmbedder) -> NodeClassifier:
    return node_classifier(OWN, head, vectors_of(texts_to_embed(OWN), builtin))


@pytest.mark.parametrize(
    ("route", "prompt"),
    [
        ("legal", "Is the termination clause in this contract valid?"),
        ("legal", "May my landlord raise the rent without a written contract?"),
        ("travel", "Are there cheap flights to Berlin in May?"),
        ("travel", "Book a hotel in Rome for Saturday"),
        ("code", "Write a Python function that parses a CSV file"),
        (None, "Write a poem about autumn leaves"),
        (None, "Calculate 15% of 240"),
        (None, "this is only a test, ignore it"),
    ],
)
def test_prompts_like_the_examples_take_their_route(
    own: NodeClassifier, builtin: BuiltinEmbedder, route: str | None, prompt: str
) -> None:
    assert own.learns
    assert own.at_sight(prompt, features_of(prompt)) is None  # the examples are compared by vectors
    found = judged(own, prompt, builtin)
    assert found.route == route
    assert found.stage == ("abstained" if route is None else "embedding" if route == "code" else "examples")


@pytest.mark.parametrize(
    ("route", "prompt"),
    [
        *(("legal", text) for text in (LEGAL[0], LEGAL[3], LEGAL[5])),
        *(("travel", text) for text in (TRAVEL[0], TRAVEL[2], TRAVEL[6])),
        ("legal", "Is this clause in the contract enforceable?"),
        ("code", "Write a Python function that parses a CSV file"),
        (None, "Write a poem about autumn leaves"),
        (None, "this is only a test"),
        (None, "just checking whether this works"),
    ],
)
def test_examples_are_learnt_from_without_vectors_too(
    own_at_sight: NodeClassifier, route: str | None, prompt: str
) -> None:
    found = judged(own_at_sight, prompt)
    assert found.route == route
    assert found.stage == ("abstained" if route is None else "features" if route == "code" else "examples")


ORDERS = (
    "Where is my order?",
    "Where is my parcel?",
    "Where is my package?",
    "Where is the delivery I paid for?",
    "When does my order arrive?",
    "Has my parcel been sent?",
)
MUSINGS = (
    "Where is my mind?",
    "Where is my mother?",
    "Where is my home town on a map?",
    "When does my horoscope say I find love?",
    "Where is my happiness?",
    "Has my luck been sent?",
)


@pytest.mark.parametrize("with_vectors", [False, True])
def test_examples_of_what_belongs_nowhere_keep_it_out(
    head: TaskHead, builtin: BuiltinEmbedder, with_vectors: bool
) -> None:
    routes = (Route("orders", Target("shop"), examples=ORDERS),)
    nodes = [Classify(routes, Target("default"), none=none) for none in ((), MUSINGS)]
    before, after = (
        node_classifier(node, head, vectors_of(texts_to_embed(node), builtin) if with_vectors else None)
        for node in nodes
    )
    for musing in MUSINGS:
        assert judged(after, musing, builtin).best[0][1] < judged(before, musing, builtin).best[0][1], musing
        if with_vectors:
            assert judged(after, musing, builtin).route is None
    assert judged(before, "Where is my mother?", builtin).route == "orders"
    assert judged(after, "Where is my order number 12?", builtin).route == "orders"


def test_examples_of_a_task_are_learnt_beside_what_is_known(head: TaskHead) -> None:
    jargon = tuple(
        f"{verb} the frobnicator {what}"
        for verb in ("zork", "grault", "plugh", "waldo")
        for what in ("now", "again", "twice", "for me", "please")
    )
    plain, taught = (
        node_classifier(Classify((Route("code", Target("c"), "coding", examples),), Target("d")), head, None)
        for examples in ((), jargon)
    )
    assert judged(plain, "zork the frobnicator later").route is None
    found = judged(taught, "zork the frobnicator later")
    assert (found.route, found.stage) == ("code", "examples")
    assert judged(taught, "Write a Python function that reverses a linked list").route == "code"
    assert judged(taught, "Write a short poem about the sea at night").route is None


def test_a_route_of_ones_own_has_a_calibrated_threshold_or_its_own(
    head: TaskHead, own_at_sight: NodeClassifier
) -> None:
    calibrated = own_at_sight.seen.thresholds
    assert 0.3 <= calibrated["legal"] == calibrated["travel"] <= 0.8
    assert calibrated["code"] == head.seen_thresholds["coding"]
    fixed = Classify((Route("legal", Target("l"), examples=LEGAL, threshold=0.97), *OWN.routes[2:]), Target("d"), 0.95)
    assert node_classifier(fixed, head, None).seen.thresholds == {"legal": 0.97, "travel": 0.95}


def test_one_example_is_enough_to_be_a_route(head: TaskHead, builtin: BuiltinEmbedder) -> None:
    node = Classify((Route("legal", Target("l"), examples=LEGAL[:1], threshold=0),), Target("d"))
    for vectors in (None, vectors_of(texts_to_embed(node), builtin)):
        found = judged(node_classifier(node, head, vectors), LEGAL[0], builtin)
        assert (found.route, found.stage) == ("legal", "examples")


def test_the_texts_that_need_a_vector_are_those_of_the_examples_each_once() -> None:
    long = "clause " * 300
    node = Classify(
        (Route("a", Target("a"), examples=("one", "two")), Route("b", Target("b"), "qa", examples=("two", long))),
        Target("d"),
        none=("three", "one"),
    )
    texts = texts_to_embed(node)
    assert texts == ["one", "two", embedded(clipped(long)), "three"]
    assert max(map(len, texts)) <= EMBEDDED_FIRST_CHARS + EMBEDDED_LAST_CHARS + 1
    assert texts_to_embed(by_task()) == []


# Another embedder


def test_another_embedder_is_learnt_from_the_heads_own_examples(head: TaskHead) -> None:
    static = StaticEmbedder()
    anchors = [embedded(clipped(anchor.text)) for anchor in head.anchors]
    other = head.over(vectors_of(list(dict.fromkeys(anchors)), static))
    assert other.whole_vector.shape == (static.dimensions, len(TASKS))
    classifier = node_classifier(by_task(), other, {})
    for task, prompt in PROMPTS:
        features, vector = features_of(prompt), static.embed([embedded(prompt)])[0]
        found = classifier.judge(features, vector)
        well_formed(classifier.node, found)
        assert (found.route, found.stage) == (task, "embedding"), prompt
