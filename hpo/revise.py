"""Write into ``best_config.json`` what is found out about a best config after its training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo.best import BestConfig
from hpo.files import write_json
from hpo.layout import locked_folder
from hpo.reasons import revised_reasons
from hpo.records import read_record


def revise_best(
    file: Path, *, of: BestConfig, changes: Mapping[str, Any], reasons: Mapping[str, str]
) -> bool:
    """Write what was found out about a best config into its file, as it is by now.

    A study that runs writes the file too; each waits for the other, and what the other wrote stays.

    Args:
        file: ``best_config.json``, of a study or a copy.
        of: the best config that was looked at.
        changes: new values by their dotted paths.
        reasons: why those of them that are null are.

    Returns:
        Whether the file is still that of the same config and weights; if not, it is left alone.

    Raises:
        UsageError: if the file is gone, or is no such record any more.
    """
    with locked_folder(file.parent):
        now = read_record(file, BestConfig)
        same = (now.config_sha256, now.checkpoint["sha256"])
        if same != (of.config_sha256, of.checkpoint["sha256"]):
            return False
        plain: dict[str, Any] = now.model_dump(mode="json", by_alias=True)
        for path, value in changes.items():
            *parents, last = path.split(".")
            section = plain
            for key in parents:
                section = section[key]
            section[last] = value
        plain["null_because"] = revised_reasons(plain, {**plain["null_because"], **reasons})
        write_json(file, BestConfig.model_validate(plain).model_dump(mode="json", by_alias=True))
    return True
