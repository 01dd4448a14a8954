"""What is trained and how to train it once: configs, data, networks, one run."""
