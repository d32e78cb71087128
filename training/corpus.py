"""The labelled prompts: public sources by task, and the hand-written ones that stand beside this file.

A source's `trainable` says whether its licence lets the shipped classifier learn from it; all of them measure it.
`family` groups what shares an origin: leaving one out must leave out its relatives.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MOST_OF_A_CELL = 400  # prompts of one source and task
_LEAST_CHARACTERS = 2


@dataclass(frozen=True, slots=True)
class Prompt:
    source: str
    family: str
    task: str
    text: str
    trainable: bool
    language: str = "en"


def hand_written() -> list[Prompt]:
    """The project's own examples."""
    found = []
    for path in sorted((HERE / "examples").glob("*.jsonl")):
        language = path.stem.partition("_")[0]
        found += [
            Prompt(f"hand/{path.stem}", f"hand/{language}", row["task"], row["text"], True, language)
            for row in _lines(path)
        ]
    return found


def public(folder: Path, seed: int = 0) -> list[Prompt]:
    """The prompts of the public sources under `folder`, at most MOST_OF_A_CELL of each source and task."""
    rng = random.Random(seed)
    found: list[Prompt] = []
    for name, family, trainable, read in _SOURCES:
        cells: dict[str, list[str]] = {}
        for task, text in read(folder):
            if len(text.strip()) >= _LEAST_CHARACTERS:
                cells.setdefault(task, []).append(text.strip())
        for task, texts in sorted(cells.items()):
            texts = sorted(set(texts))
            chosen = rng.sample(texts, min(len(texts), MOST_OF_A_CELL))
            found += [Prompt(name, family, task, text, trainable) for text in chosen]
    return found


_Labelled = Iterator[tuple[str, str]]


def _lines(path: Path) -> Iterator[dict]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _labels(name: str) -> dict[str, str]:
    return json.loads((HERE / "labels" / f"{name}.json").read_text(encoding="utf-8"))


def _all(task: str, rows: Callable[[Path], Iterable[str]]) -> Callable[[Path], _Labelled]:
    return lambda folder: ((task, text) for text in rows(folder))


def _human_eval(folder: Path) -> Iterator[str]:
    return (row["prompt"] for row in _lines(folder / "human-eval/HumanEval.jsonl.gz"))


def _mbpp(folder: Path) -> Iterator[str]:
    return (row["text"] for row in _lines(folder / "mbpp/mbpp.jsonl"))


def _gsm8k(folder: Path) -> Iterator[str]:
    return (row["question"] for row in _lines(folder / "gsm8k/test.jsonl"))


def _aqua(folder: Path) -> Iterator[str]:
    for part in ("dev", "test"):
        for row in _lines(folder / f"aqua/{part}.json"):
            yield row["question"] + "\n" + "\n".join(row["options"])


def _agieval(name: str) -> Callable[[Path], Iterator[str]]:
    def read(folder: Path) -> Iterator[str]:
        for row in _lines(folder / f"agieval/{name}.jsonl"):
            yield "\n".join(filter(None, [row["passage"], row["question"], *(row["options"] or ())]))

    return read


def _llmrouter(*tasks: str) -> Callable[[Path], Iterator[str]]:
    def read(folder: Path) -> Iterator[str]:
        for part in ("train", "test"):
            for row in _lines(folder / f"llmrouter/default_query_{part}.jsonl"):
                if row["task_name"] in tasks:
                    yield re.sub(r"\n(?:After careful thought|Put your final answer).*", "", row["query"], flags=re.S)

    return read


def _bbh(folder: Path) -> _Labelled:
    by_task = {
        "reasoning": "causal_judgement date_understanding formal_fallacies logical_deduction_three_objects "
        "logical_deduction_five_objects logical_deduction_seven_objects navigate temporal_sequences web_of_lies "
        "tracking_shuffled_objects_three_objects tracking_shuffled_objects_five_objects penguins_in_a_table "
        "reasoning_about_colored_objects",
        "math": "multistep_arithmetic_two",
        "text_ops": "word_sorting salient_translation_error_detection",
        "qa": "sports_understanding",
    }
    for task, names in by_task.items():
        for name in names.split():
            rows = json.loads((folder / f"bbh/{name}.json").read_text(encoding="utf-8"))["examples"]
            yield from ((task, row["input"]) for row in rows[:40])


_MMLU_MATH = """
    abstract_algebra college_mathematics elementary_mathematics high_school_mathematics high_school_statistics
"""
_MMLU_LEFT_OUT = """
    college_computer_science high_school_computer_science computer_security machine_learning formal_logic
    logical_fallacies econometrics moral_scenarios conceptual_physics college_physics high_school_physics
    professional_accounting professional_law professional_psychology
"""


def _mmlu(folder: Path) -> _Labelled:
    for path in sorted((folder / "routellm/mmlu").glob("*.csv")):
        subject = path.stem.removeprefix("mmlu_")
        if subject in _MMLU_LEFT_OUT.split():
            continue
        task = "math" if subject in _MMLU_MATH.split() else "qa"
        with path.open(encoding="utf-8", newline="") as file:
            for row, _ in zip(csv.DictReader(file), range(25), strict=False):
                yield task, row["prompt"].removesuffix("Answer:")


def _vllm(folder: Path) -> _Labelled:
    left_out = {"computer science", "other", "economics", "business", "engineering", "physics", "law", "philosophy"}
    for row in json.loads((folder / "vllm_sr/domain_classify_cases.json").read_text(encoding="utf-8")):
        if row["category"] not in left_out:
            yield ("math" if row["category"] == "math" else "qa"), row["question"]


def _nq(folder: Path) -> Iterator[str]:
    return (row["question"] for row in _lines(folder / "nq_open/NQ-open.dev.jsonl"))


def _chatterbot(folder: Path) -> Iterator[str]:
    import yaml

    for name in ("conversations", "emotion", "greetings", "gossip", "botprofile"):
        for dialogue in yaml.safe_load((folder / f"chatterbot/{name}.yml").read_text(encoding="utf-8"))[
            "conversations"
        ]:
            yield str(dialogue[0])


_SMALL_TALK = """
    who_made_you who_do_you_work_for do_you_have_pets what_are_your_hobbies what_is_your_name where_are_you_from
    goodbye thank_you greeting are_you_a_bot how_old_are_you what_can_i_ask_you
"""


def _clinc(folder: Path) -> _Labelled:
    intents = json.loads((folder / "clinc150/data_full.json").read_text(encoding="utf-8"))
    for text, intent in intents["train"]:
        if intent in _SMALL_TALK.split():
            yield "chat", text
        elif intent == "tell_joke":
            yield "creative", text


def _self_instruct(folder: Path) -> _Labelled:
    labels = _labels("self_instruct")
    for name in ("seed_tasks", "user_oriented_instructions"):
        for row in _lines(folder / f"self-instruct/{name}.jsonl"):
            if (task := labels.get(row["id"])) is not None:
                yield task, (row["instruction"] + "\n" + row["instances"][0]["input"]).strip()


def _arena(folder: Path) -> _Labelled:
    labels = _labels("arena_hard")
    for row in _lines(folder / "arena-hard/v01_question.jsonl"):
        if (task := labels.get(row["uid"])) is not None:
            yield task, row["prompt"]


def _mt_bench(folder: Path) -> _Labelled:
    labels = _labels("mt_bench")
    for row in _lines(folder / "mt_bench/question.jsonl"):
        if (task := labels.get(str(row["question_id"]))) is not None:
            yield task, row["turns"][0]


# name, family, trainable, reader. Not trainable: the licence asks for the same licence (CC-BY-SA), is not stated, or a
# canary asks to stay out of training.
_SOURCES: tuple[tuple[str, str, bool, Callable[[Path], _Labelled]], ...] = (
    ("human_eval", "human_eval", True, _all("coding", _human_eval)),
    ("mbpp", "mbpp", False, _all("coding", _mbpp)),
    ("gsm8k", "gsm8k", True, _all("math", _gsm8k)),
    ("gsm8k_train", "gsm8k", True, _all("math", _llmrouter("gsm8k", "agentverse-mgsm"))),
    ("math", "math", True, _all("math", _llmrouter("math"))),
    ("agieval_math", "math", True, _all("math", _agieval("math"))),
    ("sat_math", "sat_math", True, _all("math", _agieval("sat-math"))),
    ("aqua", "aqua", True, _all("math", _aqua)),
    ("aqua_rat", "aqua", True, _all("math", _agieval("aqua-rat"))),
    ("logiqa", "logiqa", True, _all("reasoning", _agieval("logiqa-en"))),
    ("lsat_ar", "lsat", True, _all("reasoning", _agieval("lsat-ar"))),
    ("lsat_lr", "lsat", True, _all("reasoning", _agieval("lsat-lr"))),
    ("logicgrid", "logicgrid", True, _all("reasoning", _llmrouter("agentverse-logicgrid"))),
    ("bbh", "bbh", False, _bbh),
    ("nq_open", "natural_questions", False, _all("qa", _nq)),
    ("natural_qa", "natural_questions", False, _all("qa", _llmrouter("natural_qa"))),
    ("trivia_qa", "trivia_qa", True, _all("qa", _llmrouter("trivia_qa"))),
    ("commonsense_qa", "commonsense_qa", True, _all("qa", _llmrouter("commonsense_qa"))),
    ("openbook_qa", "openbook_qa", True, _all("qa", _llmrouter("openbook_qa"))),
    ("arc", "arc", False, _all("qa", _llmrouter("arc_challenge"))),
    ("mmlu", "mmlu", True, _mmlu),
    ("vllm", "vllm", True, _vllm),
    ("chatterbot", "chatterbot", True, _all("chat", _chatterbot)),
    ("clinc_small_talk", "clinc", True, _clinc),
    ("self_instruct", "self_instruct", True, _self_instruct),
    ("arena_hard", "arena_hard", True, _arena),
    ("mt_bench", "mt_bench", True, _mt_bench),
)
