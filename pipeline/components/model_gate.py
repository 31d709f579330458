"""ModelGate: applies the config's gates to the Evaluator's metrics and blesses the model, or says why not."""

import json
import os
from collections.abc import Sequence

import pydantic
from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model, ModelBlessing, ModelEvaluation
from tfx.utils import io_utils, path_utils

from models.heads import Kind
from pipeline.artifacts import BLESSED_FOR, GATES_FILE, GateReport, training_report_path
from pipeline.gates import Gate, GateResult, judge
from pipeline.versions import model_digest
from pipeline.withdrawn import Withdrawal


class Settings(pydantic.BaseModel):
    """What the gate needs of the config."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    kind: Kind
    gates: tuple[Gate, ...]
    withdrawn: tuple[Withdrawal, ...] = ()
    code_digest: str


def judge_withdrawn(withdrawn: Sequence[Withdrawal], model_uri: str) -> list[GateResult]:
    """Return a gate that is not passed if a rollback has withdrawn a model."""
    if not withdrawn:
        return []
    digest = model_digest(path_utils.serving_model_path(model_uri))
    found = [each for each in withdrawn if each.digest == digest]
    texts = [f"not withdrawn (it was, at {each.at}{': ' if each.reason else ''}{each.reason})" for each in found]
    return [GateResult("rollback", None, text, None, False) for text in texts]


@component
def ModelGate(
    evaluation: InputArtifact[ModelEvaluation],
    model: InputArtifact[Model],
    blessing: OutputArtifact[ModelBlessing],
    report: OutputArtifact[GateReport],
    settings: Parameter[str],
):
    """Write a standard ModelBlessing, for Pusher and LatestBlessedModelStrategy, and a report with every gate's value."""
    from pipeline.evaluation import read_evaluation  # not at the top: the graph is built without it

    parsed = Settings.model_validate_json(settings)
    training = json.loads(io_utils.read_string_file(training_report_path(model.uri)))
    measured = read_evaluation(evaluation.uri, parsed.kind, training["simple_baseline"])
    results = [*judge(parsed.gates, measured), *judge_withdrawn(parsed.withdrawn, model.uri)]
    blessed = all(result.passed for result in results)

    io_utils.write_string_file(os.path.join(blessing.uri, "BLESSED" if blessed else "NOT_BLESSED"), "")
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    blessing.set_string_custom_property(BLESSED_FOR, parsed.pipeline)
    content = {
        "metrics": {
            "candidate": measured.candidate,
            "baseline": measured.baseline,
            "simple_baseline": measured.simple_baseline,
        },
        "slices": [{"slice": s.name, "examples": s.examples, "metrics": s.metrics} for s in measured.slices],
        "gates": [result.to_dict() for result in results],
    }
    io_utils.write_string_file(os.path.join(report.uri, GATES_FILE), json.dumps(content, indent=1))
