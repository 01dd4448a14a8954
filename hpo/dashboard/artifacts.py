"""The files of studies as artifacts of Optuna's dashboard: served from where they lie."""

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

from hpo.layout import StudyFolder

PREFIX = "artifacts:"
"""Of the system attributes by which Optuna's dashboard knows of an artifact."""
STUDY_FILES = {"best_config.json": "application/json", "leaderboard.csv": "text/csv"}
PICTURES = {
    "curve.svg": "image/svg+xml",
    "confusion.svg": "image/svg+xml",
    "residuals.svg": "image/svg+xml",
}
"""What a trial may have left to look at."""
_SPACE = uuid.UUID("6f8f2f0e-5d0c-4d0b-9d55-1b1a5d3f6c11")


@dataclass(frozen=True)
class Artifacts:
    """An artifact store of what is there: an id is looked up, no name becomes a path."""

    _files: dict[str, Path] = field(default_factory=dict)

    def of_study(self, folder: StudyFolder) -> dict[str, str]:
        """Return the system attributes that name a study's files."""
        return self._described(folder.path, folder.name, STUDY_FILES)

    def of_trial(self, folder: StudyFolder, number: int) -> dict[str, str]:
        """Return the system attributes that name a trial's pictures."""
        return self._described(folder.trial(number), f"{folder.name}/{number}", PICTURES)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file that was described before.

        Raises:
            ArtifactNotFound: if none was by that id, or it is gone.
        """
        try:
            return self._files[artifact_id].open("rb")
        except (KeyError, OSError):
            raise ArtifactNotFound(artifact_id) from None

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refuse.

        Raises:
            PermissionError: always; the files are the studies'.
        """
        raise PermissionError("artifacts are for looking only")

    def remove(self, artifact_id: str) -> None:
        """Refuse.

        Raises:
            PermissionError: always; the files are the studies'.
        """
        raise PermissionError("artifacts are for looking only")

    def _described(self, place: Path, owner: str, kinds: dict[str, str]) -> dict[str, str]:
        found = {}
        for name, kind in kinds.items():
            file = place / name
            if not file.is_file():
                continue
            artifact = str(uuid.uuid5(_SPACE, f"{owner}/{name}"))
            self._files[artifact] = file
            meta = {"artifact_id": artifact, "filename": name, "mimetype": kind, "encoding": None}
            found[PREFIX + artifact] = json.dumps(meta)
        return found
