"""TensorBoard: one folder of curves a trial, and HParams over the whole conditional space."""

import re
import time
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from hpo.layout import StudyFolder
from hpo.nodes import Choices, OneOf, Range
from hpo.observers import StudyEnd, StudyStart
from hpo.proposals import Proposal
from hpo.records import TrialRecord
from hpo.space import Parameter
from lightning_modules.result import Validation

TELLING = ("model", "optimizer")
STATES = ("complete", "pruned", "failed")


class TensorBoardObserver:
    """Write what TensorBoard shows, as it happens."""

    def __init__(self) -> None:
        self._writers: dict[int, EventFileWriter] = {}
        self._proposals: dict[int, Proposal] = {}
        self._folder: StudyFolder | None = None
        self._metric = ""

    def study_started(self, start: StudyStart) -> None:
        """Write the one HParams config of the study, from the whole space."""
        self._folder, self._metric = start.folder, start.metric
        folder = start.folder.tensorboard
        if folder.exists():
            return
        folder.mkdir(parents=True)
        writer = EventFileWriter(str(folder))
        config = summary_v2.hparams_config_pb(
            hparams=[_hparam(parameter) for parameter in start.spec.space.parameters()]
            + [summary_v2.HParam("state", summary_v2.Discrete(list(STATES)))],
            metrics=[
                summary_v2.Metric(f"objective/{name}", display_name=name)
                for name in (start.metric, "n_parameters", "latency_ms")
            ],
        )
        _add(writer, _with_telling(config), step=0)
        writer.close()

    def trial_started(self, proposal: Proposal) -> None:
        """Open the folder of a trial."""
        if self._folder is None:
            return
        parts = [f"t{proposal.number:04d}", _part(proposal.config.family)]
        if proposal.config.optimizer is not None:
            parts.append(_part(str(proposal.config.optimizer.model_dump()["name"])))
        folder = self._folder.tensorboard / "-".join(parts)
        self._writers[proposal.number] = EventFileWriter(str(folder))
        self._proposals[proposal.number] = proposal

    def validated(self, number: int, validation: Validation, *, prune: bool) -> None:
        """Write the curves."""
        writer = self._writers[number]
        for name, value in validation.metrics.items():
            _scalar(writer, name, value, step=validation.step)
        writer.flush()

    def batch_ended(self) -> None:
        """Nothing is shown of a batch."""

    def warned(self, text: str) -> None:
        """Nothing is shown of a warning."""

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        """Write parameters, final values and state: HParams shows a run that has all three."""
        writer = self._writers.pop(record.number)
        self._proposals.pop(record.number)
        params = {name: _plain(value) for name, value in record.params.items()}
        begin = summary_v2.hparams_pb(
            {**params, "state": record.state}, trial_id=f"t{record.number:04d}"
        )
        _add(writer, begin, step=0)
        run = record.run
        if run is not None:
            _scalar(writer, f"objective/{self._metric}", run.value, step=run.steps)
            _scalar(writer, "objective/n_parameters", run.n_parameters, step=run.steps)
            if run.latency_ms is not None:
                _scalar(writer, "objective/latency_ms", run.latency_ms, step=run.steps)
        _add(writer, _end(failed=record.state == "failed"), step=0)
        writer.close()

    def trial_given_back(self, number: int) -> None:
        """Close the folder; the trial is written again when it goes on."""
        self._writers.pop(number).close()
        self._proposals.pop(number)

    def study_ended(self, end: StudyEnd) -> None:
        """Close what is open."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


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


def _scalar(writer: EventFileWriter, tag: str, value: float, *, step: int) -> None:
    _add(writer, Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step=step)


def _add(writer: EventFileWriter, summary: Any, *, step: int) -> None:
    writer.add_event(Event(summary=summary, step=step, wall_time=time.time()))
