"""`vitbench eval PROTOCOL CHECKPOINT…`: score checkpoints, one record each."""

from typing import TYPE_CHECKING

from vitbench import distributed
from vitbench.cli.checkpoints import CHECKPOINT_FLAGS, Which, asked_for, resolve_one
from vitbench.cli.component_help import component_help, index
from vitbench.cli.flags import parse, taken
from vitbench.cli.reporter import speaking
from vitbench.engine.describe import what_it_measures
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import EvaluationProtocol, protocols
from vitbench.errors import DatasetError, SettingError, Stopped, VitbenchError
from vitbench.records import Record
from vitbench.reports import escape, marks

if TYPE_CHECKING:
    from vitbench.engine.context import Data
    from vitbench.engine.run import Evaluation


def run(arguments: list[str]) -> int:
    """Evaluate, print one line a checkpoint, and return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        print(usage())
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    kind = protocols.get(arguments[0])
    preset, rest = taken(arguments[1:], "--preset")
    protocol, which, options = parse(
        {f"settings of {kind.name}": kind, CHECKPOINT_FLAGS: Which, "the run": RunOptions},
        rest,
        prog=f"vitbench eval {kind.name}",
        description=component_help(kind, "eval", preset),
        defaults=preset_settings(kind, preset),
        positional=("checkpoints",),
    )
    return _all(protocol, which, options)


def usage() -> str:
    """Return the help of the command without a protocol."""
    told = {name: what_it_measures(protocols.get(name)) for name in protocols.names()}
    return (
        "usage: vitbench eval PROTOCOL CHECKPOINT… [--preset NAME] [flags]\n\n"
        "Score checkpoints with a protocol: one record each, below results/.\n\n"
        f"protocols:\n{index(told)}\n\n"
        "`vitbench eval PROTOCOL --help` says what a protocol measures, and its presets and flags."
    )


def _all(protocol: EvaluationProtocol, which: Which, options: RunOptions) -> int:
    from vitbench.engine.context import open_data

    if not which.checkpoints and "backbone" in protocol.needs:
        raise SettingError(
            [f"{protocol.name} scores checkpoints, and none is named"],
            hint=f"vitbench eval {protocol.name} CHECKPOINT",
        )
    alone = len(which.checkpoints) < 2
    code = 0
    with distributed.process_group(options.timeout_minutes):
        with speaking() as reporter:  # a word mistyped is told before any checkpoint is loaded
            data = open_data(protocol, options, reporter, pixels=bool(which.checkpoints))
        for spec in which.checkpoints or (None,):
            try:
                with speaking() as reporter:
                    done = _one(protocol, spec, which, options, reporter, data)
            except VitbenchError as error:
                if alone or isinstance(error, Stopped | DatasetError):  # the same for the others
                    raise
                code = 2  # the others are scored all the same
                _print(f"{spec}: {type(error).__name__}: {error}")
                continue
            _print(summary(done))
    return code


def _one(
    protocol: EvaluationProtocol,
    spec: str | None,
    which: Which,
    options: RunOptions,
    reporter: Reporter,
    data: "Data",
) -> "Evaluation":
    from vitbench.engine.recall import recall_evaluation

    asked = None if spec is None else asked_for(spec, which)
    known = recall_evaluation(protocol, asked, options, reporter, data) if asked else None
    if known is not None:
        return known
    from vitbench.engine.evaluate import evaluate  # imports torch, which a record does without

    checkpoint = None if spec is None else resolve_one(spec, which, reporter, asked)
    return evaluate(protocol, checkpoint, options, reporter, data)


def summary(done: "Evaluation") -> str:
    """Return a headline, one line for each score, and the path of the record."""
    record = done.record
    lines = [headline(record)]
    for score in record.scores:
        unit = score.unit if score.unit == "%" else f" {score.unit}".rstrip()
        value = "not defined" if score.value is None else f"{score.value:7.2f}{unit}"
        known = score.low is not None and score.high is not None
        interval = f"  95 % [{score.low:.2f}, {score.high:.2f}]" if known else ""
        lines.append(f"  {score.label:<16} {value}{interval}{'  ←' if score.primary else ''}")
    lines += [f"  {marks.SIGN} {escape.plain(text)}" for text in marks.marks(record)]
    again = "" if done.ran else "  (an earlier run's; --rerun runs it again)"
    return "\n".join([*lines, f"  {done.path}{again}"])


def headline(record: Record) -> str:
    """Return checkpoint, protocol, data with split, and number of items as one line."""
    data = record.dataset
    on = f"{data.name}/{data.split}, {marks.size(data)}" if data else ""
    protocol = f"{record.protocol.name} {record.protocol.preset}".rstrip()
    parts = (" = ".join(marks.names(record.subject)), protocol, on)
    return escape.plain(" · ".join(filter(None, parts)))


def _print(text: str) -> None:
    if distributed.is_main():
        print(text, flush=True)
