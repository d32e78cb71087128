from __future__ import annotations

import json
from pathlib import Path

import pytest

from cache.fitness import MAX_CHARS, unfit
from cache.guards import compare
from cache.reading import read

PAIRS = Path(__file__).parents[3] / "benchmarks" / "cache_pairs"


def refused(asked: str, kept: str) -> str | None:
    return compare(read(asked), read(kept)).refused


@pytest.mark.parametrize(
    ("asked", "kept", "reason"),
    [
        ("Rice for 4 people?", "Rice for 14 people?", "number"),
        ("Rice for four people?", "Rice for five people?", "number"),
        ("Is it 8 subtracted from 12?", "Is it 12 subtracted from 8?", "number"),
        ("Convert -40 degrees to Kelvin", "Convert 40 degrees to Kelvin", "number"),
        ("What is new in Python 3.11?", "What is new in Python 3.12?", "number"),
        ("Who wrote the Iliad?", "Who wrote the Odyssey?", "name"),
        ("what does git push -f do", "what does git push -n do", "code"),
        ("What does `os.open` do?", "What does `os.read` do?", "code"),
        ('What does "a lot" mean?', 'What does "a few" mean?', "quoted"),
        ("Which foods are safe?", "Which foods are not safe?", "negation"),
        ("Why isn't it dark?", "Why is it dark?", "negation"),
        ("¿Qué verduras no engordan?", "¿Qué verduras engordan?", "negation"),
        ("When did the Titanic sink?", "Why did the Titanic sink?", "question"),
        ("How many people live there?", "How long do people live there?", "question"),
        ("Was the flight delayed?", "Will the flight be delayed?", "question"),
        ("Name a long river", "Name the longest river", "superlative"),
        ("What's your name?", "What's my name?", "person"),
        ("How do I enable it, the camera?", "How do I disable it, the camera?", "opposites"),
        ("Is it regular, that verb?", "Is it irregular, that verb?", "opposites"),
        ("Should I stretch before a run?", "Should I stretch after a run?", "opposites"),
        ("what do i wear in march", "what do i wear in october", "one of a kind"),
        ("How do I wash my dog?", "How do I wash my cat?", "one of a kind"),
        ("Convert euros to dollars", "Convert dollars to euros", "order"),
        ("Can a landlord sue a tenant?", "Can a tenant sue a landlord?", "order"),
        ("Does the seller have to inform the buyer?", "Does the buyer have to inform the seller?", "order"),
        ("How do I clean a sofa?", "How do I clean a carpet?", "words"),
        ("What do bees eat?", "What do bees eat in winter?", "words"),
        ("¿Cómo se hace el queso?", "Wie macht man das, Käse?", "language"),
    ],
)
def test_what_asks_for_something_else_is_refused(asked: str, kept: str, reason: str) -> None:
    for one, other in ((asked, kept), (kept, asked)):
        why = refused(one, other)
        assert why is not None
        assert why.startswith(reason)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("What is the capital of France?", "what's france's capital"),
        ("Who's Microsoft's CEO?", "Who is the CEO of Microsoft?"),
        ("Is it a gift for my father?", "Is it a present for my dad?"),
        ("When was the Eiffel Tower built?", "In what year was the Eiffel Tower constructed?"),
        ("How do I merge two dictionaries?", "How can I merge 2 dictionaries?"),
        ("It isn't 1,000 metres away", "It is not 1000 metres away"),
        ("Does he like Betty or Veronica?", "Does he like Veronica or Betty?"),
        ("Please explain how vaccines work", "How do vaccines work?"),
        ("¿Por qué el cielo es azul?", "por que es azul el cielo"),
        ("Pourquoi le ciel est-il bleu ?", "Pourquoi le ciel est bleu ?"),
    ],
)
def test_the_same_in_other_words_passes(asked: str, kept: str) -> None:
    for one, other in ((asked, kept), (kept, asked)):
        difference = compare(read(one), read(other))
        assert (difference.refused, difference.similarity) == (None, 0.0)


def test_the_more_words_of_a_long_text_differ_the_less_similarity_they_need() -> None:
    """A word exchanged for one that means the same leaves a vector where it was."""
    kept = "Write a letter to my landlord about the broken boiler in the kitchen of our flat"
    one = compare(read(kept.replace("boiler", "heater")), read(kept)).similarity
    two = compare(read(kept.replace("boiler", "heater").replace("flat", "lodging")), read(kept)).similarity
    assert 1 > one > two > 0.8


@pytest.mark.parametrize("name", ["traps", "traps_long"])
def test_no_trap_of_the_development_half_passes_by_its_words_alone(name: str) -> None:
    from benchmarks.cache_quality_data import is_development

    for line in (PAIRS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        if is_development(pair["a"], pair["b"]):
            difference = compare(read(pair["a"]), read(pair["b"]))
            assert difference.refused is not None or difference.similarity > 0.87, pair


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a " * MAX_CHARS, "too long"),
        ("Fix this: ```x = 1```", "code"),
        ("def f(x):\n    return x", "code"),
        ("Thank you", "too few words"),
        ("Could you do that for me?", "no word"),
        ("Who won the match today?", "about now"),
        ("¿Qué tiempo hace hoy en Lima?", "about now"),
        ("What happened this week in Rome?", "about now"),
        ("Как приготовить рис дома?", "script"),
    ],
)
def test_a_text_that_cannot_be_compared_is_told_with_the_reason(text: str, reason: str) -> None:
    why = unfit(text)
    assert why is not None
    assert why.startswith(reason)


def test_a_question_is_fit_unless_its_language_is_not_known() -> None:
    assert unfit("How do I boil an egg?") is None
    assert unfit("How do I boil an egg?", "en") is None
    assert unfit("Come si cuoce un uovo?", "it") == "language: it"
