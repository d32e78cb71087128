"""A text as the guards of the semantic cache read it: words, numbers, names, quotations, signs, what is asked. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from cache.kinds import ASKED, COUNTS, OF_HOW, OPENERS, WHAT, WHAT_IS
from cache.words import CONTRACTIONS, NEGATIONS, NEUTRAL, NUMBERS, PERSONS, PHRASES, SYNONYMS, TELLING, words_of

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|„([^“”]+)[“”]|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_TOKEN = re.compile(r"[^\s\"“”«»„`]+")
_EDGES = "'.,;:!?¿¡()[]{}…"
_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,:]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d)[, ](?=\d{3}\b)")
_OPENING = re.compile(r"^\s*(?:\d{1,2}[.)]\s|(?:yes|no|sí|si|oui|non|sim|não|ja|nein),)", re.IGNORECASE)
_MINUS = re.compile(r"(?:^|(?<=\s))[-−](?=\d)")
# Code, a path, an option, an address: no word, and to be the same sign for sign.
_SIGN = re.compile(
    r"[_\\=<>{}\[\]#@$€£*+~|&^%/]|::|\w\.[a-z]|\w\(\w|\(\)|^[-~.]+\w|^[-!:×÷]+$|\w-\d|\d-\w|[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z]"
)
_BETWEEN_WORDS = re.compile(r"[^\W\d_]{2,}/[^\W\d_]{2,}|(?:[a-zA-Z]\.)+[a-zA-Z]?")  # and/or, e.g.
_ROMAN = {"II": "2", "III": "3", "IV": "4", "VI": "6", "VII": "7", "VIII": "8", "IX": "9"}
_SUPERLATIVE = re.compile(r"[^\W\d_]{2,}(?:[^u]est|iest|ste)")
_NO_SUPERLATIVES = words_of("""
    request forest interest invest harvest contest protest arrest digest suggest honest manifest conquest este oeste
    existe triste liste poste reste geste artiste touriste leste teste celeste
""")
_SUPERLATIVES = words_of("most least best worst")
_WHETHER = words_of("if whether si ob")
_WILLS = {"have": "must", "need": "must", "want": "want"}  # do I have to, do I want to
_FIRST_WORDS = 4  # that a question's word is looked for in, where no question mark tells of one


@dataclass(frozen=True, slots=True)
class Reading:
    """Words are folded: lower case, no accents."""

    language: str
    words: tuple[str, ...]
    content: tuple[tuple[str, str], ...]  # (what it stands for, as it is written) of each that is not neutral, in order
    numbers: tuple[str, ...]  # in order
    names: frozenset[str]
    quoted: frozenset[str]
    signs: frozenset[str]  # code, paths, options
    negations: int
    asked: str | None  # who, when, where, why, how, how-many …; "what"; None: nothing
    superlative: bool
    persons: tuple[int, ...]  # 1: I, 2: you, in order


def read(text: str) -> Reading:
    """Takes time in proportion to the length: some 0.1 ms for a sentence."""
    text = unicodedata.normalize("NFKC", text).strip().replace("’", "'").replace("‘", "'")
    text = _OPENING.sub("", _THOUSANDS.sub("", text))
    signs, words, names = _tokens(text)
    words = _phrased(words)
    language = _language(words)
    asked, asking = _asked(words, language, text)
    neutral = NEUTRAL[language] | NEGATIONS | {asking}
    content = [(stem(word, language), word) for word in words if word not in neutral]
    numbers = [value for word in words if (value := _number(word, language))]
    quoted = (" ".join(_words(next(filter(None, found)))) for found in _QUOTED.findall(text))
    return Reading(
        language=language,
        words=tuple(words),
        content=tuple((stemmed, word) for stemmed, word in content if not _number(word, language)),
        numbers=(*numbers, *["-"] * len(_MINUS.findall(text))),
        names=frozenset(names),
        quoted=frozenset(filter(None, quoted)),
        signs=frozenset(signs),
        negations=sum(word in NEGATIONS for word in words),
        asked=asked,
        superlative=any(map(_is_superlative, words)),
        persons=tuple(PERSONS[word] for word in words[2 if words[1:2] == ["you"] else 0 :] if word in PERSONS),
    )


def fold(word: str) -> str:
    """Lower case, without accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def stem(word: str, language: str) -> str:
    """What a word has in common with its other forms: number, tense and case. Comparatives keep their endings."""
    word = SYNONYMS.get(word, word)
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-3] + "y" if language == "en" and word.endswith("ies") else word[:-1]
        if word.endswith(("sse", "she", "che", "xe", "oe")) and language == "en":
            word = word[:-1]
    if language == "en":
        word = _english(word)
    elif language in ("es", "pt") and len(word) > 5 and word.endswith(("on", "or", "al", "ad")) is False:
        word = word[:-1] if word.endswith("e") else word
    return SYNONYMS.get(word, word)


def _english(word: str) -> str:
    for ending in ("ing", "ed"):
        if len(word) > len(ending) + 2 and word.endswith(ending) and re.search("[aeiouy]", word[: -len(ending)]):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _tokens(text: str) -> tuple[set[str], list[str], set[str]]:
    """Signs, words and names."""
    signs: set[str] = set()
    words: list[str] = []
    names: set[str] = set()
    starts = True  # a sentence: a capital says nothing there
    for token in _TOKEN.findall(text):
        bare = token.strip("'.,;:?¿¡…").removesuffix("()") or token
        if _SIGN.search(bare) and not _BETWEEN_WORDS.fullmatch(bare):
            signs.add(bare.removesuffix("'s").strip("()").casefold() or bare)
        for number, word in enumerate(_WORD.findall(token)):
            folded = _ROMAN.get(word) or fold(word)
            if number and folded == "t" and words and words[-1].endswith("n"):  # isn't
                words[-1:] = CONTRACTIONS.get(words[-1] + "t", (words[-1], "not"))
                continue
            words += CONTRACTIONS.get(folded, (folded,))
            if (word[0].isupper() and not starts) or (len(word) > 1 and not word[1:].islower() and word[0].isalpha()):
                names.add(folded)
            starts = False
        starts = starts or token.endswith((".", "!", "?", ":", "¿", "¡"))
    names.discard("i")
    return signs, words, names


def _words(text: str) -> list[str]:
    return [fold(word) for word in _WORD.findall(text)]


def _phrased(words: list[str]) -> list[str]:
    text = f" {' '.join(words)} "
    for phrase, meant in PHRASES:
        text = text.replace(f" {phrase} ", f" {meant} ")
    return text.split()


def _language(words: Sequence[str]) -> str:
    """The one most of whose telling words occur; English where none does."""
    return max(TELLING, key=lambda language: (sum(word in TELLING[language] for word in words), language == "en"))


def _number(word: str, language: str) -> str | None:
    if word[0].isdigit():
        return word.replace(",", ".").lstrip("0") or "0"
    return NUMBERS[language].get(word)


def _asked(words: Sequence[str], language: str, text: str) -> tuple[str | None, str]:
    """What is asked for, and the noun that told so: ("when", "year") of "in which year"."""
    question = "?" in text or "¿" in text
    statement = not question and text.endswith(".")  # its first word may open a clause: when this, then that
    for place, word in enumerate(words):
        if statement and place == 0:
            continue
        after = words[place + 1 : place + 5]
        if (amount := _amount(word, after)) is not None:
            return amount
        if place >= _FIRST_WORDS and not question:
            continue
        if (word in WHAT and (word, language) != ("was", "en")) or word == "which":
            return _what(word, after)
        if place == 0 and (opening := _opening(word, after)) is not None:
            return opening, ""
        if word in _WHETHER and place:
            return "do", ""
        if word in ASKED and word not in OPENERS:
            return ASKED[word], ""
    return None, ""


def _amount(word: str, after: Sequence[str]) -> tuple[str, str] | None:
    if word == "por" and after[:1] == ["que"]:
        return "why", ""
    if word in ("how", "wie") and after and after[0] in OF_HOW:
        return f"how-{OF_HOW[after[0]]}", after[0]
    if word == "combien" and after[:1] == ["de"]:
        return "how-many", ""
    return None


def _what(word: str, after: Sequence[str]) -> tuple[str, str]:
    noun = next((each for each in after if each in WHAT_IS), "")
    if noun in COUNTS and f"{noun} of" not in " ".join(after):
        noun = ""
    return WHAT_IS.get(noun, "which" if word == "which" else "what"), noun


def _opening(word: str, after: Sequence[str]) -> str | None:
    """Of a question that is answered by yes or no."""
    if word == "ou":
        return "where"
    if word == "do" and after[2:3] == ["to"] and after[1] in _WILLS:
        return _WILLS[after[1]]
    return ASKED[word] if word in OPENERS and after[:1] != ["you"] else None


def _is_superlative(word: str) -> bool:
    return word in _SUPERLATIVES or (bool(_SUPERLATIVE.fullmatch(word)) and word not in _NO_SUPERLATIVES)
