"""The dashboard: our pages, Optuna's and TensorBoard's, behind one port and one guard."""

from hpo.dashboard.site import Dashboard, Options

__all__ = ["Dashboard", "Options"]
