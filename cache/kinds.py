"""Words that stand for one of a kind each: what is asked of one is not asked of another.

Folded as in `cache.words`. A paragraph is a kind; words joined by "=" are the same thing in other words or languages.
"""

from __future__ import annotations

from collections.abc import Mapping

from cache.words import words_of

_KINDS = """
    january=enero=janeiro=janvier=januar february=febrero=fevereiro=fevrier=februar march=marzo=marco=mars=marz
    april=abril=avril may=mayo=maio=mai june=junio=junho=juin=juni july=julio=julho=juillet=juli
    august=agosto=aout september=septiembre=setembro=septembre october=octubre=outubro=octobre=oktober
    november=noviembre=novembro=novembre december=diciembre=dezembro=decembre=dezember

    monday=mondays=lunes=segunda-feira=segundas=lundi=montag=montags
    tuesday=tuesdays=martes=terca=mardi=dienstag=dienstags
    wednesday=wednesdays=miercoles=mercredi=mittwoch=mittwochs
    thursday=thursdays=jueves=jeudi=donnerstag=donnerstags friday=fridays=viernes=vendredi=freitag=freitags
    saturday=saturdays=sabado=sabados=samedi=samstag=samstags
    sunday=sundays=domingo=domingos=dimanche=sonntag=sonntags weekend=weekends=finde

    spring=primavera=printemps=fruhling summer=verano=verao=ete=sommer autumn=fall=otono=outono=automne=herbst
    winter=invierno=inverno=hiver

    morning=mornings=manha=matin=morgen afternoon=tarde=nachmittag evening=evenings=soir=abend
    night=nights=noche=noches=noite=nuit=nacht noon=midday=mediodia=mittag midnight=medianoche

    breakfast=desayuno=desayunar lunch=almuerzo=almorzar dinner=supper=cena=cenar brunch

    yesterday=ayer=ontem=hier=gestern today=tonight=hoy=hoje=heute tomorrow=manana=amanha=demain

    second=seconds=segundos=sec=ms=millisecond=milliseconds minute=minutes=minuto=minutos=minuten
    hour=hours=hora=horas=heure=heures=stunde=stunden day=days=dia=dias=jour=jours=tag=tage
    week=weeks=semana=semanas=semaine=woche=wochen month=months=mes=meses=mois=monat=monate
    year=years=ano=anos=annee=jahr=jahre decade=decada century=siglo=seculo=siecle=jahrhundert

    hourly daily=diario=diaria weekly=semanal fortnightly=biweekly monthly=mensual=mensal quarterly=trimestral
    yearly=annual=annually=anual

    mm=millimetre=millimeter cm=centimetre=centimeter=centimetres=centimeters inch=inches=pulgadas
    foot=feet=ft=pies yard=yards metre=meter=metres=meters=metros
    km=kilometre=kilometer=kilometres=kilometers=kilometros mile=miles=millas

    mg=milligram=milligrams g=gram=grams=gramos kg=kilo=kilos=kilogram=kilograms oz=ounce=ounces=onzas
    lb=lbs=pound=pounds=libras ton=tons=tonne=tonnes

    ml=millilitre=milliliter l=litre=liter=litres=liters=litros pint=pints quart gallon=gallons cup=cups=tazas
    tablespoon=tbsp teaspoon=tsp

    celsius=centigrade fahrenheit kelvin

    kb=kilobyte=kilobytes mb=megabyte=megabytes gb=gigabyte=gigabytes tb=terabyte=terabytes bit=bits byte=bytes

    euro=euros dollar=dollars=dolares pound=pounds=libras yen=yenes peso=pesos franc=francs rupee=rupees yuan
    real=reais bitcoin ethereum

    english=ingles=anglais=englisch spanish=espanol=espagnol=spanisch french=frances=francais=franzosisch
    german=aleman=allemand=deutsch portuguese=portugues=portugais italian=italiano=italien=italienisch
    dutch=holandes latin=latim chinese=chino=chinois=mandarin japanese=japones=japonais=japanisch
    korean=coreano=coreen=koreanisch russian=ruso=russe=russisch arabic=arabe hindi turkish=turco greek=griego
    polish=polaco swedish catalan=catala hebrew

    python java javascript=js typescript=ts rust golang=go ruby php perl swift kotlin scala haskell csharp=c#
    c++=cpp r matlab julia bash=shell powershell sql lua elixir

    json yaml=yml xml html csv tsv markdown=md latex pdf table=tabla=tabela=tableau=tabelle

    mysql postgres=postgresql sqlite mongodb=mongo redis oracle mariadb

    windows linux macos=mac ubuntu debian android ios=iphone

    essay=ensayo poem=poema=poeme=gedicht haiku limerick sonnet story=cuento=historia=conte=geschichte
    email=e-mail=correo letter=carta=lettre=brief tweet blog=post article=articulo speech=discurso song=cancion
    script=guion joke=chiste=piada=blague=witz summary=resumen riddle recipe=receta

    sentence=sentences=frase=frases=phrase=satz line=lines=linea=lineas paragraph=paragraphs=parrafo=absatz
    bullet=bullets=vinetas word=words=palabras page=pages=pagina

    north=northern=norte=nord south=southern=sur=sul=sud east=eastern=este=ost west=western=oeste

    red=rojo=rouge=rot blue=azul=bleu=blau green=verde=vert=grun yellow=amarillo black=negro=noir=schwarz
    white=blanco=blanc=weiss brown=marron grey=gray=gris pink=rosa purple=morado orange=naranja

    mercury venus earth=tierra mars=marte jupiter saturn=saturno uranus=urano neptune=neptuno pluto moon=luna
    sun=sol

    gold=oro=or silver=plata copper=cobre iron=hierro lead=plomo zinc tin aluminium=aluminum hydrogen=hidrogeno
    oxygen=oxigeno nitrogen=nitrogeno carbon=carbono helium=helio sodium=sodio potassium=potasio calcium=calcio

    father=dad=daddy=padre=papa=pai=pere=vater mother=mum=mom=madre=mama=mae=mere=mutter brother=hermano
    son=hijo daughter=hija sister=hermana husband=marido=esposo wife=esposa=mujer uncle=tio aunt=tia
    grandfather=abuelo grandmother=abuela cousin=primo nephew niece boyfriend=novio girlfriend=novia boss=jefe

    he=him=his she=her=hers

    dog=dogs=puppy=perro=perros=cao=chien=hund cat=cats=kitten=gato=gatos=chat=katze horse=horses=caballo
    cow=cows=vaca pig=pigs=cerdo bird=birds=ave=aves fish=pez rabbit=rabbits hamster sheep goat chicken=pollo

    eye=eyes=ojo ear=ears=oreja nose=nariz mouth=boca hand=hands=mano foot=feet=pie knee=rodilla shoulder=hombro
    elbow=codo wrist=muneca ankle=tobillo hip=cadera back=espalda neck=cuello heart=corazon liver=higado
    kidney=rinon lung=lungs=pulmon brain=cerebro stomach=estomago skin=piel

    credit=credito debit=debito prepaid

    checking=current=corriente savings=saving=ahorro

    football soccer=futbol basketball=baloncesto baseball tennis=tenis golf hockey rugby cricket chess=ajedrez
    poker

    physics=fisica chemistry=quimica biology=biologia history=historia geography=geografia
    maths=math=mathematics=matematicas algebra geometry calculus statistics=estadistica

    circle=circulo square=cuadrado triangle=triangulo rectangle sphere cube

    noun=sustantivo verb=verbo adjective=adjetivo adverb=adverbio pronoun=pronombre

    always=siempre=toujours=immer usually=often=frequently sometimes=occasionally rarely=seldom

    all=every=each=todo=todos=toda=todas=cada=tous=toutes=alle=jeder some=algun=algunos=algunas=certains=einige
    any=either=cualquier both=ambos=ambas=beide only=solo=solamente=seulement=nur most=mayoria few=pocos
    several=various=varios=varias one=uno=una

"""


def _kinds() -> dict[str, dict[int, str]]:
    """Word → kind → which of the kind. A word may be of several kinds."""
    found: dict[str, dict[int, str]] = {}
    for kind, line in enumerate(_KINDS.strip().split("\n\n")):
        for same in line.split():
            first, *_ = names = same.split("=")
            for name in names:
                found.setdefault(name, {})[kind] = first
    return found


KINDS: Mapping[str, Mapping[int, str]] = _kinds()

# What a question asks for; two that ask for different things are two questions.
_ASKED = """
    who whom whose quien quienes quem qui wer wen wem

    which

    can could may might puedo puede podemos peux posso darf

    must should ought shall need debo debe debemos dois muss soll

    will would

    do does is are has have am

    did was were had

    when cuando quando quand wann

    where donde adonde onde wo wohin

    why porque pourquoi warum wieso weshalb

    how como comment wie

    how-many cuantos cuantas quantos quantas

    how-much cuanto cuanta quanto quanta combien wieviel
"""
_OF_HOW = "many=viele much=viel long=lange often=oft old=alt far=weit tall big=large fast deep high wide hot heavy"
# Words that ask only where a question opens with them.
OPENERS = words_of("""
    can could may might must should ought shall need will would do does is are has have am did was were had
    puedo puede podemos peux posso darf debo debe debemos dois muss soll
""")
COUNTS = words_of("number amount numero")
_WHAT = "what que cual cuales qual quais quel quelle quels quelles was welche welcher welches welchen"
# What "what" asks for with one of these after it, where another question has one word for it.
_WHAT_IS = """
    who author writer inventor person president singer actor painter ceo autor inventor pintor auteur man woman

    when year date day time month decade century ano fecha dia annee jahr

    where city country place town location state ciudad pais lugar cidade ville pays stadt land

    why reason cause causes makes razon causa causas motivo raison grund

    how-many number population numero poblacion populacao nombre

    how-much price cost amount precio preco prix preis

    how-long length duration duracion duracao duree dauer

    how-far distance distancia entfernung

    how-old age edad idade alter

    how-fast speed velocity velocidad

    how-tall height altura

    how way best formula steps method manera forma mejor
"""


def _paragraphs(text: str) -> dict[str, str]:
    """Every word of a paragraph to the paragraph's first."""
    parts = [part.split() for part in text.strip().split("\n\n")]
    return {word: words[0] for words in parts for word in words}


ASKED: Mapping[str, str] = _paragraphs(_ASKED)
OF_HOW: Mapping[str, str] = {word: same.split("=")[0] for same in _OF_HOW.split() for word in same.split("=")}
WHAT: frozenset[str] = words_of(_WHAT)
WHAT_IS: Mapping[str, str] = {word: asked for word, asked in _paragraphs(_WHAT_IS).items() if word not in ASKED}
