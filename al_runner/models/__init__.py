"""One architecture a file: (image_shape, classes) -> a net that takes float [N, C, H, W] and gives logits [N, Y]."""
