"""Which language a prompt is written in: by its script, its letters and its commonest words.

General detectors need a sentence or two; prompts are short and full of English technical words. So what counts here are
words that hardly occur outside a language. `None`: too little to tell, as in "fibonacci rust".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# Which languages the shipped classifier was trained on; a prompt that is surely in another one goes to the default.
SUPPORTED = frozenset({"en", "es", "pt", "fr", "de"})

_COMMON: Mapping[str, str] = {
    "en": """
    the of and to in is that it for was on are with as they be at this have from or had by but what some we can out
    other were all there when up use your how said each she which do their time if will way about many then them write
    would like so these her make thing see him has more could my than been call who its now did get come made may i
    you me why should please help give tell explain does i'm don't what's it's can't create without between using an
    no not where any am he his our let us want need
    """,
    "es": """
    el la los las un una unos unas de del que y en es por para con no se su sus lo como más mas pero al le ya o este
    esta estos estas sí porque cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno
    les ni contra otros ese eso ante ellos e esto mí antes algunos qué yo otro otras otra él tanto esa mucho cómo cuál
    cuáles cuánto cuanto cuántos quién dónde tengo tiene puedo puedes haz hazme dame dime escribe explica explícame
    ayúdame necesito quiero hola gracias mi mis tu tus soy eres está estoy ser fue hace hacer entre cual tambien asi
    así aquí oye porfa buenas vos podés podrías según año años hoy nada algo siempre crea cuéntame
    """,
    "pt": """
    o a os as um uma uns umas de do da dos das que e é em no na nos nas para por com não se seu sua como mais mas ao à
    aos às ele ela isso isto este esta esse essa já ou ser quando muito há também só pelo pela até você vocês eu meu
    minha meus minhas nós lhe sem mesmo qual quais quem onde porque são foi está estou tem tenho pode posso faça
    escreva explique me ajuda ajude preciso quero oi olá obrigado obrigada crie dê fazer entre sobre num numa tudo bem
    nao voce sao ate tambem pra pro então agora hoje ainda depois cadê dá gente conte traduza resuma
    """,
    "fr": """
    le la les un une des de du que et en est pour dans ce cette ces il elle on ne pas plus par avec sur se sont au aux
    mais ou où qui quoi comment pourquoi combien quand je tu nous vous ils elles mon ma mes ton ta tes son sa ses
    notre votre leur leurs être avoir fait faire peux peut suis es a ai j'ai c'est d'un d'une l'on n'est qu'est quel
    quelle quels quelles écris explique explique-moi aide-moi donne donne-moi s'il plaît salut bonjour merci sans
    entre très aussi bien tout tous cela ça ca si comme même moi toi chez vers puis donc alors rédige traduis résume
    besoin
    """,
    "de": """
    der die das den dem des ein eine einen einem einer eines und oder aber in im ist sind war nicht mit auf für von zu
    zum zur bei nach aus wie was wer wo wann warum wieso welche welcher welches ich du er sie es wir ihr mir mich dir
    dich uns euch mein meine meinen dein deine sein seine ihre kann kannst können soll sollte muss möchte will habe
    hat haben wird werden wurde auch noch nur schon sehr mehr als wenn dass weil damit um über unter zwischen schreib
    schreibe erkläre erklär hilf bitte danke hallo gib mach erstelle gibt kein keine doch mal denn durch bis ohne vom
    am an so man heute jetzt fuer ueber koennen moechte übersetze fasse berechne
    """,
    "it": """
    il lo la i gli le un uno una di del della dello dei delle degli che e è in per con non si su come più ma al alla
    sono questo questa questi queste perché quando molto anche mi ti ci vi io tu lui lei noi voi loro mio mia tuo tua
    cosa chi dove quale quali quanto quanti ho hai ha abbiamo puoi posso scrivi spiega spiegami aiutami dammi dimmi
    ciao grazie nel nella nei nelle dal dalla sul sulla tra fra fare essere senza ogni sia poi così già crea traduci
    scrivimi raccontami vorrei devo c'è cos'è qual un'altra dell'acqua tutti tutto
    """,
    "nl": """
    de het een en van in is dat op te zijn met voor niet aan er om ook als bij maar uit nog wel naar dan of door over
    ze zich hoe wat wie waar waarom wanneer welke ik je jij hij zij wij jullie mijn jouw onze deze dit die kan kun
    kunt moet wil heb heeft hebben wordt worden werd geen meer veel schrijf leg geef maak vertel hallo dank graag
    alsjeblieft tussen zonder onder tegen mij me ons u uw iets niets heel goed vertaal bereken help
    """,
    "pl": """
    i w z na do że się nie jest to o jak po co tak za od ale czy dla przez są był była może jestem mam masz mi mnie ci
    cię ich jego jej ten ta te tego tej tym który która które kiedy gdzie dlaczego ile kto napisz wyjaśnij podaj
    proszę cześć dzięki dziękuję pod oraz lub bez między gdy już tylko też bardzo jaki jaka jakie opowiedz zrób pomóż
    mój moja moje oblicz przetłumacz
    """,
    "sv": """
    och i att det som en på är av för med den till inte har de om ett var jag men så man från vi kan när hur vad vem
    varför vilken vilket vilka du han hon min din mitt ditt skriv förklara ge mig hjälp hej tack också eller under
    över mellan utan efter ska skulle vill måste alla detta denna mycket berätta gör översätt räkna något
    """,
    "da": """
    og i at det som en på er af for med den til ikke har de om et var jeg men så man fra vi kan når hvordan hvad hvem
    hvorfor hvilken hvilket hvilke du han hun min din mit dit skriv forklar giv mig hjælp hej tak også eller under
    over mellem uden efter skal ville vil må alle dette denne meget fortæl gør oversæt noget
    """,
    "no": """
    og i å det som en på er av for med den til ikke har de om et var jeg men så man fra vi kan når hvordan hva hvem
    hvorfor hvilken hvilket hvilke du han hun min din mitt ditt skriv forklar gi meg hjelp hei takk også eller under
    over mellom uten etter skal ville vil må alle dette denne mye fortell gjør oversett noe
    """,
    "fi": """
    ja on ei se että oli en hän mutta ovat kuin niin jos myös tai mitä miten miksi missä milloin kuka mikä minä sinä
    minun sinun kirjoita selitä anna auta minua hei kiitos kun olen olet voi voit voisitko tämä nämä sen siitä vain
    kaikki jo vielä ilman kanssa kerro tee käännä laske kuinka monta jotka joka
    """,
    "cs": """
    a v se na je že s z do o to k i ve pro za by ale jako po co když jak nebo jsem jsi jsou byl byla bylo mi mě ti tě
    si ten ta tento tato kde kdo proč kdy který která které kolik napiš vysvětli dej mám máš prosím ahoj děkuji díky
    od bez mezi také jen už velmi můžeš můžete jaký jaká jaké řekni udělej pomoz přelož spočítej
    """,
    "ro": """
    și si în in de la cu pe nu este că ca un o din care pentru mai sunt au fost am ai are sau dar cum ce cine unde
    când cât câți scrie explică dă-mi ajută-mă vreau salut mulțumesc te rog îmi imi meu mea tău ta acest această fără
    între după despre foarte sa să poți pot trebuie spune-mi traducere tradu calculează fă
    """,
    "hu": """
    a az és hogy nem is egy ez van volt de ha csak mint meg már még el ki mi miért hogyan mikor hol melyik mennyi hány
    én te ő írj írd magyarázd adj segíts nekem szia köszönöm kérlek vagy vagyok lesz lehet között nélkül után minden
    nagyon ezt azt egyet mondj csinálj fordítsd számold kell tud tudsz
    """,
    "tr": """
    ve bir bu da de için ile ne çok daha var mi mı mu mü ben sen o biz siz gibi olarak olan nasıl neden niçin nerede
    kim kaç hangi bana beni benim senin yaz açıkla ver yardım et lütfen merhaba teşekkürler ama veya en kadar sonra
    önce arasında değil mıdır midir nedir şu her anlat çevir hesapla söyle istiyorum
    """,
    "vi": """
    và là của có cho không được trong một các những với này đó tôi bạn hãy viết giải thích như thế nào tại sao ai gì
    bao nhiêu khi ở đâu giúp về để hoặc nhưng cảm ơn xin chào hay từ đến
    """,
    "id": """
    yang dan di ke dari untuk dengan ini itu tidak adalah pada dalam akan saya aku kamu anda apa bagaimana mengapa
    kenapa siapa kapan dimana berapa tolong buat buatkan tulis tuliskan jelaskan berikan bantu terima kasih atau
    tetapi bisa ada sebuah seorang juga lebih oleh karena sebagai antara halo hitung terjemahkan ceritakan
    """,
    "ca": """
    el la els les un una uns unes de del dels que i en és per amb no es seu com més però al aquest aquesta això quan
    molt també què qui on quin quina quins quines escriu explica'm dona'm digues hola gràcies meu meva tens puc pots
    vull necessito fes ajuda'm sense entre són sóc està tinc fins dues calcula tradueix l'aigua si us plau
    """,
    "eu": """
    eta da ez bat du zer nola non nor zergatik noiz dira izan nire zure mesedez kaixo eskerrik asko idatzi azaldu
    laguntza bai baina edo hau hori horrek dut duzu zein zenbat gabe artean egin esan
    """,
}

# Letters that tell a language, or a few that share them.
_LETTERS: Mapping[str, str] = {
    "ñ": "es", "¿": "es", "¡": "es", "ã": "pt", "õ": "pt", "ß": "de", "ù": "fr it", "œ": "fr", "ł": "pl",
    "ą": "pl", "ę": "pl", "ś": "pl", "ż": "pl", "ź": "pl", "ő": "hu", "ű": "hu", "ğ": "tr", "ş": "tr ro", "ı": "tr",
    "ä": "de sv fi", "ö": "de sv fi hu tr", "ü": "de tr hu", "ç": "fr pt tr ca",
    "å": "sv da no", "ø": "da no", "æ": "da no", "ř": "cs", "ě": "cs", "ů": "cs", "č": "cs", "ț": "ro", "ș": "ro",
    "ă": "ro vi", "ơ": "vi", "ư": "vi", "đ": "vi", "ạ": "vi", "ế": "vi", "ộ": "vi", "ò": "it ca", "ì": "it",
}  # fmt: skip

_SCRIPTS = (
    (0x0370, 0x03FF, "el"), (0x0400, 0x052F, "ru"), (0x0590, 0x05FF, "he"), (0x0600, 0x06FF, "ar"),
    (0x0900, 0x097F, "hi"), (0x0980, 0x09FF, "bn"), (0x0B80, 0x0BFF, "ta"), (0x0E00, 0x0E7F, "th"),
    (0x1100, 0x11FF, "ko"), (0x3040, 0x30FF, "ja"), (0x3400, 0x9FFF, "zh"), (0xAC00, 0xD7AF, "ko"),
    (0x0530, 0x058F, "hy"), (0x10A0, 0x10FF, "ka"),
)  # fmt: skip
_UKRAINIAN = frozenset("іїєґ")
_LONE_GREEK = re.compile(r"[Ͱ-Ͽ](?<![^\W\d_²³].)(?![^\W\d_²³])")  # a formula's letter, no word
_OTHER = "other"  # a script that is none of these
_FOREIGN_SHARE = 0.3  # of the letters, from which on a text is in another script than the Latin
_LEAST_SCORE = 0.7
_PLAIN_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_LETTER_WEIGHT = 0.1  # of a word of one plain letter: formulas and code are full of them
_LATIN_END = 0x0250
_VIETNAMESE = range(0x1E00, 0x1F00)


def _by_word() -> dict[str, tuple[tuple[str, float], ...]]:
    """Each common word with the languages that have it, and how much it says for each."""
    languages: dict[str, list[str]] = {}
    for language, words in _COMMON.items():
        for word in dict.fromkeys(words.split()):
            languages.setdefault(word, []).append(language)
    return {
        word: tuple((each, (_LETTER_WEIGHT if word in _PLAIN_LETTERS else 1.0) / len(found) ** 1.5) for each in found)
        for word, found in languages.items()
    }


_WORDS = _by_word()
LANGUAGES = frozenset(_COMMON) | {language for _, _, language in _SCRIPTS} | {"uk", _OTHER}


def language_of(text: str, words: Sequence[str]) -> str | None:
    """The ISO 639-1 code, or "other" for an unknown script. `words` are the text's, in lower case."""
    if not text.isascii() and (language := _by_script(text)) is not None:
        return language
    scores: dict[str, float] = {}
    for word in words:
        for language, score in _WORDS.get(word, ()):
            scores[language] = scores.get(language, 0.0) + score
    if not text.isascii():
        for letter in set(text.lower()):
            shared = _LETTERS.get(letter, "").split()
            for language in shared:
                scores[language] = scores.get(language, 0.0) + 1.5 / len(shared)
    if not scores:
        return None
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] >= _LEAST_SCORE else None


def _by_script(text: str) -> str | None:
    """None: it is written in Latin letters, or has too few others."""
    counts: dict[str, int] = {}
    letters = 0
    for character in _LONE_GREEK.sub("", text):
        if not character.isalpha():
            continue
        letters += 1
        code = ord(character)
        if code >= _LATIN_END and code not in _VIETNAMESE:
            language = next((name for low, high, name in _SCRIPTS if low <= code <= high), _OTHER)
            counts[language] = counts.get(language, 0) + 1
    if not letters or sum(counts.values()) < _FOREIGN_SHARE * letters:
        return None
    if "ja" in counts:
        return "ja"  # Japanese writes in Chinese characters too
    best = max(counts, key=counts.__getitem__)
    return "uk" if best == "ru" and not _UKRAINIAN.isdisjoint(text.lower()) else best
