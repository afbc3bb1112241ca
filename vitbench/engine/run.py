"""One run, from its identity to its record; a run that fails leaves a record too."""

import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitbench import distributed
from vitbench.bootstrap import score_interval
from vitbench.cache import cache_place, writing_to_cache
from vitbench.data.pil_order import pil_order
from vitbench.data.transforms import Normalization
from vitbench.engine.cached import sweep_cache
from vitbench.engine.context import Data, RunContext
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.presets import described
from vitbench.engine.protocol import Outcome, Scoring
from vitbench.engine.provenance import environment, peak_memory
from vitbench.errors import Stopped, VitbenchError
from vitbench.folder_lock import FolderInUse, empty, folder_lock
from vitbench.kept_resamples import KeptResamples
from vitbench.records import (
    SCHEMA,
    Cost,
    ErrorRef,
    ProtocolRef,
    Record,
    RecordedScore,
    Subject,
    failure_of,
    find_record,
    make_folder,
    safe_name,
    stem,
    sweep,
    write_record,
)
from vitbench.settings import as_dict, asked_artifacts, digest

if TYPE_CHECKING:
    import torch

    from vitbench.models.backbone import Backbone
    from vitbench.models.identity import WeightsIdentity


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of `evaluate` and `score`: the record and its path."""

    record: Record
    path: Path
    ran: bool  # False: the same run had a record already

    def _repr_html_(self) -> str:
        """Show the record in a notebook."""
        return self.record._repr_html_()


@dataclass
class Run:
    """A subject, a protocol or scorer, data and options; `finish` computes the scores."""

    component: Scoring
    subject: Subject
    options: RunOptions
    reporter: Reporter
    data: Data
    device: "torch.device | None"  # None: nothing is computed by torch
    normalization: Normalization
    backbone: "Backbone | None" = None
    weights: "WeightsIdentity | None" = None  # of the backbone
    journal: Path | None = None  # of the training that made the checkpoint

    def finish(self, work: Callable[[RunContext], Outcome]) -> Evaluation:
        """Do the work unless a record of the same run exists, and write the record."""
        self.started, self.clock = datetime.now(UTC), time.perf_counter()
        self.notes: list[str] = []
        self.context: RunContext | None = None
        try:
            if earlier := self.recall():
                return earlier
            self.notes += self.data.notes
            identity = self.identity()
            scratch = cache_place("runs", identity[:32])
            with ExitStack() as stack:
                distributed.compute_on_main(lambda: self._hold(scratch, stack))
                if known := self._known(identity):  # of the run that was waited for
                    return self._recalled(known)
                self.context = self._lend(identity, scratch)
                return self._scored(identity, work(self.context))
        except Stopped:  # no failure: the same run goes on from what it saved
            raise
        except Exception as error:
            self._fail(error)
            raise

    def recall(self) -> Evaluation | None:
        """Return the record of an earlier run that was the same, if there is one."""
        self.data.verify_images(self.component.splits)
        known = self._known(self.identity())
        return self._recalled(known) if known else None

    def _scored(self, identity: str, outcome: Outcome) -> Evaluation:
        """Write the record of the main process's outcome; every process returns it."""

        def write() -> Evaluation:
            scores = _recorded(self.component, outcome, self.options)
            return self._write(self._record(identity, "ok", scores=scores), outcome)

        return distributed.compute_on_main(write)

    def _known(self, identity: str) -> Record | None:
        """Return the record of an earlier run that answers for this one."""
        if self.options.rerun:
            return None
        known = find_record(self.options.results, self.component.name, identity)
        return distributed.from_main(known if known and self._answers(known) else None)

    def _hold(self, scratch: Path, stack: ExitStack) -> None:
        """Hold the folder of unfinished work; the same run elsewhere is waited for."""
        with writing_to_cache("unfinished work", scratch):
            try:
                stack.enter_context(folder_lock(scratch, wait=False))
            except FolderInUse:
                self.reporter.log("the same run is at work elsewhere; this one waits for it …")
                stack.enter_context(folder_lock(scratch, wait=True))

    def identity(self) -> str:
        """Return the hash of everything that can move the scores (sha256, hexadecimal)."""
        seen: tuple[int, int] | None = getattr(self.component, "image_size", None)
        return digest(
            {
                "schema": SCHEMA,
                "subject": [self.subject.kind, self.subject.sha256],
                "weights": self.weights.at(seen).digest if self.weights else "",
                "normalization": as_dict(self.normalization),
                "spec": self.protocol().spec_id,
                "dataset": self.data.describe(self.component.splits).fingerprint,
                "seed": self.options.seed,
            }
        )

    def _answers(self, known: Record) -> bool:
        """Tell whether a record has the requested files, and the files that it names exist."""
        folder = self._path(known).parent
        asked = asked_artifacts(self.component)
        return all(
            known.protocol.settings.get(name) == value for name, value in asked.items()
        ) and all((folder / file).exists() for file in known.artifacts.values())

    def _recalled(self, known: Record) -> Evaluation:
        """Return an earlier record of the same run, with the typed name added to its names."""
        name = self.subject.name
        if name != known.subject.name and name not in known.subject.aliases:
            aliases = (*known.subject.aliases, name)
            known = replace(known, subject=replace(known.subject, aliases=aliases))
            if distributed.is_main():
                with suppress(
                    VitbenchError
                ):  # a read-only folder: the scores are there all the same
                    write_record(known, self.options.results)
        return Evaluation(known, self._path(known), ran=False)

    def protocol(self) -> ProtocolRef:
        """Describe how the subject is scored; `spec_id` hashes all settings that count."""
        by_pil = self.data.decoded and self.options.resampling == "exact"
        return described(
            self.component, {**self.options.computing, **(pil_order() if by_pil else {})}
        )

    def _lend(self, identity: str, scratch: Path) -> RunContext:
        name = f"{safe_name(self.subject.name)}.{identity[:8]}"
        output = self.options.results / safe_name(self.component.name) / name
        distributed.compute_on_main(lambda: self._clean(scratch, output))
        return RunContext(
            place=self.device,
            precision=self.options.precision,
            resampling=self.options.resampling,
            seed=self.options.seed,
            normalization=self.normalization,
            workers=self.options.threads,
            batch_size=self.options.batch_size,
            store=self.options.store,
            scratch=scratch,
            output=output,
            data=self.data,
            backbone=self.backbone,
            weights=self.weights,
            progress=self.reporter.progress,
            note=self._note,
        )

    def _clean(self, scratch: Path, output: Path) -> None:
        """Remove what killed runs left half-written, and unfinished work if it is to run again."""
        make_folder(self.options.results, self.component.name)
        sweep_cache()
        for folder in (output.parent, output, *output.glob("**/")):
            sweep(folder)
        if self.options.rerun:
            empty(scratch)

    def _note(self, text: str) -> None:
        if text not in self.notes:  # what the data say of themselves is said when they are opened
            self.notes.append(text)
            self.reporter.log(text)

    def _record(self, identity: str, status: Literal["ok", "failed"], **parts: Any) -> Record:
        return Record(
            id=identity,
            status=status,
            subject=self.subject,
            protocol=self.protocol(),
            dataset=self.data.describe(self.component.splits),
            seed=self.options.seed,
            environment=environment(self.device, self.options.precision),
            cost=self._cost(),
            started_at=self.started.isoformat(timespec="seconds"),
            command=shlex.join(["vitbench", *sys.argv[1:]]),
            notes=tuple(dict.fromkeys(self.notes)),
            **parts,
        )

    def _cost(self) -> Cost:
        tables = self.context.tables if self.context else []
        images, seconds = sum(t.images for t in tables), sum(t.seconds for t in tables)
        return Cost(
            seconds=time.perf_counter() - self.clock,
            images=images,
            images_per_second=images / seconds if images and seconds else None,
            peak_memory_bytes=peak_memory(self.device),
            feature_cache=("hit" if all(t.hit for t in tables) else "miss") if tables else "",
        )

    def _fail(self, error: Exception) -> None:
        """Write a record of the failure; errors on the way are ignored, the failure is raised."""
        if not distributed.is_main():
            return
        message = str(error) if isinstance(error, VitbenchError) else repr(error)
        reference = ErrorRef(kind=type(error).__name__, message=message)
        with suppress(VitbenchError):
            identity = failure_of(self.identity())
            write_record(self._record(identity, "failed", error=reference), self.options.results)

    def _write(self, record: Record, outcome: Outcome) -> Evaluation:
        path = self._path(record)
        artifacts = {
            name: file.relative_to(path.parent).as_posix()
            for name, file in {**outcome.artifacts, **self._training()}.items()
        }
        record = replace(
            record,
            items=f"{stem(record)}.items.npz" if outcome.items else "",
            artifacts=artifacts,
        )
        write_record(record, self.options.results, outcome.items or None)
        assert self.context is not None
        shutil.rmtree(self.context.scratch, ignore_errors=True)  # the lock goes with it
        return Evaluation(record, path, ran=True)

    def _training(self) -> dict[str, Path]:
        """Copy the metric log of the training beside the record, for the curves of reports."""
        if self.journal is None or self.context is None:
            return {}
        copy = self.context.output / "training.jsonl"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.journal, copy)
        return {"training": copy}

    def _path(self, record: Record) -> Path:
        folder = self.options.results / safe_name(self.component.name)
        return folder / f"{stem(record)}.json"


def _recorded(
    component: Scoring, outcome: Outcome, options: RunOptions
) -> tuple[RecordedScore, ...]:
    declared = {metric.name: metric for metric in component.metrics}
    found, resample = [], KeptResamples()
    for one in outcome.scores:
        metric = declared[one.metric]
        interval = one.interval or score_interval(
            outcome.items, one.metric, seed=options.seed, resample=resample
        )
        found.append(
            RecordedScore(
                metric=one.metric,
                label=metric.label,
                value=one.value,
                unit=metric.unit,
                higher_is_better=metric.higher_is_better,
                primary=metric.primary,
                items=one.items,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
            )
        )
    return tuple(found)
