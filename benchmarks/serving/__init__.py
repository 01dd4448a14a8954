"""Predictions and the service beside onnxruntime called by hand."""
