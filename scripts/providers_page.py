"""Makes docs/providers.md: what each type of provider does through Cortex, and the test that shows it.

    python -m scripts.providers_page

The table is the tests' own registry, tests/support/capabilities.py; a test compares the page with what this would make.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from cortex.config.provider_types import PROVIDER_TYPES
from tests.support.capabilities import CAPABILITIES, NONE, PROVIDERS, Proof, proofs

PAGE = Path(__file__).parents[1] / "docs" / "providers.md"
_HEAD = """\
<!-- Made by `python -m scripts.providers_page`, from the tests. Do not edit. -->
# Providers

What each type of provider does through Cortex. A ✓ is a test that runs with `make test`: OpenAI's own client asks
through Cortex on real sockets, whole and streamed, and a scripted upstream answers in the provider's own words. A – is
what the provider has none of, with the reason below. No test calls a provider's live service, and whether one model can
do what its provider can is the model's affair: `tools`, `vision` and `json_schema` in `cortex.yaml` say so.

"""


def page() -> str:
    found = proofs()
    return _HEAD + "\n".join([*_matrix(found), *_missing(), *_types(), *_rows(), *_tests(found)])


def _matrix(found: Iterable[Proof]) -> Iterator[str]:
    proven = {(proof.provider, proof.capability) for proof in found}
    yield from _table(
        ("", *PROVIDERS),
        (
            (capability, *("✓" if (provider, capability) in proven else "–" for provider in PROVIDERS))
            for capability in CAPABILITIES
        ),
    )


def _missing() -> Iterator[str]:
    for (provider, capability), reason in NONE.items():
        yield f"- **{provider}, {capability}:** {reason}."
    yield ""


def _types() -> Iterator[str]:
    yield "## Types\n"
    rows = []
    for name in PROVIDERS:
        row = PROVIDER_TYPES[name]
        address = f"`{row.defaults['base_url']}`" if "base_url" in row.defaults else "yours"
        model = f"`{row.defaults['models'][0]}`" if "models" in row.defaults else "yours"
        rows.append((name, address, model, "yes" if row.needs_key else "no"))
    yield from _table(("type", "address", "default model", "needs a key"), rows)


def _rows() -> Iterator[str]:
    yield "## What the rows mean\n"
    for capability, meaning in CAPABILITIES.items():
        yield f"- **{capability}:** {meaning}."
    yield ""


def _tests(found: Iterable[Proof]) -> Iterator[str]:
    yield "## The tests"
    by_provider: dict[str, dict[str, list[Proof]]] = defaultdict(lambda: defaultdict(list))
    for proof in found:
        by_provider[proof.provider][proof.capability].append(proof)
    for provider in PROVIDERS:
        yield f"\n### {provider}\n"
        for capability in CAPABILITIES:
            if tests := by_provider[provider][capability]:
                yield f"- {capability}: " + ", ".join(_link(proof) for proof in tests)
    yield ""


def _link(proof: Proof) -> str:
    return f"[`{proof.test.partition('::')[2]}`](../{proof.file})"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    cells = list(head)
    yield f"| {' | '.join(cells)} |"
    yield f"|{'|'.join(' --- ' for _ in cells)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
