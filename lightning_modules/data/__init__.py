"""From files to tensors: sources, preparation, splits, fingerprints, the data module."""
