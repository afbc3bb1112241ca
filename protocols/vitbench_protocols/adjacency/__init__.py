"""COCO ground-truth adjacency: how many neighbours are positives, and do features find them?"""
