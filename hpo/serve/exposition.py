"""What Prometheus reads: the counts of all workers together, and drift from the training rows."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from hpo.serve.refusal import REASONS
from hpo.serve.tally import BINS, ROUTES, ROWS, SECONDS, STATUSES, Numbers, Tally
from hpo.ship.drift import bin_count, psi
from hpo.ship.manifest import Manifest, Shares


class Exposition:
    """Writes the metrics; see docs/serving.md for what each one tells."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._manifest: Manifest | None = None
        self._sha256 = ""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def serves(self, manifest: Manifest, sha256: str) -> None:
        """Say which model drift is measured for."""
        self._manifest, self._sha256 = manifest, sha256

    def text(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the metrics, in the form that is asked for."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what there is to tell, as prometheus_client calls it."""
        yield from self._requests()
        yield from self._work()
        yield from self._model()
        yield from self._drift()

    def _requests(self) -> Iterator[Metric]:
        counts = self._tally.total("requests")
        labels = ["route", "status"]
        asked = CounterMetricFamily("hpo_requests", "Requests answered.", labels=labels)
        for route, row in zip(ROUTES, counts, strict=True):
            for status, count in zip(STATUSES, row, strict=True):
                if count:
                    asked.add_metric([route, str(status)], float(count))
        yield asked
        seconds = HistogramMetricFamily(
            "hpo_request_seconds", "From a request's head to its answer.", labels=["route"]
        )
        for route, row in zip(ROUTES, self._tally.total("seconds"), strict=True):
            seconds.add_metric([route], *_histogram(row, SECONDS))
        yield seconds
        errors = CounterMetricFamily("hpo_errors", "Requests refused, by why.", labels=["reason"])
        for reason, count in zip(REASONS, self._tally.total("errors"), strict=True):
            errors.add_metric([reason], float(count))
        yield errors

    def _work(self) -> Iterator[Metric]:
        total = self._tally.total
        yield CounterMetricFamily("hpo_rows", "Rows predicted.", value=float(total("rows")[0]))
        batches = HistogramMetricFamily("hpo_batch_rows", "Rows of one call of the model.")
        batches.add_metric([], *_histogram(total("batch_rows"), ROWS))
        yield batches
        seconds = HistogramMetricFamily("hpo_model_seconds", "Of one call of the model.")
        seconds.add_metric([], *_histogram(total("model_seconds"), SECONDS))
        yield seconds
        text = "Requests that wait for the model."
        yield GaugeMetricFamily("hpo_waiting_requests", text, value=float(total("waiting")[0]))
        text = "Workers that answer."
        yield GaugeMetricFamily("hpo_ready_workers", text, value=float(total("ready")[0]))

    def _model(self) -> Iterator[Metric]:
        taken, refused = self._tally.total("reloads")
        reloads = CounterMetricFamily(
            "hpo_reloads", "Changed model files, by what came of them.", labels=["result"]
        )
        reloads.add_metric(["taken"], float(taken))
        reloads.add_metric(["refused"], float(refused))
        yield reloads
        if self._manifest is None:
            return
        manifest = self._manifest
        told = {
            "sha256": self._sha256,
            "name": manifest.name,
            "kind": manifest.kind,
            "created": manifest.created_utc,
            "config_sha256": manifest.config_sha256,
        }
        yield InfoMetricFamily("hpo_model", "The model of the worker that was asked.", value=told)
        on = GaugeMetricFamily(
            "hpo_model_workers", "Workers that answer with a model.", labels=["sha256"]
        )
        loaded = GaugeMetricFamily(
            "hpo_model_loaded_timestamp_seconds", "Since when, the latest.", labels=["sha256"]
        )
        for sha256 in sorted({part.sha256 for part in self._tally.parts if part["ready"][0]}):
            parts = [part for part in self._tally.parts if part.sha256 == sha256]
            on.add_metric([sha256], sum(float(part["ready"][0]) for part in parts))
            loaded.add_metric([sha256], max(float(part["loaded_unix"][0]) for part in parts))
        yield on
        yield loaded

    def _drift(self) -> Iterator[Metric]:
        if self._manifest is None:
            return
        statistics, sha256 = self._manifest.statistics, self._sha256
        rows = float(self._tally.total("watched_rows", sha256)[0])
        text = "Recent rows that drift is measured by."
        yield GaugeMetricFamily("hpo_drift_rows", text, value=rows)
        for name, text, expected in (
            ("inputs", "Population stability index of a column.", statistics.inputs),
            ("predictions", "Population stability index of predictions.", statistics.predictions),
        ):
            counts = self._tally.total(f"watched_{name}", sha256)
            metric = f"hpo_{name.removesuffix('s')}_drift_psi"
            drift = GaugeMetricFamily(metric, text, labels=["quantity"])
            for quantity, index in drift_of(expected, counts).items():
                drift.add_metric([quantity], index)
            yield drift


def drift_of(expected: Sequence[Shares], counts: Numbers) -> dict[str, float]:
    """Return the index of each quantity by name; NaN where there are too few rows."""
    return {
        shares.name: psi(shares, row[: bin_count(shares)])
        for shares, row in zip(expected, counts, strict=False)
        if bin_count(shares) <= BINS
    }


def _histogram(cells: Numbers, bounds: tuple[float, ...]) -> tuple[list[tuple[str, float]], float]:
    """Return a histogram as prometheus_client takes it: counts up to each bound, and the sum."""
    upto = cells[:-1].cumsum().tolist()
    names = [*(str(bound) for bound in bounds), "+Inf"]
    return list(zip(names, upto, strict=True)), float(cells[-1])
