"""The page of a report: tables, curves and costs of a set of runs."""
from .page import write_report

__all__ = ["write_report"]
