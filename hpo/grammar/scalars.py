"""What a decided leaf may be."""

Scalar = None | bool | int | float | str
