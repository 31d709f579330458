"""Models, endpoints and batch predictions of Vertex AI over HTTP, each request parsed strictly into the API's own types."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import ThreadingHTTPServer
from typing import Any, NamedTuple

from google.cloud import aiplatform_v1 as api
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, json_format
from http_front import Handler, RefusedError

_LOCATION = "projects/[^/]+/locations/[^/]+"


class Request(NamedTuple):
    """What was asked for."""

    method: str
    body: dict[str, Any]


class ModelService:
    """The service; a context manager.

    Attributes:
      requests: all that came, oldest first, without questions about operations.
      answer: gives the predictions of a version for instances.
      polls: an operation is done after so many questions.
      before: is called with each method that changes something, before it does: somebody else's moment.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[str, Sequence[Any]], list[Any]] = lambda version, instances: [0.5] * len(instances)
        self.polls = 0
        self.before: Callable[[str], None] = lambda method: None
        self.versions: dict[str, list[Any]] = {}
        self.endpoints: dict[str, Any] = {}
        self.jobs: dict[str, Any] = {}
        self._failures: list[tuple[str, int, str]] = []
        self._failing_operations: list[tuple[str, int, str]] = []
        self._operations: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def __enter__(self) -> ModelService:
        service = self

        class Front(Handler):
            target = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail_next(self, method: str, code: int, message: str) -> None:
        """Refuse the next call of a method, such as "UploadModel"."""
        self._failures.append((method, code, message))

    def fail_operation(self, method: str, code: int, message: str) -> None:
        """Take the next call, and have its operation fail with a code of google.rpc."""
        self._failing_operations.append((method, code, message))

    def sent(self, *methods: str) -> list[dict[str, Any]]:
        """Return the bodies of all calls of some methods."""
        return [request.body for request in self.requests if request.method in methods]

    @property
    def changes(self) -> list[str]:
        """Methods that change something, in order."""
        return [request.method for request in self.requests if not re.match("List|Get|Predict", request.method)]

    @property
    def split(self) -> dict[str, int]:
        """{version: percent} of what is deployed on the only endpoint."""
        (endpoint,) = self.endpoints.values()
        return {each.model_version_id: endpoint.traffic_split.get(each.id, 0) for each in endpoint.deployed_models}

    @property
    def aliases(self) -> list[list[str]]:
        """Of each version of the only model."""
        (versions,) = self.versions.values()
        return [list(version.version_aliases) for version in versions]

    def handle(self, verb: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        if found := re.fullmatch(rf"/(?:v1|ui)/({_LOCATION}/.*operations/\d+)", path):
            return self._poll(found[1])
        for (wanted, pattern, method), run in _ROUTES.items():
            if verb == wanted and (found := re.fullmatch(f"/v1/{pattern}", path)):
                self.requests.append(Request(method, body))
                self.before(method)  # may ask this service itself
                for failure in [each for each in self._failures if each[0] == method][:1]:
                    self._failures.remove(failure)
                    raise RefusedError(*failure[1:])
                with self._lock:
                    return run(self, found, query, body)
        raise RefusedError(404, f"no route for {verb} {path}")

    def upload(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        request = _parse(api.UploadModelRequest, body | {"parent": found[1]})
        if not request.model.artifact_uri.startswith("gs://"):
            raise RefusedError(400, f"artifact_uri '{request.model.artifact_uri}' is no gs:// folder")
        name = request.parent_model or f"{found[1]}/models/{request.model_id}"
        if request.parent_model and name not in self.versions:
            raise RefusedError(404, f"{name} is not there")
        if request.model_id and name in self.versions:
            raise RefusedError(409, f"{name} exists")

        def apply() -> Any:
            model = request.model
            versions = self.versions.setdefault(name, [])
            model.name, model.version_id = name, str(len(versions) + 1)
            aliases = {*model.version_aliases, *([] if versions else ["default"])}
            versions.append(model)
            self._take_aliases(name, model, aliases)
            return api.UploadModelResponse(model=name, model_version_id=model.version_id)

        return self._operation("UploadModel", name, apply)

    def list_versions(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        if found[1] not in self.versions:
            raise RefusedError(404, f"{found[1]} is not there")
        return api.ListModelVersionsResponse(models=self.versions[found[1]])

    def merge_aliases(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        request = _parse(api.MergeVersionAliasesRequest, body | {"name": found[1]})
        name, model = self._version(request.name)
        gone = {alias[1:] for alias in request.version_aliases if alias.startswith("-")}
        kept = {alias for alias in model.version_aliases if alias not in gone}
        self._take_aliases(name, model, kept | {alias for alias in request.version_aliases if not alias.startswith("-")})
        return model

    def update_model(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        _, model = self._version(found[1])
        update = _parse(api.Model, body)
        if not update.display_name:
            raise RefusedError(400, "display_name is required")
        for field in query["updateMask"].split(","):
            setattr(model, _snake(field), getattr(update, _snake(field)))
        return model

    def list_endpoints(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        wanted = re.fullmatch(r'display_name="(.*)"', query.get("filter", ""))
        listed = [e for e in self.endpoints.values() if not wanted or e.display_name == wanted[1]]
        return api.ListEndpointsResponse(endpoints=listed)

    def create_endpoint(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        endpoint = _parse(api.Endpoint, body)

        def apply() -> Any:
            endpoint.name, endpoint.etag = f"{found[1]}/endpoints/{next(self._numbers)}", "1"
            self.endpoints[endpoint.name] = endpoint
            return endpoint

        return self._operation("CreateEndpoint", found[1], apply)

    def update_endpoint(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        endpoint, update = self._endpoint(found[1]), _parse(api.Endpoint, body)
        if not update.display_name or query["updateMask"] != "trafficSplit":
            raise RefusedError(400, "display_name is required, and a mask of the traffic alone")
        if update.etag and update.etag != endpoint.etag:
            raise RefusedError(409, f"etag {update.etag} is not {endpoint.etag}")
        self.set_split(endpoint, dict(update.traffic_split))
        return endpoint

    def deploy(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        endpoint, request = self._endpoint(found[1]), _parse(api.DeployModelRequest, body | {"endpoint": found[1]})
        _, model = self._version(request.deployed_model.model)
        resources = request.deployed_model.dedicated_resources
        if not (resources.machine_spec.machine_type and resources.min_replica_count):
            raise RefusedError(400, "dedicated_resources needs a machine type and min_replica_count")
        if sum(request.traffic_split.values()) != 100:
            raise RefusedError(400, f"traffic_split sums to {sum(request.traffic_split.values())}")

        def apply() -> Any:
            deployed = request.deployed_model
            deployed.id, deployed.model_version_id = str(1000 + next(self._numbers)), model.version_id
            deployed.model = deployed.model.split("@")[0] + f"@{model.version_id}"
            endpoint.deployed_models.append(deployed)
            self.set_split(endpoint, {key if key != "0" else deployed.id: n for key, n in request.traffic_split.items()})
            return api.DeployModelResponse(deployed_model=deployed)

        return self._operation("DeployModel", found[1], apply)

    def undeploy(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        endpoint, request = self._endpoint(found[1]), _parse(api.UndeployModelRequest, body | {"endpoint": found[1]})
        if endpoint.traffic_split.get(request.deployed_model_id, 0):
            raise RefusedError(400, f"{request.deployed_model_id} has traffic")

        def apply() -> Any:
            left = [each for each in endpoint.deployed_models if each.id != request.deployed_model_id]
            endpoint.deployed_models = left
            self.set_split(endpoint, {key: n for key, n in endpoint.traffic_split.items() if key != request.deployed_model_id})
            return api.UndeployModelResponse()

        return self._operation("UndeployModel", found[1], apply)

    def predict(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        endpoint = self._endpoint(found[1])
        if not endpoint.traffic_split:
            raise RefusedError(400, "the endpoint has no traffic")
        at = 37 * next(self._numbers) % 100
        chosen = next(key for key, end in _ends(endpoint.traffic_split) if at < end)
        deployed = next(each for each in endpoint.deployed_models if each.id == chosen)
        predictions = self.answer(deployed.model_version_id, body["instances"])
        return {"predictions": predictions, "deployedModelId": chosen, "modelVersionId": deployed.model_version_id}

    def create_batch(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        job = _parse(api.BatchPredictionJob, body)
        self._version(job.model)
        job.name, job.state = f"{found[1]}/batchPredictionJobs/{next(self._numbers)}", api.JobState.JOB_STATE_RUNNING
        self.jobs[job.name] = job
        return job

    def get_batch(self, found: re.Match, query: dict[str, str], body: dict[str, Any]) -> Any:
        job = self.jobs[found[1]]
        if job.state == api.JobState.JOB_STATE_RUNNING:
            job.state = api.JobState.JOB_STATE_SUCCEEDED
            job.output_info.gcs_output_directory = f"{job.output_config.gcs_destination.output_uri_prefix}/prediction-1"
        return job

    def set_split(self, endpoint: Any, split: dict[str, int]) -> None:
        """Change a split, and with it the etag."""
        ids = {each.id for each in endpoint.deployed_models}
        if not set(split) <= ids or (split and sum(split.values()) != 100):
            raise RefusedError(400, f"traffic_split {split} is no split of {sorted(ids)}")
        endpoint.traffic_split, endpoint.etag = split, str(int(endpoint.etag) + 1)

    def _take_aliases(self, name: str, model: Any, aliases: set[str]) -> None:
        for other in self.versions[name]:
            if other is not model:
                other.version_aliases = [alias for alias in other.version_aliases if alias not in aliases]
        model.version_aliases = sorted(aliases)

    def _version(self, name: str) -> tuple[str, Any]:
        parent, _, wanted = name.partition("@")
        for model in self.versions.get(parent, ()):
            if wanted == model.version_id or wanted in model.version_aliases:
                return parent, model
        raise RefusedError(404, f"{name} is not there")

    def _endpoint(self, name: str) -> Any:
        if name not in self.endpoints:
            raise RefusedError(404, f"{name} is not there")
        return self.endpoints[name]

    def _operation(self, method: str, parent: str, apply: Callable[[], Any]) -> Any:
        failure = next((each for each in self._failing_operations if each[0] == method), None)
        if failure:
            self._failing_operations.remove(failure)
        name = f"{parent}/operations/{next(self._numbers)}"
        self._operations[name] = {"left": self.polls, "apply": apply, "failure": failure, "result": None}
        return self._advance(name)

    def _poll(self, name: str) -> Any:
        self._operations[name]["left"] -= 1
        return self._advance(name)

    def _advance(self, name: str) -> Any:
        state, answer = self._operations[name], operations_pb2.Operation(name=name)
        if state["left"] > 0:
            return answer
        answer.done = True
        if state["failure"]:
            answer.error.code, answer.error.message = state["failure"][1:]
        else:
            state["result"] = state["result"] or state["apply"]()
            packed = any_pb2.Any()
            packed.Pack(type(state["result"]).pb(state["result"]))
            answer.response.CopyFrom(packed)
        return answer


_MODEL, _ENDPOINT = rf"({_LOCATION}/models/[^/:]+)", rf"({_LOCATION}/endpoints/[^/:]+)"
_ROUTES: dict[tuple[str, str, str], Callable[..., Any]] = {
    ("POST", rf"({_LOCATION})/models:upload", "UploadModel"): ModelService.upload,
    ("GET", f"{_MODEL}:listVersions", "ListModelVersions"): ModelService.list_versions,
    ("POST", f"{_MODEL}:mergeVersionAliases", "MergeVersionAliases"): ModelService.merge_aliases,
    ("PATCH", _MODEL, "UpdateModel"): ModelService.update_model,
    ("GET", rf"({_LOCATION})/endpoints", "ListEndpoints"): ModelService.list_endpoints,
    ("POST", rf"({_LOCATION})/endpoints", "CreateEndpoint"): ModelService.create_endpoint,
    ("PATCH", _ENDPOINT, "UpdateEndpoint"): ModelService.update_endpoint,
    ("POST", f"{_ENDPOINT}:deployModel", "DeployModel"): ModelService.deploy,
    ("POST", f"{_ENDPOINT}:undeployModel", "UndeployModel"): ModelService.undeploy,
    ("POST", f"{_ENDPOINT}:predict", "Predict"): ModelService.predict,
    ("POST", rf"({_LOCATION})/batchPredictionJobs", "CreateBatchPredictionJob"): ModelService.create_batch,
    ("GET", rf"({_LOCATION}/batchPredictionJobs/\d+)", "GetBatchPredictionJob"): ModelService.get_batch,
}


def _parse(message: Any, body: dict[str, Any]) -> Any:
    try:
        return message(json_format.ParseDict(body, message.pb(message())))
    except json_format.ParseError as error:
        raise RefusedError(400, str(error)) from error


def _ends(split: Mapping[str, int]) -> list[tuple[str, int]]:
    return list(zip(sorted(split), itertools.accumulate(split[key] for key in sorted(split)), strict=True))


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", name)
