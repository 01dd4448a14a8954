"""What TensorBoard's HParams plugin is told: the whole space once, runs, and their ends."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2

from hpo.grammar.nodes import Choices, OneOf, Range
from hpo.space import Parameter
from hpo.tracking.event_file import EventFile

TELLING = ("model", "optimizer")
STATES = ("complete", "pruned", "failed")


def describe(folder: Path, parameters: Sequence[Parameter], metric: str) -> None:
    """Write the one HParams config of a study, where it does not stand yet as it is now.

    HParams reads one config of all that it finds: an older one, of another space, is deleted.
    """
    config = _with_telling(
        summary_v2.hparams_config_pb(
            hparams=[_hparam(parameter) for parameter in parameters]
            + [summary_v2.HParam("state", summary_v2.Discrete(list(STATES)))],
            metrics=[
                summary_v2.Metric(f"objective/{name}", display_name=name)
                for name in (metric, "n_parameters", "latency_ms")
            ],
        )
    )
    content = config.value[0].metadata.plugin_data.content
    written = [path for path in folder.glob("events.*") if content in path.read_bytes()]
    for path in folder.glob("events.*"):
        if path not in written[:1]:
            path.unlink()
    if not written:
        file = EventFile(folder)
        file.add(config, step=0)
        file.flush()


def begin(params: Mapping[str, Any], *, trial: int, state: str, started_utc: str) -> Summary:
    """Return the start of a run. Runs of the same trial, such as its seeds, stand in one row."""
    return summary_v2.hparams_pb(
        {**{name: _plain(value) for name, value in params.items()}, "state": state},
        trial_id=f"t{trial:04d}",
        start_time_secs=datetime.fromisoformat(started_utc).timestamp(),
    )


def end(*, failed: bool) -> Summary:
    """Return the end of a run."""
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


def has_ended(folder: Path) -> bool:
    """Return whether the end of a run is in one of its files."""
    tag = metadata.SESSION_END_INFO_TAG.encode()
    return any(tag in file.read_bytes() for file in folder.glob("events.*"))


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
    return summary_v2.HParam(parameter.name, domain, display_name=parameter.name)


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
    data.experiment.time_created_secs = 0.0
    plugin.content = data.SerializeToString()
    return config
