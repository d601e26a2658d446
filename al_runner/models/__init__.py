"""One architecture in each file: (image_shape, classes) -> a net from float [N, C, H, W] to logits [N, Y]."""
