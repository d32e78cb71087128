"""Words that speak for a task, in the languages of the shipped classifier. A word may stand in several lists.

A list says more than training alone could: a word that no training text holds still counts.
"""

from __future__ import annotations

from collections.abc import Mapping

TASKS = ("coding", "math", "creative", "reasoning", "text_ops", "qa", "chat")

_WORDS: Mapping[str, str] = {
    "coding": """
    code codes coding program programming programmer script scripts function functions method class classes variable
    python javascript typescript java kotlin swift rust golang ruby php perl bash shell powershell sql mysql postgres
    postgresql sqlite mongodb redis html css scss tailwind react vue angular svelte node nodejs npm yarn django flask
    fastapi rails laravel spring dotnet docker dockerfile kubernetes k8s helm terraform ansible aws lambda git github
    gitlab commit merge rebase branch api rest graphql json yaml xml csv regex regexp bug bugs debug debugging
    stacktrace traceback exception nullpointerexception segfault compile compiler linker refactor unittest pytest jest
    mock async await promise thread mutex deadlock recursion algorithm array arrays dict dictionary hashmap tuple
    struct pointer loop iterator generator decorator closure endpoint backend frontend server localhost nginx linux
    ubuntu cron pandas numpy pytorch tensorflow dataframe query queries database schema migration orm selenium webpack
    vite makefile cmake gradle maven pip venv kubectl vim vscode ide lint linter typeerror valueerror keyerror
    undefined null boolean integer string strings parse parser serialize deserialize cli stdout stdin syntax repo
    middleware websocket jwt oauth codigo código función funcion funciones programa programar clase consulta bucle
    depurar error compilar función, excepción base datos funcao função funções variável programação laço erro classe
    fonction fonctions programme boucle requête erreur déboguer chaîne tableau funktion funktionen programmieren
    programm schleife abfrage fehler fehlermeldung kompilieren klasse datenbank skript
    """,
    "math": """
    calculate compute solve equation equations integral integrate derivative differentiate prove proof theorem matrix
    matrices determinant eigenvalue vector probability probabilities expected variance deviation mean median sum
    product quotient remainder divisor divisible prime factor factorial permutation permutations combination
    combinations polynomial quadratic linear root roots square cube triangle circle radius diameter perimeter area
    volume angle angles degrees hypotenuse pythagorean sine cosine tangent logarithm log ln exponent fraction
    fractions decimal percent percentage ratio proportion average total per cost each altogether interest compound
    simplify factorize expand evaluate inequality modulo mod integer integers number numbers graph slope intercept
    parabola limit converge series sequence arithmetic geometric algebra calculus geometry trigonometry statistics
    twice half third dozen mph km calcula calcular cuánto cuanto resuelve resolver ecuación ecuacion derivada
    demuestra probabilidad raíz raiz suma triángulo triangulo círculo área porcentaje fracción promedio media mediana
    matriz perímetro volumen interés cuántos simplifica factoriza logaritmo calcule resolva equação equacao
    probabilidade soma triângulo porcentagem fração juros quanto quantos média calculer résous résoudre équation
    intégrale dérivée démontre démontrer probabilité somme cercle pourcentage moyenne médiane matrice racine aire
    périmètre combien intérêts berechne berechnen löse gleichung ableitung beweise wahrscheinlichkeit summe dreieck
    kreis prozent bruch durchschnitt mittelwert wurzel fläche umfang wieviel zinsen
    """,
    "creative": """
    story stories tale poem poems poetry haiku sonnet limerick verse rhyme rhymes rhyming lyrics song songs rap ballad
    novel novella chapter plot character characters protagonist villain dialogue screenplay script monologue scene
    fiction fantasy fairy imagine pretend roleplay role-play persona narrate write compose draft craft invent
    brainstorm slogan slogans tagline taglines jingle caption captions headline headlines blog post essay speech toast
    letter email e-mail cover newsletter tweet instagram linkedin advert advertisement ad copy pitch product
    description bio joke jokes pun puns riddle names name funny humorous witty whimsical dramatic romantic suspenseful
    opening sequel ending dragon escribe escríbeme redacta inventa cuento historia poema poesía verso rima canción
    letra relato novela personaje guion discurso eslogan carta correo chiste anuncio imagina actúa nombres pregón
    felicitación brindis escreva invente conto história poesia canção música personagem roteiro piada anúncio legenda
    convite écris rédige conte histoire poème poésie rime chanson paroles nouvelle roman personnage scénario discours
    lettre blague annonce courriel mail faire-part schreib schreibe erfinde dichte geschichte märchen gedicht reim
    lied liedtext figur drehbuch rede brief witz anzeige werbetext werbespruch stell verfasse entwirf
    """,
    "reasoning": """
    puzzle riddle logic logical logically deduce deduction infer inference conclude conclusion premise premises
    argument assumption assumptions statement statements true false follows valid invalid fallacy flaw weaken weakens
    strengthen strengthens support supports contradicts consistent must could cannot either neither who which order
    ordering taller shorter older younger left right seated sits seat between adjacent next liar liars truth knight
    knave hats suspects clue clues scenario hypothetical suppose assume given decide decision choose choice options
    option tradeoff trade-offs pros cons weigh strategy strategic plan prioritize prioritise schedule constraints
    constraint cause causes caused effect consequences implications why should analyze analyse evaluate critique
    compare reason reasoning step-by-step think through likely risk risks dilemma if then unless acertijo lógica
    conclusión premisa argumento supongamos si entonces decidir decisión opciones ventajas desventajas estrategia
    analiza razona conviene debería consecuencias planifica enigma deduza conclusão premissa suponha decisão opções
    vantagens desvantagens estratégia analise raciocine devo consequências énigme logique déduis prémisse supposons
    décider décision avantages inconvénients stratégie raisonne devrais conséquences rätsel logik schlussfolgerung
    prämisse angenommen entscheiden entscheidung vorteile nachteile strategie analysiere folgt sollte folgen abwägen
    """,
    "text_ops": """
    summarize summarise summary summaries tldr tl;dr translate translation translated rewrite rephrase reword
    paraphrase shorten condense expand edit proofread correct grammar grammatical spelling punctuation tone formal
    informal professional polite extract extracting identify classify classification categorize categorise label tag
    sentiment positive negative neutral keywords entities entity bullet bullets outline convert transform format
    reformat table list passage paragraph paragraphs text sentence sentences article following below above transcript
    notes email review document highlight simplify clean fix improve concise headline title subject replace remove
    sort alphabetically resume resumen resumir traduce traducir traducción reescribe reformula parafrasea corrige
    ortografía gramática extrae clasifica sentimiento párrafo texto siguiente frase frases acorta palabras clave
    pásalo puntos resuma resumo traduza tradução reescreva reformule parafraseie corrija ortografia extraia
    classifique sentimento parágrafo seguinte encurte résume résumé résumer traduis traduction réécris orthographe
    grammaire extrais classe paragraphe texte suivant phrase phrases raccourcis fasse zusammen zusammenfassung
    übersetze übersetzung umschreiben formuliere umformulieren korrigiere rechtschreibung grammatik extrahiere
    klassifiziere stimmung absatz folgenden satz sätze kürze
    """,
    "qa": """
    what when where who whom whose which how why what's who's difference between history invented discovered founded
    capital country countries city population president king queen war century year world largest smallest tallest
    longest fastest oldest first last born died meaning define definition mean means called known famous film movie
    actor actress band album singer book author planet earth moon sun star ocean river mountain animal animals species
    plant plants disease symptoms treatment vitamin diet food foods cook cooking recipe bake boil temperature weather
    climate law legal tax visa travel hotel airport doctor medicine exercise body blood heart brain chemical element
    atom energy electricity gravity light sound recommend recommendations best tips benefits side effects work works
    does explain qué cuál cuándo dónde quién cómo cuántos país historia inventó descubrió significa significado guerra
    siglo película receta síntomas diferencia funciona presidente planeta río montaña recomienda beneficios qual
    quando onde quem como quantos história inventou descobriu século filme receita sintomas diferença rio montanha
    recomende benefícios quel quelle quand où qui comment combien capitale pays histoire inventé découvert signifie
    guerre siècle recette symptômes différence fonctionne président planète fleuve montagne recommande bienfaits was
    wann wo wer wie wieviele hauptstadt land geschichte erfunden erfand entdeckt bedeutet bedeutung krieg jahrhundert
    rezept symptome unterschied funktioniert präsident fluss berg empfiehl
    """,
    "chat": """
    hi hello hey hiya yo sup howdy greetings morning afternoon evening night goodnight bye goodbye later cya thanks
    thank thx ty welcome cheers lol haha hahaha lmao omg wow nice cool great awesome okay ok yes no yeah nope sorry
    please bored tired sad happy lonely anxious excited nervous stressed feel feeling feelings mood today day weekend
    friend friends love hate miss favorite favourite like opinion think you your yourself are robot bot human ai
    chatbot name real alive talk chat listen vent company dream dreams weather plans doing going up there hola buenas
    buenos días tardes noches adiós chao gracias jaja jajaja genial vale sí triste feliz aburrido aburrida cansado
    cansada solo sola siento amigo amiga qué tal cómo estás eres humano hablar charlar ánimo oi olá bom dia boa tarde
    noite tchau obrigado obrigada kkk kkkk legal entediado sozinho sinto tudo bem você robô conversar salut bonjour
    bonsoir coucou ciao merci mdr génial heureux ennuie fatigué fatiguée seul sens ami ça va toi humain parler
    discuter hallo moin servus guten morgen abend nacht tschüss danke super toll traurig glücklich langweilig müde
    allein fühle freund wie geht dir dein roboter mensch reden plaudern
    """,
}


def words_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What a prompt is opened with, in all languages.
OPENERS: Mapping[str, frozenset[str]] = {
    "question": words_of("""
        what when where who whom whose which how why is are was were do does did can could should would will what's
        who's where's how's qué que cuál cual cuáles cuándo cuando dónde donde quién quien cómo como cuánto cuánta
        cuántos cuántas por qual quais quanto quantos quem onde porque quel quelle quels quelles quand où qui comment
        pourquoi combien est-ce quoi was wann wo wer wie wieso warum welche welcher welches wieviel
    """),
    "make": words_of("""
        write create compose draft make generate craft invent design brainstorm come develop build imagine pretend act
        escribe escríbeme crea redacta inventa haz hazme imagina escreva crie redija invente faça imagine écris rédige
        crée invente imagine fais schreib schreibe erstelle erfinde verfasse entwirf mach
    """),
    "change": words_of("""
        summarize summarise translate rewrite rephrase paraphrase shorten proofread correct edit extract classify
        convert simplify condense identify list resume traduce reescribe reformula corrige extrae clasifica acorta
        resuma traduza reescreva corrija extraia classifique encurte résume traduis réécris reformule corrige extrais
        raccourcis fasse übersetze formuliere korrigiere extrahiere klassifiziere kürze
    """),
    "work out": words_of("""
        calculate compute solve find evaluate determine prove simplify integrate differentiate calcula resuelve
        halla demuestra simplifica calcule resolva encontre prove calcule résous trouve démontre berechne löse
        bestimme beweise
    """),
    "explain": words_of("""
        explain describe tell define compare explica explícame describe dime cuéntame explique descreva diga conte
        décris dis raconte erkläre erklär beschreibe erzähl
    """),
    "greet": words_of("""
        hi hello hey thanks thank good yo hola buenas buenos gracias oi olá bom boa obrigado salut bonjour bonsoir
        coucou merci hallo moin guten danke servus
    """),
    "if": words_of("if suppose assume given there let si supongamos se suponha dado supposons wenn angenommen"),
}


def _by_word() -> dict[str, tuple[int, ...]]:
    tasks: dict[str, list[int]] = {}
    for position, task in enumerate(TASKS):
        for word in dict.fromkeys(_WORDS[task].split()):
            tasks.setdefault(word, []).append(position)
    return {word: tuple(found) for word, found in tasks.items()}


TASKS_OF_WORD: Mapping[str, tuple[int, ...]] = _by_word()
