"""From files to tensors: sources, preparation, splits, fingerprints, the data module.

Importing this fills the registry of sources; it imports no torch.
"""

from lightning_modules.data import config, synthetic_config

__all__ = ["config", "synthetic_config"]
