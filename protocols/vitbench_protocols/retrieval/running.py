"""One run: features, rankings, and how well they answer the queries."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor
from torch.nn.functional import normalize

from vitbench.api import Backbone, ClassificationDataset, Context, Outcome, Score, errors
from vitbench.kit import Relevance
from vitbench_protocols.retrieval.describing import Whitening, describe
from vitbench_protocols.retrieval.pictures import Rankings
from vitbench_protocols.retrieval.precision import Judged, Places, judge

if TYPE_CHECKING:
    from vitbench_protocols.retrieval import Retrieval

AT = (1, 10)
QUERIES_AT_ONCE = 256


def rank_and_score(settings: "Retrieval", backbone: Backbone, context: Context) -> Outcome:
    """Rank the database for every query."""
    _check(settings)
    if settings.by_class:
        return _score_classes(settings, backbone, context)
    queries = context.dataset("queries")
    answers = [queries[place].target for place in range(len(queries))]
    boxes = [answer.box for answer in answers] if settings.crop_queries else ()
    database = describe(settings, backbone, context, "database")
    asked = describe(settings, backbone, context, "queries", boxes=boxes)
    others = describe(settings, backbone, context, "whitening") if settings.whiten else None
    if database is None or asked is None:
        return Outcome(())
    if others is not None:
        whiten = Whitening(others)
        database, asked = whiten(database), whiten(asked)
    rows = {name: row for row, name in enumerate(context.dataset("database").ids)}
    _note_missing(answers, rows, context)
    drawn = Rankings(settings.pictures, queries, context.dataset("database"), boxes, context)
    judged = []
    for (ranking, place), answer in zip(_rankings(database, asked, context), answers, strict=True):
        judged.append(_grades(ranking, answer, rows, settings.shown))
        right = _rows_of((*answer.easy, *answer.hard), rows)
        drawn.add(place, ranking, right, _rows_of(answer.junk, rows))
    return _outcome(settings, queries.ids, judged, drawn.artifacts)


def _score_classes(settings: "Retrieval", backbone: Backbone, context: Context) -> Outcome:
    """Search every image among the others for those of its class."""
    dataset: ClassificationDataset = context.dataset("val")  # type: ignore[assignment]
    features = describe(settings, backbone, context, "val")
    if features is None:
        return Outcome(())
    targets = np.asarray(dataset.targets)
    of_class = [np.flatnonzero(targets == number) for number in range(len(dataset.class_names))]
    drawn = Rankings(settings.pictures, dataset, dataset, (), context)
    judged = []
    for ranking, place in _rankings(features, features, context):
        itself = np.array([place])
        right = np.setdiff1d(of_class[targets[place]], itself)
        judged.append(_named(judge(ranking, right, itself, AT, shown=settings.shown)))
        drawn.add(place, ranking, right, itself)
    return _outcome(settings, dataset.ids, judged, drawn.artifacts)


def _rankings(database: Tensor, queries: Tensor, context: Context) -> Iterator[tuple[Places, int]]:
    """Yield the rows of the database from the most to the least similar, and the query's row."""
    bank = normalize(database.to(context.device), dim=1)
    asked = normalize(queries.to(context.device), dim=1)
    for start in range(0, len(asked), QUERIES_AT_ONCE):
        similarities = asked[start : start + QUERIES_AT_ONCE] @ bank.T
        order = similarities.sort(dim=1, descending=True, stable=True).indices.cpu().numpy()
        yield from zip(order, range(start, start + len(order)), strict=True)


def _grades(
    ranking: Places, answer: Relevance, rows: Mapping[str, int], shown: int
) -> dict[str, float]:
    """Judge a ranking by each grade of the revisited benchmarks."""
    easy, hard, junk = (_rows_of(names, rows) for names in (answer.easy, answer.hard, answer.junk))
    whole = judge(ranking, np.concatenate([easy, hard]), junk, AT, shown=shown)
    found = _named(whole)
    if answer.hard or answer.junk:
        without_hard, without_easy = np.concatenate([junk, hard]), np.concatenate([junk, easy])
        found["map_easy"] = judge(ranking, easy, without_hard, AT, shown=shown).average
        found["map_hard"] = judge(ranking, hard, without_easy, AT, shown=shown).average
    return found


def _rows_of(names: Sequence[str], rows: Mapping[str, int]) -> Places:
    """Return the rows of those images that the database has."""
    return np.array([rows[name] for name in names if name in rows], dtype=np.int64)


def _named(found: Judged) -> dict[str, float]:
    return {"map": found.average, "precision1": found.at[0], "precision10": found.at[1]}


def _outcome(
    settings: "Retrieval",
    ids: Sequence[str],
    judged: Sequence[Mapping[str, float]],
    artifacts: Mapping[str, Path],
) -> Outcome:
    items: dict[str, Any] = {}
    scores = []
    for metric in settings.metrics:
        values = np.array([found.get(metric.name, np.nan) for found in judged])
        defined = values[~np.isnan(values)]
        if len(defined):
            items[metric.name] = values
        mean = float(defined.mean()) if len(defined) else None
        scores.append(Score(metric.name, mean, len(defined)))
    return Outcome(tuple(scores), {"ids": np.array(ids), **items}, artifacts)


def _check(settings: "Retrieval") -> None:
    problems = []
    if not settings.scales:
        problems.append("--scales must name one at least")
    if settings.by_class and (settings.whiten or settings.crop_queries):
        problems.append("classified images have no split `whitening` and no boxes of queries")
    if problems:
        raise errors.SettingError(problems)


def _note_missing(answers: Sequence[Relevance], rows: Mapping[str, int], context: Context) -> None:
    named = {name for answer in answers for name in (*answer.easy, *answer.hard)}
    absent = len(named - rows.keys())
    if absent:
        context.note(f"{absent} of {len(named)} images that answer queries are left out")
