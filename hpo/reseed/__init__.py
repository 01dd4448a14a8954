"""Train the best configs and the default again with fresh seeds, and judge them by that."""
