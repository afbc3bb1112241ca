"""Bundled protocols and scorers: command-line name -> "module:Class", imported on first use."""

PROTOCOLS: dict[str, str] = {
    "davis": "vitbench_protocols.davis:Davis",
    "knn": "vitbench_protocols.knn:Knn",
}

SCORERS: dict[str, str] = {
    "davis": "vitbench_protocols.davis.score:DavisMasks",
}
