"""What a person sees of a detection and of an evaluation."""

from refinevad.apps.report.evaluation_report import write_demo_report, write_evaluation_report
from refinevad.apps.report.evaluation_section import Evaluation, VideoCurve
from refinevad.apps.report.overview import BatchEntry
from refinevad.apps.report.writer import WrittenDetection, report_stems, write_detection, write_overview

__all__ = [
    "BatchEntry",
    "Evaluation",
    "VideoCurve",
    "WrittenDetection",
    "report_stems",
    "write_demo_report",
    "write_detection",
    "write_evaluation_report",
    "write_overview",
]
