"""`vitbench report`: the records of a folder compared, in one of several formats."""

import sys
import webbrowser
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.errors import RecordError, SettingError
from vitbench.records import PART, atomic, sweep
from vitbench.reports.failures import whole
from vitbench.reports.folders import read_folders
from vitbench.reports.render import Form, render
from vitbench.reports.table import Table, build_table
from vitbench.reports.trackers import Target, send
from vitbench.settings import setting

PAGE = "report.html"
ABOUT = """\
Show the runs of a results folder side by side, with published values beside them. Runs share a
column only if protocol, settings and data are equal.

examples:
  vitbench report
  vitbench report --compare dino selfpatch --format markdown
  vitbench report --against dino
  vitbench report --bundle ours --push me/my-runs
  vitbench report ours theirs
  vitbench report --format html --open"""


@dataclass(frozen=True, slots=True)
class Options:
    """Which runs to show, in which format, and where to."""

    folders: tuple[Path, ...] = setting(
        (),
        help="results folders and bundles whose records are put together; left out: --results",
    )
    results: Path = setting(Path("results"), help="folder that holds the records")
    compare: tuple[str, ...] = setting(
        (), help="names of runs or methods to show, in this order; left out: all runs"
    )
    format: Form = setting("rich", help="format of the report; rich is a table in the terminal")
    published: str = setting(
        "",
        help='published rows to show beside the runs: "all", "none", ids such as table3/selfpatch'
        ' (see `vitbench list published`), or words such as "table 3 vit-ti"',
    )
    against: str = setting(
        "", help="run that all others are held against; left out: all pairs are compared"
    )
    metrics: tuple[str, ...] = setting(
        (),
        help="metrics to show beside the one that ranks a board, names or patterns such as top1*;"
        " left out: all",
    )
    failed: bool = setting(
        False, help="tell all that is known of the runs that failed, in place of a report"
    )
    strict: bool = setting(
        False, help="end with an error if the runs differ in settings or data, instead of saying so"
    )
    out: str = setting(
        "",
        help="file to write the report to; with --to: the folder or server that runs are sent to;"
        " left out: report.html in the results folder for HTML, else standard output",
    )
    to: Target | None = setting(
        None, help="tracking tool to send the runs to, in place of a report"
    )
    bundle: Path | None = setting(
        None,
        help="new folder to write the page, the runs' records and files, their schema and a list of"
        " hashes to, so that others can put them beside theirs: vitbench report MINE THEIRS",
    )
    push: str = setting(
        "",
        help="with --bundle: data set of the Hugging Face Hub, OWNER/NAME, to upload the bundle to;"
        " made private if it is not there",
    )
    open: bool = setting(False, help="open the report's file in the browser")


def run(arguments: list[str]) -> int:
    """Run the sub-command; returns the exit status."""
    (options,) = parse(
        {"flags": Options},
        arguments,
        prog="vitbench report",
        description=ABOUT,
        positional=("folders",),
    )
    places = options.folders or (options.results,)
    missing = [folder for folder in places if not folder.is_dir()]
    if missing and (options.folders or not (options.compare or options.published)):
        raise RecordError(
            f"no results folder {str(missing[0])!r}.",
            expected="a folder that `vitbench eval` wrote, or --compare with published methods",
            hint="--results DIR, or vitbench eval knn random:vit_tiny_patch16_224 --data synthetic",
        )
    if options.open and not options.out and options.format != "html":
        raise SettingError(["--open needs a file to open"], hint="--format html, or --out FILE")
    if options.push and options.bundle is None:
        raise SettingError(["--push needs a bundle to upload"], hint="--bundle DIR")
    records, folders = read_folders(places)
    table = build_table(
        records,
        compare=options.compare,
        published=options.published,
        strict=options.strict,
        folder=folders,
        against=options.against,
        metrics=options.metrics,
    )
    if options.failed:
        sys.stdout.write(f"{whole(table.failed)}\n")
    elif options.bundle is not None:
        from vitbench.reports.bundle import write_bundle

        count = write_bundle(table, options.bundle)
        sys.stdout.write(f"{count} records in {options.bundle}\n")
        if options.push:
            from vitbench.reports.hub import upload

            sys.stdout.write(f"{upload(options.bundle, options.push)}\n")
    elif options.to is not None:
        sent = send(table, options.to, options.out)
        sys.stdout.write(f"{sent} new runs sent to {options.to}\n")
    elif not options.out and options.format == "rich":
        _print(table)
    elif not options.out and options.format != "html":
        sys.stdout.write(render(table, options.format))
    else:
        home = next((folder for folder in places if folder.is_dir()), Path())
        path = Path(options.out) if options.out else home / PAGE
        write_report(render(table, options.format), path)
        if not options.out:
            sys.stdout.write(f"{path}\n")
        if options.open:
            webbrowser.open(path.resolve().as_uri())
    return 0


def _print(table: Table) -> None:
    from rich.console import Console

    from vitbench.reports.terminal import show

    show(table, Console())


def write_report(text: str, path: Path) -> None:
    """Write a report to a file.

    Raises:
        RecordError: It can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, f".{escape(path.name)}.*{PART}")
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(
            f"the report could not be written to {str(path)!r}.",
            found=f"{error.strerror or error}",
            hint="--out FILE names another place",
        ) from error
