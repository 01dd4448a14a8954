"""Winner or luck: what fresh seeds say."""

from typing import Any

from hpo.insight.study import Insight
from hpo.report.charts import (
    BLUE,
    INK,
    ORANGE,
    Chart,
    Json,
    chart,
    label,
    points,
    rows_axis,
    rows_height,
    spread,
)
from hpo.report.parts import Part
from hpo.report.tables import csv
from hpo.seeds import SeededConfig, SeedsRecord

QUESTION = "Is the winner real, or lucky?"
HOW = (
    "Each config is trained again from common fresh seeds; dots are seeds, a diamond their mean "
    "with Student's interval, a cross the value in the search. Chosen against default: paired by "
    "seed, with allowance for the choice among several. Optimism: the search value less what the "
    "config is worth."
)


def luck_part(insight: Insight) -> Part:
    """Is the winner real, or lucky?"""
    found, record = insight.luck, insight.luck.record
    if record is None:
        imported = insight.material.imported
        command = f"hpo evaluate {insight.material.name} --top 3 --seeds 5"
        return Part(
            key="luck",
            short="Luck",
            question=QUESTION,
            answer=found.sentence,
            how=HOW,
            commands=() if imported else ((command, "trains the best and the default again"),),
        )
    rows = [
        (config.trial, run.seed, run.value, run.test, run.failed or "")
        for config in record.configs
        for run in config.runs
    ]
    return Part(
        key="luck",
        short="Luck",
        question=QUESTION,
        answer=found.sentence,
        charts=(_chart(record, found.sentence),),
        notes=(record.why,) if record.why else (),
        how=HOW,
        csv=csv("seeds.csv", ("trial", "seed", "validation", "test", "failed"), rows),
    )


def _chart(record: SeedsRecord, about: str) -> Chart:
    names = [_name(config) for config in record.configs]
    data: list[Json] = []
    for config in record.configs:
        data += _traces(config)
    shown: set[Any] = set()
    for trace in data:
        trace["showlegend"] = trace["name"] not in shown
        shown.add(trace["name"])
    height, axis = rows_height(len(names)), rows_axis(names)
    return chart(data, about, x=label(record.metric), y="", height=height, yaxis=axis)


def _traces(config: SeededConfig) -> list[Json]:
    name, values, found = _name(config), config.values, config.interval
    if found is None:
        return []
    mean = points([found.mean], [name], "mean and 95 %", colour=INK, symbol="diamond", size=9)
    traces = [
        points(values, [name] * len(values), "a seed", colour=BLUE, opacity=0.55),
        {**mean, "error_x": spread([found.low], [found.mean], [found.high])},
    ]
    if config.search_value is not None:
        was = [config.search_value]
        traces.append(points(was, [name], "in the search", colour=ORANGE, symbol="x", size=9))
    return traces


def _name(config: SeededConfig) -> str:
    return f"trial {config.trial}" + (" (default)" if config.is_default else "")
