"""One file of a trained model with its preparation inside."""
