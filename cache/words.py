"""What the guards of the semantic cache know of words, in English, Spanish, Portuguese, French and German.

Words are folded: lower case, no accents. A list that lacks a word costs a hit, never a wrong one, but for `NEUTRAL`:
what stands there is taken for meaningless.
"""

from __future__ import annotations

from collections.abc import Mapping


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that two questions may differ by and still ask the same.
NEUTRAL: Mapping[str, frozenset[str]] = {
    "en": words_of("""
        a an the of in on at to for from by with as into onto about and or that which what who whom whose where when
        why how is are am was were be been being do does did done doing has have had having will would shall can could
        may might should must need needs i me my mine we us our you your it its they them their there this these those
        if so then than please hi hello hey thanks kindly just really actually exactly though like also tell explain
        give show let know want wanna would-be going possible way ways able help one s ll ve re d m t get got some
        such following thing things here between needed obtain receive located situated exist exists name whether
        ever currently using via
    """),
    "es": words_of("""
        el la los las lo un una unos unas de del a al en con por para y e o u que cual cuales quien quienes cuyo donde
        cuando como porque cuanto cuanta cuantos cuantas es son era eran fue fueron ser sido esta estan estaba estar
        ha han he has haber hay habia hace hacen puedo puede pueden puedes podria podrias poder debo debe deben deberia
        yo mi mis me nos nuestro nuestra tu tus te ti usted ustedes su sus se le les ello eso esto ese esa este estos
        estas esos esas si entonces porfavor favor hola gracias explica explicame explicar dime decir dame dar quiero
        quisiera necesito ayudame ayudarme ayuda hacer hazme posible
        manera modo forma gustaria saber explicarme decirme tengo tiene tienen hago cosa cosas mismo aqui ahi
    """),
    "pt": words_of("""
        o a os as um uma uns umas de do da dos das em no na nos nas num numa ao aos pelo pela pelos pelas com por para
        pra e ou que qual quais quem onde quando como porque quanto quanta quantos quantas e sao era eram foi foram ser
        sido esta estao estava estar ha tem tenho posso pode podem poderia devo deve devem deveria eu meu minha meus
        minhas me nos nosso nossa voce voces te ti seu sua seus suas se lhe isso isto esse essa este estes estas esses
        por favor ola oi obrigado obrigada explique explica explicar diga dizer de me quero gostaria preciso ajude
        possivel maneira modo forma faco coisa coisas aqui
    """),
    "fr": words_of("""
        le la les l un une des d de du a au aux en dans sur avec par pour et ou que qu qui quoi quel quelle quels
        quelles dont ou quand comment pourquoi combien est es sont etait etaient fut etre ete ce c cet cette ces ca
        cela j je tu t te toi il elle on nous vous ils elles m me moi mon ma mes ton ta tes son sa ses notre nos votre
        vos leur leurs se s y n ne ai as a ont avoir fait faire peux peut puis pouvez pourrais dois doit faut si alors
        plait bonjour merci explique expliquer dis dire donne donner veux voudrais besoin aide possible maniere facon
        chose choses
    """),
    "de": words_of("""
        der die das den dem des ein eine einen einem einer eines und oder in im an am auf fur von vom zu zum zur mit
        bei aus als wie was wer wen wem wo wann warum wieso weshalb welche welcher welches welchen wieviel viele viel
        ist sind war waren sein bin bist hat haben hatte habe wird werden wurde wurden kann konnen konnte soll sollte
        muss darf ich mir mich mein meine meinen du dir dich dein deine wir uns unser sie ihr es man sich er dies diese
        dieser dieses so dann dass wenn bitte hallo danke erklare erklaren sag sagen gib zeig mochte will brauche hilf
        moglich weise ding dinge da denn mal um gibt
    """),
}

# What decides which of those lists holds: words that hardly occur in the other four.
TELLING: Mapping[str, frozenset[str]] = {
    "en": words_of(
        "the of is are do does what how which who when where why my i you and to for with can it was did me tell give"
    ),
    "es": words_of("el los las del y en que es por para con cual como cuando donde quien cuanto mi una un al la"),
    "pt": words_of(
        "o os da do dos das em um uma que e sao com para por qual como quando onde quem quanto meu minha nao"
    ),
    "fr": words_of(
        "le les des du et est dans pour avec quel quelle comment quand ou qui pourquoi combien mon ma une un"
    ),
    "de": words_of(
        "der die das und ist sind ein eine wie was wer wo wann warum welche ich mein meine fur mit im nicht"
    ),
}

NEGATIONS = words_of("""
    not no never none nobody nothing nowhere neither nor without except excluding excluded excludes exclude avoid
    avoids avoiding fail fails failed failing lack lacks lacking unless hardly barely cannot non
    nunca jamas sin nadie nada ningun ninguna ninguno tampoco ni excepto salvo evitar
    nao sem ninguem nenhum nenhuma nem exceto tampouco
    pas jamais sans aucun aucune sauf rien ni
    nicht kein keine keinen keinem keiner nie niemals ohne ausser nichts niemand weder
""")

PERSONS: Mapping[str, int] = {
    **dict.fromkeys(words_of("i my me mine mi mis yo meu minha mon ma mes je mein meine ich"), 1),
    **dict.fromkeys(words_of("you your yours tu tus usted voce seu sua ton ta tes vous votre vos dein deine du"), 2),
}

_CONTRACTIONS = {
    "cannot": "can not", "cant": "can not", "dont": "do not", "doesnt": "does not", "didnt": "did not",
    "isnt": "is not", "arent": "are not", "wasnt": "was not", "werent": "were not", "wont": "will not",
    "couldnt": "could not", "shouldnt": "should not", "wouldnt": "would not", "hasnt": "has not",
    "havent": "have not", "hadnt": "had not", "aint": "is not", "whats": "what is", "wheres": "where is",
    "whos": "who is", "hows": "how is", "thats": "that is", "im": "i am", "ive": "i have",
}  # fmt: skip
CONTRACTIONS: Mapping[str, tuple[str, ...]] = {short: tuple(long.split()) for short, long in _CONTRACTIONS.items()}

_NUMBERS = {
    "en": "zero _ two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty",
    "es": "cero _ dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis diecisiete "
    "dieciocho diecinueve veinte",
    "pt": "zero _ dois tres quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete "
    "dezoito dezenove vinte",
    "fr": "zero _ deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize _ _ _ vingt",
    "de": "null _ zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn funfzehn sechzehn "
    "siebzehn achtzehn neunzehn zwanzig",
}
_TENS = {
    "en": "thirty forty fifty sixty seventy eighty ninety hundred",
    "es": "treinta cuarenta cincuenta sesenta setenta ochenta noventa cien",
    "pt": "trinta quarenta cinquenta sessenta setenta oitenta noventa cem",
    "fr": "trente quarante cinquante soixante _ _ _ cent",
    "de": "dreissig vierzig funfzig sechzig siebzig achtzig neunzig hundert",
}
_ORDINALS = {
    "en": "first second third fourth fifth sixth seventh eighth ninth tenth",
    "es": "primero segundo tercero cuarto quinto sexto septimo octavo noveno decimo",
    "es feminine": "primera segunda tercera cuarta quinta sexta septima octava novena decima",
    "pt": "primeiro _ terceiro quarto quinto sexto setimo oitavo nono decimo",
    "fr": "premier deuxieme troisieme quatrieme cinquieme sixieme septieme huitieme neuvieme dixieme",
    "de": "erste zweite dritte vierte funfte sechste siebte achte neunte zehnte",
}
_LARGE = {
    "dozen": "12", "docena": "12", "duzia": "12", "douzaine": "12", "dutzend": "12", "half": "0.5", "medio": "0.5",
    "media": "0.5", "meio": "0.5", "meia": "0.5", "demi": "0.5", "halb": "0.5", "quarter": "0.25", "thousand": "1000",
    "mil": "1000", "mille": "1000", "tausend": "1000", "million": "1e6", "millon": "1e6", "millones": "1e6",
    "billion": "1e9", "twice": "2 times", "double": "2 times", "triple": "3 times", "primer": "1st",
    "tercer": "3rd", "premiere": "1st", "tres": "3", "dos": "2", "duas": "2",
    "sixties": "60s", "seventies": "70s", "eighties": "80s", "nineties": "90s", "twenties": "20s", "thirties": "30s",
    "forties": "40s", "fifties": "50s",
}  # fmt: skip


def _numbers(language: str) -> dict[str, str]:
    found = dict(_LARGE)
    found |= {word: str(value) for value, word in enumerate(_NUMBERS[language].split()) if word != "_"}
    found |= {word: str(10 * value) for value, word in enumerate(_TENS[language].split(), 3) if word != "_"}
    for words in (line for name, line in _ORDINALS.items() if name.startswith(language)):
        found |= {word: f"{value}." for value, word in enumerate(words.split(), 1) if word != "_"}
    return found


# Language by language: a number's word to how it is written in digits; "1." is the first. "one" is too often no number.
NUMBERS: Mapping[str, Mapping[str, str]] = {language: _numbers(language) for language in _NUMBERS}


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    pairs = [pair.split("/") for pair in text.split()]
    return frozenset((a, b) for left, right in pairs for a, b in ((left, right), (right, left)))


# Phrases to what stands for them.
PHRASES: tuple[tuple[str, str], ...] = (
    ("united states of america", "us"), ("united states", "us"), ("united kingdom", "uk"), ("the best way", "the way"),
    ("best way", "way"), ("easiest way", "way"), ("la mejor manera", "la manera"), ("la mejor forma", "la manera"),
    ("in order to", "to"), ("is it possible to", "can i"), ("at the moment", "now"), ("right now", "now"),
    ("come out", "release"), ("coming out", "release"), ("comes out", "release"), ("such as", "like"),
)  # fmt: skip

# Each way round. Words as they are written, and stems where they differ.
ANTONYMS = _pairs("""
    before/after increase/decrease increase/reduce raise/lower raise/reduce rise/fall rising/falling up/down in/out
    on/off more/less more/fewer most/least most/fewest max/min maximum/minimum highest/lowest high/low higher/lower
    upper/lower large/small largest/smallest big/small bigger/smaller biggest/smallest long/short longest/shortest
    longer/shorter tall/short fast/slow fastest/slowest faster/slower quick/slow hot/cold hotter/colder warm/cold
    strong/weak stronger/weaker hard/soft hard/easy difficult/easy easy/complex heavy/light rich/poor old/new old/young
    older/younger older/newer oldest/youngest oldest/newest oldest/latest earliest/latest early/late earlier/later
    first/last buy/sell buyer/seller purchase/sell enable/disable activate/deactivate open/close open/closed start/stop
    start/end start/finish begin/end win/lose gain/lose gain/loss profit/loss good/bad best/worst better/worse
    positive/negative advantage/disadvantage pro/con benefit/drawback benefit/risk allow/forbid allow/block allow/deny
    permit/deny accept/reject accept/decline approve/reject add/remove add/delete insert/delete create/delete
    create/destroy attach/detach connect/disconnect lock/unlock freeze/unfreeze install/uninstall mount/unmount
    subscribe/unsubscribe upload/download import/export incoming/outgoing input/output push/pull send/receive give/take
    lend/borrow deposit/withdraw debit/credit income/expense hire/fire encode/decode encrypt/decrypt compress/extract
    ascending/descending inside/outside internal/external indoor/outdoor above/below over/under front/back left/right
    east/west north/south top/bottom public/private legal/illegal alive/dead male/female man/woman men/women boy/girl
    husband/wife son/daughter brother/sister uncle/aunt king/queen father/mother dad/mum dad/mom day/night
    morning/evening am/pm light/dark wet/dry full/empty true/false correct/wrong right/wrong safe/dangerous
    include/exclude including/except included/excluded with/without always/never everything/nothing everyone/nobody
    introvert/extrovert question/answer cause/effect parent/child teacher/student employer/employee doctor/patient
    landlord/tenant plaintiff/defendant supply/demand love/hate like/dislike agree/disagree arrive/leave enter/leave
    enter/exit attack/defend ask/answer past/future ancient/modern formal/informal formal/casual expand/collapse
    expand/contract maximize/minimize maximise/minimise widen/narrow wide/narrow thick/thin deep/shallow near/far
    nearest/farthest same/different similar/different temporary/permanent manual/automatic optional/required
    optional/mandatory cheap/expensive cheaper/dearer credit/debit success/failure succeed/fail pass/fail
    upgrade/downgrade upstream/downstream opt-in/opt-out secured/unsecured since/before since/until lossy/lossless
    sync/async synchronous/asynchronous static/dynamic serial/parallel vertical/horizontal row/column odd/even
    singular/plural vowel/consonant noun/verb client/server host/guest offline/online solid/liquid
    antes/despues aumentar/reducir aumentar/disminuir subir/bajar comprar/vender abrir/cerrar abro/cierro
    encender/apagar enciendo/apago activar/desactivar activo/desactivo entrar/salir entrada/salida ganar/perder
    agregar/quitar anadir/quitar anadir/eliminar poner/quitar permitir/denegar permitir/prohibir aceptar/rechazar
    depositar/retirar ingresar/retirar enviar/recibir cargar/descargar importar/exportar bloquear/desbloquear
    mas/menos mayor/menor mejor/peor mejores/peores maximo/minimo maxima/minima alto/bajo alta/baja grande/pequeno
    grandes/pequenos largo/corto larga/corta rapido/lento caro/barato rico/pobre rica/pobre viejo/joven nuevo/viejo
    temprano/tarde siempre/nunca dentro/fuera arriba/abajo encima/debajo izquierda/derecha con/sin ventaja/desventaja
    ventaja/inconveniente positivo/negativo positiva/negativa bueno/malo buena/mala fuerte/debil caliente/frio
    calor/frio interno/externo ascendente/descendente formal/informal hombre/mujer padre/madre hijo/hija
    hermano/hermana dia/noche ultimo/primero ultima/primera primer/ultimo vacio/lleno facil/dificil publico/privado
    legal/ilegal norte/sur este/oeste tambien/tampoco incluido/excepto incluidos/excepto
    depois/antes maior/menor melhor/pior comprar/vender abrir/fechar ligar/desligar adicionar/remover ganhar/perder
    com/sem vantagem/desvantagem alto/baixo barato/caro cedo/tarde primeiro/ultimo primeira/ultima mais/menos
    avant/apres acheter/vendre ouvrir/fermer activer/desactiver ajouter/retirer ajouter/supprimer gagner/perdre
    avec/sans avantage/inconvenient plus/moins meilleur/pire grand/petit haut/bas premier/dernier premiere/derniere
    augmenter/diminuer augmenter/reduire tot/tard chaud/froid toujours/jamais
    vor/nach kaufen/verkaufen offnen/schliessen aktivieren/deaktivieren hinzufugen/entfernen gewinnen/verlieren
    mit/ohne vorteil/nachteil vorteile/nachteile mehr/weniger grosste/kleinste gross/klein hoch/niedrig
    erste/letzte ein/aus teurer/billiger immer/nie fruh/spat warm/kalt sperren/entsperren
""")

# Beginnings that turn a word into its opposite; the rest being the same, one for the other (or for none).
OPPOSITE_PREFIXES: tuple[tuple[str, str], ...] = (
    ("un", ""), ("in", ""), ("im", ""), ("ir", ""), ("il", ""), ("non", ""), ("dis", ""), ("de", ""), ("anti", ""),
    ("mis", ""), ("des", ""), ("ent", ""), ("desa", "a"), ("over", "under"), ("hyper", "hypo"), ("pre", "post"),
    ("en", "de"), ("in", "ex"), ("im", "ex"), ("in", "out"), ("up", "down"), ("macro", "micro"), ("maxi", "mini"),
    ("pro", "anti"), ("intra", "inter"), ("inner", "outer"), ("ein", "aus"), ("be", "ent"), ("ver", ""), ("ab", "an"),
    ("homo", "hetero"), ("mono", "poly"), ("a", ""), ("up", ""), ("multi", ""), ("sub", "super"), ("ante", "post"),
    ("primary", "secondary"),
)  # fmt: skip


def _canonical(lines: str) -> dict[str, str]:
    """Every word of a line to the line's first."""
    found: dict[str, str] = {}
    for line in lines.strip().splitlines():
        first, *others = line.split()
        found |= dict.fromkeys(others, first)
    return found


# Words of a line are taken for the same word.
SYNONYMS: Mapping[str, str] = _canonical("""
    use employ utilize utilise apply utilization usage uses used using employed employing utilized utilizing utilised
    make create build construct produce generate makes making made built builds creating created creates constructed
    movie film movies films
    start begin begins starts starting beginning commence started began
    picture image picture photo photograph images pictures photos
    quick fast speedy swift rapid quickly rapidly swiftly
    big large
largest biggest
larger bigger
    get obtain receive acquire retrieve fetch obtains retrieves getting obtained retrieved
    fix repair mend
harmful bad
frequently often
    remove delete erase removed deleted removing deleting deletes removes
    gift present gifts presents
    father dad daddy
    mother mum mom mommy
    child kid children kids
    colour color colours colors
    centre center
    meaning mean means definition define stands
    goal aim objective purpose goals aims
    information info knowledge details
    instructions instruction guidance
    select choose pick selects chooses picks selected chosen
    parameter argument parameters arguments
    function method procedure functions methods procedures
    buy purchase
    test check verify
    need require requires requirement necessary required needed
    author writer wrote write writes written
    inventor invented invent invents
    discoverer discovered discover discovers
    painter painted paint
    us usa america american
    uk britain british
    phase stage phases stages
    film movie
    autumn fall
    begin start
    tyre tire
    faucet tap
    wrong incorrect
    people persons folks
    located situated
    provide supply furnish give offers offer provides furnishes supplies provided
    several multiple numerous various
    show display shows displays
    allow enable permit allows enables permits lets
    organize arrange organise organized organised arranged
    divide split divided separated
    specify indicate state specifies specified indicated
    contain hold include contains holds includes
    called named name
    error mistake bug
    story tale
    doctor physician
    car automobile
plane airplane aeroplane planes airplanes
    job occupation
    delivery shipping
    compose write
    suggest recommend suggestion recommendation
    summary summarise summarize summarization summarized
    difference differ differs differences different
    better preferable
    speed speeds
    answer reply
    final last
establish found established founded
consider regard know considered regarded known
smart intelligent clever
happen occur happened occurred happens occurs
beautiful pretty
rich wealthy
cheap inexpensive
hard difficult tough
easy simple
buddy friend
ill sick
trip journey
house home
end finish ended finished ends finishes
    superbowl super-bowl
    crea crear hacer haz escribe
    peliculas pelis
    pelicula peli
    archivo fichero
    archivos ficheros
    autor escribio
    inventor invento
    pintor pinto
    coche carro auto
    ordenador computadora computador
    movil celular
    tarda demora
""")
