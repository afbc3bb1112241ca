"""Exact nearest neighbors by inner product, two engines with one answer, and votes."""

from vitbench.neighbors.bank import Bank as Bank
from vitbench.neighbors.bank import Engine as Engine
from vitbench.neighbors.bank import Neighbors as Neighbors
from vitbench.neighbors.bank import search as search
from vitbench.neighbors.votes import vote as vote
