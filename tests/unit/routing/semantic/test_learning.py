"""Logistic regression: it learns what the rows tell, beyond what is known beforehand, and always the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routing.semantic.learning import Matrix, fit, softmax

CLASSES = 3


def clouds(count: int = 30, spread: float = 0.2, seed: int = 1) -> tuple[Matrix, NDArray[np.intp]]:
    """Rows of about unit length around one corner for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.intp) % CLASSES
    rows = np.eye(CLASSES, 5)[labels] + rng.normal(scale=spread, size=(count, 5))
    return rows.astype(np.float32), labels


def even(count: int) -> Matrix:
    return np.full(count, 1 / count, np.float32)


def none(count: int) -> Matrix:
    return np.zeros((count, CLASSES), np.float32)


def loss(
    found: Matrix, rows: Matrix, labels: NDArray[np.intp], weights: Matrix, offsets: Matrix, penalty: float
) -> float:
    shares = softmax(rows @ found + offsets)[np.arange(len(labels)), labels]
    return float(-(weights * np.log(shares)).sum() + penalty / 2 * (found**2).sum())


def test_what_can_be_told_apart_is_learnt() -> None:
    rows, labels = clouds()
    found = fit(rows, labels, even(30), none(30), 1e-4)
    assert found.shape == (5, CLASSES)
    assert found.dtype == np.float32
    fresh, truth = clouds(300, seed=2)
    assert (softmax(fresh @ found).argmax(axis=1) == truth).mean() > 0.97
    assert softmax(rows @ found)[np.arange(30), labels].min() > 0.9


def test_it_is_deterministic() -> None:
    rows, labels = clouds()
    assert np.array_equal(fit(rows, labels, even(30), none(30), 1e-3), fit(rows, labels, even(30), none(30), 1e-3))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([1e-3, 1e-2, 0.1]), st.floats(0.1, 2.0))
def test_no_step_nearby_is_better(seed: int, penalty: float, spread: float) -> None:
    """The problem is convex: what no neighbour beats is the best there is."""
    rows, labels = clouds(24, spread, seed)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 1, 24).astype(np.float32)
    weights /= weights.sum()
    offsets = rng.normal(size=(24, CLASSES)).astype(np.float32)
    found = fit(rows, labels, weights, offsets, penalty, steps=2000)
    best = loss(found, rows, labels, weights, offsets, penalty)
    assert best <= loss(np.zeros_like(found), rows, labels, weights, offsets, penalty)
    for _ in range(20):
        near = found + rng.normal(scale=0.05, size=found.shape).astype(np.float32)
        assert best <= loss(near, rows, labels, weights, offsets, penalty) + 1e-4


def test_the_usual_number_of_steps_is_enough() -> None:
    rows, labels = clouds(30, 0.5)
    usual, many = (fit(rows, labels, even(30), none(30), 1e-2, steps=steps) for steps in (120, 5000))
    task = rows, labels, even(30), none(30), 1e-2
    assert loss(usual, *task) <= loss(many, *task) + 1e-3


def test_what_is_known_beforehand_is_not_learnt_again() -> None:
    rows, labels = clouds()
    known = (np.eye(CLASSES, dtype=np.float32) * 12)[labels]  # all but certain, and right
    assert np.abs(fit(rows, labels, even(30), known, 1e-3)).max() < 0.01


def test_what_is_known_beforehand_and_wrong_is_made_up_for() -> None:
    rows, labels = clouds()
    known = (np.eye(CLASSES, dtype=np.float32) * 3)[(labels + 1) % CLASSES]
    found = fit(rows, labels, even(30), known, 1e-4)
    assert (softmax(known).argmax(axis=1) != labels).all()
    assert (softmax(rows @ found + known).argmax(axis=1) == labels).all()


def test_a_weight_is_worth_as_many_rows() -> None:
    rows, labels = clouds(9, 0.8)
    twice = np.concatenate([rows, rows[:1], rows[:1]]), np.concatenate([labels, labels[:1], labels[:1]])
    weights = np.array([3 / 11, *[1 / 11] * 8], np.float32)
    repeated = fit(*twice, even(11), none(11), 1e-2, steps=3000)
    weighed = fit(rows, labels, weights, none(9), 1e-2, steps=3000)
    assert np.allclose(repeated, weighed, atol=0.01)
    assert not np.allclose(weighed, fit(rows, labels, even(9), none(9), 1e-2, steps=3000), atol=0.05)


def test_a_row_without_weight_says_nothing() -> None:
    rows, labels = clouds(9)
    wrong = np.concatenate([rows, rows]), np.concatenate([labels, (labels + 1) % CLASSES])
    weights = np.array([1 / 9] * 9 + [0] * 9, np.float32)
    assert np.allclose(fit(*wrong, weights, none(18), 1e-2), fit(rows, labels, even(9), none(9), 1e-2), atol=0.01)


def test_a_penalty_makes_weights_smaller() -> None:
    rows, labels = clouds()
    sizes = [float(np.abs(fit(rows, labels, even(30), none(30), penalty)).max()) for penalty in (1e-4, 1e-2, 1.0)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("rows", [np.zeros((6, 5), np.float32), np.ones((6, 5), np.float32)])
def test_rows_that_tell_nothing_give_the_shares_of_the_classes(rows: Matrix) -> None:
    labels = np.array([0, 0, 0, 1, 1, 2], np.intp)
    found = fit(rows, labels, even(6), none(6), 1e-4, steps=3000)
    assert np.isfinite(found).all()
    shares = softmax(rows[0] @ found)
    assert shares == pytest.approx([1 / 2, 1 / 3, 1 / 6] if rows.any() else [1 / 3] * 3, abs=0.02)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=8))
def test_a_softmax_is_of_probabilities_in_the_order_of_the_logits(logits: list[float]) -> None:
    shares = softmax(np.array(logits, np.float32))
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares[np.argmax(logits)] == shares.max()


def test_a_softmax_of_a_table_is_one_a_row() -> None:
    table = np.array([[0, 1], [1000, 1000], [-1000, 1000]], np.float32)
    assert softmax(table) == pytest.approx(np.array([[0.2689, 0.7311], [0.5, 0.5], [0, 1]]), abs=1e-4)
