"""COCO detection and instance segmentation."""
