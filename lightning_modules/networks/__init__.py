"""One builder per family: config to nn.Module."""
