"""Who is told what happens in a study: TensorBoard, event streams."""
