"""Which language a prompt is in, or that there is too little to tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.semantic.features import features_of
from routing.semantic.language import LANGUAGES, SUPPORTED

SAMPLES = {
    "en": [
        "Write a function that sorts a list",
        "What is the capital of Peru?",
        "explain how this works please",
        "i dont get why this happens, can you help me",
        "What's the difference between a virus and a bacterium?",
    ],
    "es": [
        "¿Cuál es la capital de Perú?",
        "Escribe un poema sobre el mar",
        "necesito ayuda con mi tarea de historia",
        "cuanto tarda la luz en llegar del sol",
        "Traduce esto al inglés: la reunión es mañana",
    ],
    "pt": [
        "Escreva um poema sobre o mar",
        "Qual é a capital do Peru?",
        "preciso de ajuda com a minha lição",
        "Você pode me explicar isso?",
        "nao entendo porque isto acontece",
    ],
    "fr": [
        "Écris un poème sur la mer",
        "Quelle est la capitale du Pérou ?",
        "j'ai besoin d'aide avec mon devoir",
        "pourquoi le ciel est bleu",
    ],
    "de": [
        "Schreib ein Gedicht über das Meer",
        "Was ist die Hauptstadt von Peru?",
        "kannst du mir bei meinen hausaufgaben helfen",
        "Warum ist der Himmel blau?",
    ],
    "it": ["Scrivi una poesia sul mare", "Qual è la capitale del Perù?", "perché il cielo è blu"],
    "nl": ["Schrijf een gedicht over de zee", "Wat is de hoofdstad van Peru?"],
    "pl": ["Napisz wiersz o morzu", "Jaka jest stolica Peru?"],
    "sv": ["Vad är huvudstaden i Peru?", "Jag vill veta mycket om detta"],
    "da": ["Hvad er hovedstaden i Peru?"],
    "no": ["Hva er hovedstaden i Peru?"],
    "fi": ["Kirjoita runo merestä", "Mikä on Perun pääkaupunki?"],
    "cs": ["Napiš báseň o moři", "Jaké je hlavní město Peru?"],
    "ro": ["Scrie o poezie despre mare", "Care este capitala Perului?"],
    "hu": ["Írj egy verset a tengerről", "Mi Peru fővárosa?"],
    "tr": ["Deniz hakkında bir şiir yaz", "Peru'nun başkenti neresi?"],
    "vi": ["Hãy viết một bài thơ về biển", "Thủ đô của Peru là gì?"],
    "id": ["Tuliskan puisi tentang laut", "Tolong jelaskan bagaimana ini bisa terjadi"],
    "ca": ["Escriu un poema sobre el mar", "Quina és la capital del Perú?"],
    "eu": ["Idatzi olerki bat itsasoari buruz", "Zein da Peruko hiriburua?"],
    "ru": ["Напиши стихотворение о море", "Привет, как дела? I write code"],
    "uk": ["Напиши вірш про море, і поясни його"],
    "el": ["Γράψε ένα ποίημα για τη θάλασσα"],
    "he": ["כתוב שיר על הים"],
    "ar": ["اكتب قصيدة عن البحر"],
    "hi": ["समुद्र के बारे में एक कविता लिखो"],
    "bn": ["সমুদ্র নিয়ে একটি কবিতা লেখো"],
    "ta": ["கடலைப் பற்றி ஒரு கவிதை எழுது"],
    "th": ["เขียนบทกวีเกี่ยวกับทะเล"],
    "ko": ["바다에 대한 시를 써 줘"],
    "ja": ["海についての詩を書いてください", "日本の首都は東京です"],
    "zh": ["写一首关于大海的诗", "日本"],
    "hy": ["Գրիր բանաստեղծություն ծովի մասին"],
    "ka": ["დაწერე ლექსი ზღვაზე"],
    "other": ["ስለ ባሕር ግጥም ጻፍ", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ"],
}


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in SAMPLES.items() for text in texts])
def test_samples(language: str, text: str) -> None:
    assert features_of(text).language == language


def test_every_language_that_a_rule_may_name_has_a_sample() -> None:
    assert SAMPLES.keys() == LANGUAGES
    assert SUPPORTED < LANGUAGES


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\n\n", "!?", "🙂🙂", "12 + 30", "x", "ok", "asdf", "xyzzy plugh", "fibonacci rust", "print(x)"),
        *("https://example.com/a/b", "e = mc²", "café résumé naïve", "GPT-4o vs Llama 3"),
        # Letters of formulas and of code are no words.
        *("const π = 3.14", "α + β = ?", "Solve: α² + β² = γ²", "∠ABC = θ, find θ"),
        *("12 km/h in m/s", "convert 72 mph to m/s", "for (String s : v) { }", "s = [k for k in z]"),
        *("Translate 你好 to English", "日 = sun"),  # a few signs of another script are no text in it
    ],
)
def test_too_little_to_tell(text: str) -> None:
    assert features_of(text).language is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("WRITE A POEM ABOUT THE SEA", "en"),
        ("ESCRIBE UN POEMA SOBRE EL MAR", "es"),
        ("What is the naïve café's address?", "en"),
        ("Fix this: def größe(x): return x, I do not know what to do with it", "en"),
        ("Why is the Python keyword λ not allowed here?", "en"),
        ("Schreib mir eine Python-Funktion, die the quick brown fox umdreht", "de"),
    ],
)
def test_words_of_another_language_do_not_outweigh_the_rest(text: str, language: str) -> None:
    assert features_of(text).language == language


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_any_text_is_of_a_known_language_or_of_none(text: str) -> None:
    assert features_of(text).language in {*LANGUAGES, None}


@given(st.text(alphabet=st.characters(min_codepoint=0x3041, max_codepoint=0x3096), min_size=1))
def test_a_script_alone_tells_its_language(text: str) -> None:
    assert features_of(text).language == "ja"
