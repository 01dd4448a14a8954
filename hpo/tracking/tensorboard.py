"""TensorBoard: one folder of curves a trial, and HParams over the whole conditional space."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2

from hpo.grammar.nodes import Choices, OneOf, Range
from hpo.layout import StudyFolder
from hpo.proposals import Proposal
from hpo.records import TrialRecord
from hpo.scheduler import Limits
from hpo.space import Parameter
from hpo.tracking.event_file import EventFile
from hpo.tracking.observers import StudyEnd, StudyStart
from lightning_modules.result import Validation

TELLING = ("model", "optimizer")
STATES = ("complete", "pruned", "failed")


class TensorBoardObserver:
    """Write what TensorBoard shows, as it happens."""

    def __init__(self) -> None:
        self._files: dict[int, EventFile] = {}
        self._folder: StudyFolder | None = None
        self._metric = ""

    def study_started(self, start: StudyStart) -> None:
        """Write the one HParams config of the study, and the ends that a kill has left out."""
        self._folder, self._metric = start.folder, start.metric
        if not list(start.folder.tensorboard.glob("events.*")):
            self._describe(start)
        for record in start.past:
            if not _is_told(_place(start.folder, record.number, record.config)):
                self.trial_ended(record, best=False)

    def _describe(self, start: StudyStart) -> None:
        """Write the HParams config, from the whole space."""
        file = EventFile(start.folder.tensorboard)
        config = summary_v2.hparams_config_pb(
            hparams=[_hparam(parameter) for parameter in start.spec.space.parameters()]
            + [summary_v2.HParam("state", summary_v2.Discrete(list(STATES)))],
            metrics=[
                summary_v2.Metric(f"objective/{name}", display_name=name)
                for name in (start.metric, "n_parameters", "latency_ms")
            ],
        )
        file.add(_with_telling(config), step=0)
        file.flush()

    def trial_started(self, proposal: Proposal) -> None:
        """Open the folder of a trial."""
        if self._folder is None:
            return
        place = _place(self._folder, proposal.number, proposal.config.plain())
        self._files[proposal.number] = EventFile(place)

    def validated(self, number: int, validation: Validation, *, prune: bool) -> None:
        """Write the curves."""
        file = self._files[number]
        for name, value in validation.metrics.items():
            file.add_scalar(name, value, step=validation.step)
        file.flush()

    def batch_ended(self) -> None:
        """Nothing is shown of a batch."""

    def budget_changed(self, limits: Limits) -> None:
        """Nothing is shown of a budget."""

    def warned(self, text: str) -> None:
        """Nothing is shown of a warning."""

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        """Write parameters, final values and state: HParams shows a run that has all three."""
        if self._folder is None:
            return
        file = self._files.pop(record.number, None)
        if file is None:  # it could not be begun, or its supervisor was killed
            file = EventFile(_place(self._folder, record.number, record.config))
        params = {name: _plain(value) for name, value in record.params.items()}
        begin = summary_v2.hparams_pb(
            {**params, "state": record.state}, trial_id=f"t{record.number:04d}"
        )
        file.add(begin, step=0)
        run = record.run
        if run is not None:
            file.add_scalar(f"objective/{self._metric}", run.value, step=run.steps)
            file.add_scalar("objective/n_parameters", run.n_parameters, step=run.steps)
            if run.latency_ms is not None:
                file.add_scalar("objective/latency_ms", run.latency_ms, step=run.steps)
        file.add(_end(failed=record.state == "failed"), step=0)
        file.flush()

    def trial_given_back(self, number: int) -> None:
        """Close the file; the trial is written into another when it goes on."""
        self._files.pop(number, None)

    def study_ended(self, end: StudyEnd) -> None:
        """Nothing is left to write."""


def _is_told(folder: Path) -> bool:
    """Return whether the end of a trial is in one of its files."""
    tag = metadata.SESSION_END_INFO_TAG.encode()
    return any(tag in file.read_bytes() for file in folder.glob("events.*"))


def _place(folder: StudyFolder, number: int, config: Mapping[str, Any]) -> Path:
    """Return the folder of a trial, which names its family and optimizer."""
    parts = [f"t{number:04d}", _part(str(config["model"]["family"]))]
    if config.get("optimizer"):
        parts.append(_part(str(config["optimizer"].get("name", ""))))
    return folder.tensorboard / "-".join(parts)


def _part(name: str) -> str:
    """Return a registered name, which may be any text, as part of a folder's name.

    >>> _part("mlp"), _part("../a b")
    ('mlp', '.._a_b')
    """
    return re.sub(r"[^\w.-]+", "_", name)[:40]


def _hparam(parameter: Parameter) -> summary_v2.HParam:
    node = parameter.node
    domain: Any
    if isinstance(node, Range):
        interval = summary_v2.IntInterval if node.whole else summary_v2.RealInterval
        low, high = (int(node.low), int(node.high)) if node.whole else (node.low, node.high)
        domain = interval(low, high)
    elif isinstance(node, OneOf):
        domain = summary_v2.Discrete(sorted(node.branches))
    else:
        domain = summary_v2.Discrete(_discrete(node))
    return summary_v2.HParam(parameter.name, domain)


def _discrete(node: Choices) -> list[Any]:
    """Return choices of one type, as HParams wants them; mixed ones as text."""
    values = [_plain(choice) for choice in node.choices]
    if len({type(value) for value in values}) > 1:
        values = [str(value) for value in values]
    return sorted(values)


def _plain(value: Any) -> Any:
    return "none" if value is None else value


def _with_telling(config: Any) -> Any:
    """Mark the parameters that HParams shows first."""
    plugin = config.value[0].metadata.plugin_data
    data = plugin_data_pb2.HParamsPluginData.FromString(plugin.content)
    for info in data.experiment.hparam_infos:
        info.differs = info.name in TELLING or info.name.endswith((".lr", ".n_layers"))
    plugin.content = data.SerializeToString()
    return config


def _end(*, failed: bool) -> Summary:
    status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    summary = Summary()
    summary.value.add(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return summary
