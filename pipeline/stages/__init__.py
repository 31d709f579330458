"""One function per stage: each gives the TFX components it is made of."""

from pipeline.stages.data import Checked, ingest, transform, validate
from pipeline.stages.delivery import compress, push, register
from pipeline.stages.model import Judged, Tuned, champion, evaluate, train, tune

__all__ = [
    "Checked",
    "Judged",
    "Tuned",
    "champion",
    "compress",
    "evaluate",
    "ingest",
    "push",
    "register",
    "train",
    "transform",
    "tune",
    "validate",
]
