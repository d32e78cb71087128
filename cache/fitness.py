"""Which texts the semantic tier takes up at all. Pure.

What a text refers to in earlier turns is no matter: those are part of the scope, and the same for both questions.
"""

from __future__ import annotations

import re

from cache.reading import read
from cache.words import NEUTRAL, words_of

MAX_CHARS = (
    600  # some 256 tokens of the built-in encoder, in languages that it cuts into small pieces: it reads no more
)
MIN_WORDS = 3
_LANGUAGES = frozenset(NEUTRAL)
_FOREIGN_SHARE = 0.2  # of the letters, from which on a text is not in the Latin script
_CODE = re.compile(
    r"```|^\s*(?:def|class|import|from|const|let|var|public|return|SELECT|#include)\b.*[=({:;*].*$|[;{}]\s*$",
    re.MULTILINE,
)
_NOW = words_of("""
    now today tonight yesterday tomorrow currently current latest newest recent recently nowadays upcoming weather
    forecast news
    ahora hoy ayer anoche actualmente actual actuales reciente recientes recientemente noticias
    agora hoje ontem amanha atualmente atual recente noticias
    maintenant aujourd hier demain actuellement actuel actuelle recent recents recente meteo actualites
    jetzt heute gestern derzeit aktuell aktuelle aktuellen neueste neuesten wetter nachrichten
""")
_NOW_PHRASES = re.compile(
    r"\b(?:this (?:morning|afternoon|evening|week|weekend|month|year|season)|(?:last|next) (?:night|week|month|year)"
    r"|time is it|est[ea] (?:semana|mes|año|noche|tarde)|qué hora es|(?:próxim|pasad)[oa]|cette (?:semaine|année)"
    r"|ce mois|diese (?:woche|s jahr))\b"
)


def unfit(text: str, language: str | None = None) -> str | None:
    """Why a text is not to be compared with others; None: it is fit.

    `language` is an ISO 639-1 code, where the caller knows it (`routing.semantic.language`).
    """
    if len(text) > MAX_CHARS:
        return "too long"
    if language is not None and language not in _LANGUAGES:
        return f"language: {language}"
    letters = [letter for letter in text if letter.isalpha()]
    if sum(ord(letter) > 0x24F for letter in letters) > _FOREIGN_SHARE * len(letters):
        return "script"
    if _CODE.search(text):
        return "code"
    reading = read(text)
    if len(reading.words) < MIN_WORDS:
        return "too few words"
    if not (reading.content or reading.numbers or reading.quoted):
        return "no word that tells what it is about"
    if not _NOW.isdisjoint(reading.words) or _NOW_PHRASES.search(text.lower()):
        return "about now"
    return None
