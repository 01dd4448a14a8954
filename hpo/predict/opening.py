"""Open whatever is a model: a run, a study, a record, an ensemble, a model file."""

from pathlib import Path

from hpo.errors import UsageError
from hpo.predict.predictor import Predictor
from hpo.ship.combined import ENSEMBLE

MODEL_FILES = (".onnx", ".pt2")


def open_predictor(path: Path) -> Predictor:
    """Return the model that a path names.

    Args:
        path: a run's folder, a study's folder, a ``best_config.json``, an ``ensemble.json`` or its
            folder, an ``.onnx`` or a ``.pt2`` file. An ``.onnx`` file is opened without torch.

    Raises:
        UsageError: if there is no such model, or a file of it is damaged.
        EnvironmentFault: if a package is missing that the file needs.
    """
    suffix = path.suffix.lower()
    if suffix in MODEL_FILES and not path.is_dir():
        return _model_file(path, suffix)
    ensemble = path / ENSEMBLE if path.is_dir() else path
    if ensemble.name == ENSEMBLE and ensemble.is_file():
        from hpo.predict.ensembles import EnsemblePredictor

        return EnsemblePredictor.open(ensemble)
    from hpo.predict.runs import open_run

    return open_run(path)


def _model_file(path: Path, suffix: str) -> Predictor:
    if not path.is_file():
        hint = f"looked in {path.resolve().parent}; hpo export writes one"
        raise UsageError(str(path), "there is no such file", hint)
    if suffix == ".onnx":
        from hpo.predict.onnx_file import OnnxPredictor

        return OnnxPredictor.open(path)
    from hpo.predict.pt2_file import Pt2Predictor

    return Pt2Predictor.open(path)
