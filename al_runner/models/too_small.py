"""The error for images that are too small for a net."""

from al_runner.errors import UsageError


def too_small(image_shape: tuple[int, int, int]) -> UsageError:
    """The error for images [C, H, W] of which a net's convolutions and pools would leave no pixel."""
    size = f"{image_shape[1]} x {image_shape[2]}"
    return UsageError(f"images of {size} pixels are too small for this net; use model=small_cnn")
