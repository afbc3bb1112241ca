"""Bundled protocols and scorers: command-line name -> "module:Class", imported on first use."""

PROTOCOLS: dict[str, str] = {
    "adjacency": "vitbench_protocols.adjacency.counting:Adjacency",
    "adjacency-features": "vitbench_protocols.adjacency.features:AdjacencyFeatures",
    "adjacency-features-panoptic": (
        "vitbench_protocols.adjacency.features:PanopticAdjacencyFeatures"
    ),
    "adjacency-features-semantic": (
        "vitbench_protocols.adjacency.features:SemanticAdjacencyFeatures"
    ),
    "adjacency-panoptic": "vitbench_protocols.adjacency.counting:PanopticAdjacency",
    "adjacency-semantic": "vitbench_protocols.adjacency.counting:SemanticAdjacency",
    "davis": "vitbench_protocols.davis:Davis",
    "knn": "vitbench_protocols.knn:Knn",
    "linear-probe": "vitbench_protocols.linear_probe:LinearProbe",
    "portrait": "vitbench_protocols.portrait:Portrait",
}

SCORERS: dict[str, str] = {
    "davis": "vitbench_protocols.davis.score:DavisMasks",
}
