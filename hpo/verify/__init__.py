"""Whether a best config is what its file says: hashes, the weights, the training, fresh seeds."""
