"""A trained network with its preparation and its output as one module of tensors."""
