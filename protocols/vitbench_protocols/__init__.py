"""Bundled protocols and scorers: command-line name -> "module:Class", imported on first use."""

PROTOCOLS: dict[str, str] = {
    "adjacency": "vitbench_protocols.adjacency:Adjacency",
    "attentive-probe": "vitbench_protocols.attentive_probe:AttentiveProbe",
    "correspondence": "vitbench_protocols.correspondence:Correspondence",
    "davis": "vitbench_protocols.davis:Davis",
    "depth": "vitbench_protocols.depth:Depth",
    "detection": "vitbench_protocols.detection:Detection",
    "discovery": "vitbench_protocols.discovery:Discovery",
    "feature-pca": "vitbench_protocols.feature_pca:FeaturePca",
    "health": "vitbench_protocols.health:Health",
    "knn": "vitbench_protocols.knn:Knn",
    "layers": "vitbench_protocols.layers:Layers",
    "linear-probe": "vitbench_protocols.linear_probe:LinearProbe",
    "logistic": "vitbench_protocols.logistic:Logistic",
    "profile": "vitbench_protocols.profile:Profile",
    "retrieval": "vitbench_protocols.retrieval:Retrieval",
    "segmentation": "vitbench_protocols.segmentation:Segmentation",
}

SCORERS: dict[str, str] = {
    "coco": "vitbench_protocols.detection.score:CocoResults",
    "davis": "vitbench_protocols.davis.score:DavisMasks",
    "segmentation": "vitbench_protocols.segmentation.score:SegmentationMaps",
}
