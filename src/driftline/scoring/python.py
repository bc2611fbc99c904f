"""A class of one's own: ``class = "module:Class"`` with ``predict(matrix) -> scores``."""

import inspect
import itertools
import sys
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Annotated, Any, Final

import msgspec

from driftline.contract.package import Package
from driftline.errors import ModelError
from driftline.scoring.arrays import ArrayModel, all_numbers, matrix_encoder, object_encoder
from driftline.scoring.artifact import artifact_table, told
from driftline.scoring.model import Model
from driftline.scoring.package import Loading

_NUMBERS: Final = itertools.count(1)


class _Artifact(msgspec.Struct, frozen=True):
    runtime: str
    name: str = msgspec.field(name="class")
    cpu_bound: bool = False
    processes: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0


def load(loading: Loading) -> Model:
    """Returns the model of a package whose runtime is ``python``: in this process or, if ``cpu_bound``, in others.

    Raises:
        ModelError: There is no such class, or it cannot be made.
    """
    artifact = artifact_table(loading.package, _Artifact)
    if not artifact.cpu_bound:
        for key in ("processes", "timeout_s"):
            if key in loading.package.artifact:
                raise ModelError(f"artifact.{key} is for a model that is cpu_bound")
        return class_model(loading.package)
    from driftline.scoring.pool import PoolModel  # noqa: PLC0415 (asyncio and subprocess, which few models need)

    return PoolModel(loading.package, artifact.processes, artifact.timeout_s)


def class_model(package: Package) -> ArrayModel:
    """Returns the model that an instance of the package's class is, in this process.

    Raises:
        ModelError: There is no such class, or it cannot be made.
    """
    name = artifact_table(package, _Artifact).name
    model = _instance(_found(package.path, name), name, package.path)
    inputs = package.schema.inputs
    encode = matrix_encoder(inputs) if all_numbers(inputs) else object_encoder(inputs)
    return ArrayModel(package.schema, encode, model.predict)


def _found(path: Path, name: str) -> Any:
    module_name, _, class_name = name.partition(":")
    if not class_name or not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise ModelError(f'artifact.class must be "module:Class", and is {name!r}')
    try:
        module = _module(path, module_name)
    except Exception as error:  # it is code of somebody else's
        raise ModelError(
            f"the module {module_name} cannot be imported: {type(error).__name__}: {told(error)}"
        ) from error
    try:
        return getattr(module, class_name)
    except AttributeError as error:
        raise ModelError(f"the module {module_name} has no {class_name}") from error


def _module(path: Path, name: str) -> ModuleType:
    """Returns a module of the package's folder, under a name that no other package's has; or an installed one."""
    first, dot, rest = name.partition(".")
    file = next((file for file in (path / f"{first}.py", path / first / "__init__.py") if file.is_file()), None)
    if file is None:
        return import_module(name)
    unique = f"_driftline_model_{next(_NUMBERS)}_{first}"
    inner = [str(file.parent)] if file.name == "__init__.py" else None
    spec = spec_from_file_location(unique, file, loader=_Source(unique, str(file)), submodule_search_locations=inner)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python source")
    module = sys.modules[unique] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return import_module(unique + dot + rest) if rest else module


class _Source(SourceFileLoader):
    """Compiles what is in the file now; a cached one may be older, if both were written within a second."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 (importlib's own signature)
        """Returns the code of the module."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _instance(kind: Any, name: str, path: Path) -> Any:
    if not callable(kind):
        raise ModelError(f"{name} is no class")
    try:
        model = kind(path) if _wants_the_path(kind) else kind()
    except Exception as error:  # it is code of somebody else's
        raise ModelError(f"{name} cannot be made: {type(error).__name__}: {told(error)}") from error
    if not callable(getattr(model, "predict", None)):
        raise ModelError(f"{name} has no method predict")
    return model


def _wants_the_path(kind: Any) -> bool:
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    try:
        parameters = inspect.signature(kind).parameters.values()
        return any(each.kind in positional and each.default is each.empty for each in parameters)
    except ValueError:  # a class of C code may have no signature
        return False
