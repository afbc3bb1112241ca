"""Warnings about a run that are shown wherever its scores are shown."""

from vitbench.records import DatasetInfo, Record, Subject

SIGN = "†"  # beside the name of a run that has a mark of its own
EARLIER_NOUNS = {"clips": "clips"}  # of records that do not say what their items are called
NOUNS_OF_PROTOCOLS = {"profile": "timed passes"}  # whose scores are of no items of the data
BUILT_IN = "synthetic"  # name of the data that vitbench draws itself
FAILED = "failed"  # how the text of a sanity check that was not passed begins


def items_name(dataset: DatasetInfo) -> str:
    """Return what the items of the data are called, in the plural."""
    return dataset.item_noun or EARLIER_NOUNS.get(dataset.kind, "images")


def size(dataset: DatasetInfo) -> str:
    """Write how many items there are, and of how many where that is a part of the split."""
    if not dataset.items:
        return ""
    of = f" of {dataset.of_items:,}" if dataset.of_items else ""
    return f"{dataset.items:,}{of} {items_name(dataset)}"


def data_marks(dataset: DatasetInfo) -> tuple[str, ...]:
    """Tell what makes the data other than they seem: a part of a split, or drawn by vitbench."""
    found = []
    if dataset.of_items:
        found.append(f"a subset: {size(dataset)}")
    if dataset.name == BUILT_IN:
        found.append("built-in synthetic data")
    return tuple(found)


def run_marks(record: Record) -> tuple[str, ...]:
    """Tell what is the matter with a run: it failed, or the weights are not what they should be."""
    found = []
    if record.status == "failed":
        why = record.error.message if record.error else "no reason was kept"
        found.append(f"failed: {why}")
    done, planned = record.subject.training or (0, 0)
    if done < planned:
        found.append(f"its training stopped at step {done:,} of {planned:,}")
    if gate_failed(record.subject):
        found.append(f"sanity check {gate_text(record.subject)}")
    return tuple(found)


def marks(record: Record) -> tuple[str, ...]:
    """Return all warnings about a record's scores."""
    return (*(data_marks(record.dataset) if record.dataset else ()), *run_marks(record))


def gate_failed(subject: Subject) -> bool:
    """Tell whether the sanity check was run and not passed."""
    told = subject.gate_passed  # records of the first schema say it in words alone
    return subject.gate.startswith(FAILED) if told is None else not told


def gate_text(subject: Subject) -> str:
    """Return the sanity check's finding in words, with its outcome first."""
    return subject.gate if subject.gate.startswith(FAILED) else f"{FAILED}: {subject.gate}"


def names(subject: Subject) -> tuple[str, ...]:
    """Return the name of a subject and the other names that it was given."""
    return tuple(dict.fromkeys((subject.name, *subject.aliases)))
