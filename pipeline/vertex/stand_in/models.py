"""The Model Registry: versions of models, their aliases and labels."""

from __future__ import annotations

from typing import Any

from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.operations import Operations
from pipeline.vertex.stand_in.parts import Part
from pipeline.vertex.stand_in.resources import Resources

_DEFAULT_ALIAS = "default"


class Models(Part):
    """Keeps versions by the name of their model, oldest first."""

    def __init__(self, resources: Resources, operations: Operations):
        """Begin with nothing.

        Args:
          resources: for whose project and region it is.
          operations: that uploads are.
        """
        self._resources, self._operations = resources, operations
        self.versions: dict[str, list[Any]] = {}
        super().__init__(
            {
                "UploadModel": self._upload,
                "ListModelVersions": self._list,
                "GetModel": lambda request: self.find(request.name),
                "MergeVersionAliases": self._merge,
                "UpdateModel": self._update,
            }
        )

    def _upload(self, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        self._resources.check_parent(request.parent)
        name = request.parent_model or f"{request.parent}/models/{request.model_id or len(self.versions) + 1}"
        if request.parent_model and name not in self.versions:
            raise _not_found(name)
        if not request.parent_model and name in self.versions:
            raise RefusedError(409, f"{name} already exists.")

        def apply() -> Any:
            versions = self.versions.setdefault(name, [])
            model = request.model
            model.name, model.version_id = name, str(len(versions) + 1)
            aliases = {*model.version_aliases, *(() if versions else (_DEFAULT_ALIAS,))}
            versions.append(model)
            self._give(name, model, aliases)
            return aiplatform_v1.UploadModelResponse(model=name, model_version_id=model.version_id)

        return self._operations.begin("UploadModel", name, apply)

    def _list(self, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        if request.name not in self.versions:
            raise _not_found(request.name)
        return aiplatform_v1.ListModelVersionsResponse(models=self.versions[request.name])

    def _merge(self, request: Any) -> Any:
        model = self.find(request.name)
        gone = {alias[1:] for alias in request.version_aliases if alias.startswith("-")}
        come = {alias for alias in request.version_aliases if not alias.startswith("-")}
        self._give(model.name, model, ({*model.version_aliases} - gone) | come)
        return model

    def _update(self, request: Any) -> Any:
        model = self.find(request.model.name)
        for field in request.update_mask.paths:
            setattr(model, field, getattr(request.model, field))
        return model

    def _give(self, name: str, model: Any, aliases: set[str]) -> None:
        for other in self.versions[name]:
            if other is not model:
                other.version_aliases = [alias for alias in other.version_aliases if alias not in aliases]
        model.version_aliases = sorted(aliases)

    def find(self, name: str) -> Any:
        """Return a version, by the model's name with a number or an alias; without one the default.

        Raises:
          RefusedError: there is none.
        """
        parent, _, wanted = name.partition("@")
        for model in self.versions.get(parent, ()):
            if (wanted or _DEFAULT_ALIAS) in (model.version_id, *model.version_aliases):
                return model
        raise _not_found(name)


def _not_found(name: str) -> RefusedError:
    return RefusedError(404, f"The resource {name} is not found.", "RESOURCE_NOT_FOUND", {"resource": name})
