"""What embeddings are blind to: whether two texts that look alike ask the same. Pure.

Two kinds of guards. Some know what must never differ: numbers, names, negations, what is asked, a word and its
opposite. The others know no word at all: a question of which a single word was exchanged, or added, is another question
unless that word is known to mean nothing; and the more words were exchanged, the surer the vectors may be believed when
they still say that the texts mean the same, since an exchanged meaning would have moved them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from cache.kinds import KINDS
from cache.reading import Reading
from cache.words import ANTONYMS, OPPOSITE_PREFIXES, words_of

Content = tuple[str, str]

# Calibrated on the development halves of the pairs (benchmarks/cache_pairs): see docs/decisions/0015.
LONG = 6  # content words from which on a text may be reworded
REWORDED = 3  # places that differ, from which on a text is reworded, and not one thing in it exchanged
LEAST_REWORDED = 0.88  # similarity
COST_OF_WORDS = 0.35  # how much similarity an exchanged text may lose, by the share of its words that are exchanged


@dataclass(frozen=True, slots=True)
class Difference:
    """`refused`: why one is no answer to the other, whatever the vectors say. `similarity`: the least that the vectors
    must have for the words that the two do not share to mean the same; 0 where they share them all."""

    refused: str | None
    similarity: float = 0.0


def compare(asked: Reading, kept: Reading) -> Difference:
    """The cheapest guards come first. Alike whichever of the two is which."""
    for guard in (_language, _numbers, _signs, _quoted, _names, _negations, _question, _superlatives, _person, _means):
        if (refused := guard(asked, kept)) is not None:
            return Difference(refused)
    mine, theirs = _unmatched(asked, kept)
    refused = _opposites(asked, kept) or _kinds(asked, kept) or _order(asked, kept) or _words(asked, kept, mine, theirs)
    if refused is not None or not (mine or theirs):
        return Difference(refused)
    if asked.language == "en" and _places(asked, kept) >= REWORDED:
        return Difference(None, LEAST_REWORDED)
    share = (len(mine) + len(theirs)) / (len(asked.content) + len(kept.content))
    return Difference(None, max(LEAST_REWORDED, 1.0 - COST_OF_WORDS * share))


def _places(a: Reading, b: Reading) -> int:
    """In how many places the one would have to be edited to become the other."""
    return sum(how != "equal" for how, *_ in SequenceMatcher(None, a.words, b.words, autojunk=False).get_opcodes())


def _language(a: Reading, b: Reading) -> str | None:
    return None if a.language == b.language else f"language: {a.language}, {b.language}"


def _numbers(a: Reading, b: Reading) -> str | None:
    return None if a.numbers == b.numbers else _told("number", a.numbers, b.numbers)


def _signs(a: Reading, b: Reading) -> str | None:
    # A sign that the other writes as a plain word is no difference: `datasets` and "datasets".
    mine = [sign for sign in a.signs - b.signs if not set(_parts(sign)) <= set(b.words)]
    theirs = [sign for sign in b.signs - a.signs if not set(_parts(sign)) <= set(a.words)]
    return _told("code", mine, theirs) if mine or theirs else None


def _parts(sign: str) -> list[str]:
    return [sign] if sign.isalnum() else [sign + " "]  # the latter is never a word


def _quoted(a: Reading, b: Reading) -> str | None:
    for one, other in ((a, b), (b, a)):
        text = " ".join(other.words)
        for each in one.quoted - other.quoted:
            if f" {each} " not in f" {text} ":
                return f"quoted: {each}"
    return None


def _names(a: Reading, b: Reading) -> str | None:
    mine = [name for name in a.names if name not in b.words and not _known(name, b)]
    theirs = [name for name in b.names if name not in a.words and not _known(name, a)]
    return _told("name", mine, theirs) if mine or theirs else None


def _known(name: str, other: Reading) -> bool:
    """By another form of it: a plural, a genitive."""
    return any(word in (name + "s", name.removesuffix("s")) for word in other.words)


def _negations(a: Reading, b: Reading) -> str | None:
    return None if a.negations == b.negations else "negation"


def _question(a: Reading, b: Reading) -> str | None:
    one, other = a.asked or "what", b.asked or "what"  # what asks for nothing tells something, or to do something
    if one == other or {one, other} in _ALIKE or {a.asked, b.asked} in _UNTOLD:
        return None
    return f"question: {a.asked}, {b.asked}"


_UNTOLD = ({None, "can"},)
_ALIKE = ({"what", "how"}, {"what", "which"}, {"who", "which"}, {"how-many", "how-much"}, {"do", "can"})


def _superlatives(a: Reading, b: Reading) -> str | None:
    return None if a.superlative == b.superlative else "superlative"


def _opposites(a: Reading, b: Reading) -> str | None:
    mine, theirs = set(a.words) - set(b.words), set(b.words) - set(a.words)
    for one in mine:
        for other in theirs:
            if (one, other) in ANTONYMS or (_singular(one), _singular(other)) in ANTONYMS or _prefixed(one, other):
                return f"opposites: {one}, {other}"
    return None


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") else word


def _prefixed(one: str, other: str) -> bool:
    """Whether one is the other with a beginning that turns it round."""
    if one[-3:] != other[-3:]:
        return False
    for left, right in OPPOSITE_PREFIXES:
        for first, second in ((one, other), (other, one)):
            if first.startswith(left) and second.startswith(right):
                rest = first[len(left) :]
                if len(rest) > 2 and rest == second[len(right) :]:
                    return True
    return False


def _kinds(a: Reading, b: Reading) -> str | None:
    """Each has one of a kind that the other has not: March and May, a dog and a cat."""
    of_a, of_b = _of_kinds(a.words), _of_kinds(b.words)
    for kind in of_a.keys() & of_b.keys():
        mine, theirs = of_a[kind] - of_b[kind], of_b[kind] - of_a[kind]
        if mine and theirs:
            return _told("one of a kind", sorted(mine), sorted(theirs))
    return None


def _of_kinds(words: Sequence[str]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for word in words:
        for kind, name in KINDS.get(word, {}).items():
            found.setdefault(kind, set()).add(name)
    return found


def _unmatched(a: Reading, b: Reading) -> tuple[list[Content], list[Content]]:
    """The content words of each that the other has in no form."""
    mine, theirs = list(_beyond(a.content, b.content)), list(_beyond(b.content, a.content))
    for one in list(mine):
        for other in theirs:
            if _related(one[0], other[0]):
                mine.remove(one)
                theirs.remove(other)
                break
    return mine, theirs


def _beyond(words: Sequence[Content], others: Sequence[Content]) -> Iterator[Content]:
    left = Counter(stemmed for stemmed, _ in others)
    for each in words:
        if left[each[0]] > 0:
            left[each[0]] -= 1
        elif each[0] not in left:  # said once more than there is no difference
            yield each


_ENDINGS = words_of("ar er ir re en o a e as es an al i t ly ion ation ing ment ic ical able ando iendo ado ido")


def _related(one: str, other: str) -> bool:
    """Two forms of one word: the same beginning of five letters or more, and endings that do no more than inflect."""
    common = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        common += 1
    if common < max(4, min(len(one), len(other)) - 3):
        return False
    return all(not rest or rest in _ENDINGS for rest in (one[common:], other[common:]))


def _words(a: Reading, b: Reading, mine: Sequence[Content], theirs: Sequence[Content]) -> str | None:
    """What a short question says that the other does not makes it another one."""
    if (mine or theirs) and not _long(a, b):
        return _told("words", [word for _, word in mine], [word for _, word in theirs])
    return None


def _person(a: Reading, b: Reading) -> str | None:
    """My name, and yours; what I call you, and you me."""
    if (set(a.persons), set(b.persons)) in (({1}, {2}), ({2}, {1})) or (
        set(a.persons) == set(b.persons) == {1, 2} and a.persons[0] != b.persons[0]
    ):
        return "person"
    return None


_ORDERED = 6  # words that two texts share, up to which their order tells who does what to whom
_MEANS = words_of("with using via con mit avec com without")
_FROM = words_of("from desde von")
_TO = words_of("to into a hasta nach")
# Between two words that change places without a change of meaning: the king of France, France's king; a or b, b or a.
_HARMLESS = words_of("""
    of and or vs versus s the an my your is are was were do does did de del la el los las y e o u et ou und oder von du
    des der die das
""")


_HAS_OPPOSITE = frozenset(word for word, _ in ANTONYMS)


def _means(a: Reading, b: Reading) -> str | None:
    """Paying with a card, and paying a card."""
    return None if _MEANS.isdisjoint(a.words) == _MEANS.isdisjoint(b.words) or _long(a, b) else "with"


def _long(a: Reading, b: Reading) -> bool:
    return min(len(a.content), len(b.content)) >= LONG


def _order(a: Reading, b: Reading) -> str | None:
    """The same words with two of them in each other's place: from euros to dollars, from dollars to euros."""
    if (turned := _turned(a)) and _turned(b) == turned[::-1]:
        return f"order: {' '.join(turned)}"
    start, other_start = _after(a, _FROM), _after(b, _FROM)
    if start != other_start and start & _after(b, _TO) and other_start & _after(a, _TO):
        return f"order: from {min(start)}"
    mine, theirs = [stemmed for stemmed, _ in a.content], [stemmed for stemmed, _ in b.content]
    common = set(mine) & set(theirs)
    mine, theirs = [word for word in mine if word in common], [word for word in theirs if word in common]
    if sorted(mine) != sorted(theirs):
        return None
    places = [place for place, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1]]
    if len(places) != 2:
        moved = not places or len(mine) > _ORDERED or _block_moved(mine[places[0] : places[-1] + 1], theirs, places[0])
        return None if moved else "order"
    first, second = places
    if second > first + 1 or all(_apart(each, mine[first], mine[second]) for each in (a, b)):
        return f"order: {mine[first]}, {mine[second]}"
    return None


def _block_moved(mine: Sequence[str], theirs: Sequence[str], start: int) -> bool:
    """Whether what stands first was put last: in Python a list, a list in Python."""
    length = len(mine)
    return any([*mine[cut:], *mine[:cut]] == list(theirs[start : start + length]) for cut in range(1, length))


def _turned(reading: Reading) -> tuple[str, ...]:
    """The first two words that are each other's opposites and not merely told in a row: the buyer pays the seller."""
    words = [_singular(word) for word in reading.words]
    for place, one in enumerate(words):
        if one in _HAS_OPPOSITE:
            for later, other in enumerate(words[place + 1 :], place + 1):
                if (one, other) in ANTONYMS and not _HARMLESS.issuperset(words[place + 1 : later]):
                    return one, other
    return ()


def _after(reading: Reading, words: frozenset[str]) -> set[str]:
    """The content words that come next after each of these words."""
    written = {word: stemmed for stemmed, word in reading.content}
    found: set[str] = set()
    for place, word in enumerate(reading.words):
        if word in words:
            found.update(next(([written[each]] for each in reading.words[place + 1 :] if each in written), []))
    return found


def _apart(reading: Reading, first: str, second: str) -> bool:
    """Whether more than harmless words stand between the two."""
    written = dict(reading.content)
    start, end = sorted((reading.words.index(written[first]), reading.words.index(written[second])))
    return not _HARMLESS.issuperset(reading.words[start + 1 : end])


def _told(what: str, mine: Sequence[str], theirs: Sequence[str]) -> str:
    return f"{what}: {' '.join(mine) or '-'} / {' '.join(theirs) or '-'}"
