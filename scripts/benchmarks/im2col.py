"""Convolutions as a matrix of patches and one batched product, to hold against those of a stack, which are grouped."""

from torch import Tensor, nn
from torch.nn.functional import pad


class AsProduct(nn.Conv2d):
    """A convolution without groups and dilation, with zeros around the image.

    Patches [B, H' * W', C * kh * kw] times weights [C * kh * kw, O] give the output with channels last. In a stack that
    is one batched product for all nets and images.
    """

    def forward(self, x: Tensor) -> Tensor:
        (rows, columns), (down, right) = self.kernel_size, self.stride
        if isinstance(self.padding, str):
            raise ValueError("give the padding as numbers")
        above, beside = self.padding
        x = pad(x, (beside, beside, above, above))
        patches = x.unfold(2, rows, down).unfold(3, columns, right).permute(0, 2, 3, 1, 4, 5)  # [B, H', W', C, kh, kw]
        images, height, width = patches.shape[:3]
        out = patches.reshape(images, height * width, -1) @ self.weight.flatten(1).T
        if self.bias is not None:
            out = out + self.bias
        return out.view(images, height, width, -1).permute(0, 3, 1, 2)


def as_products(net: nn.Module) -> nn.Module:
    """The net itself, all of whose convolutions are `AsProduct` now."""
    for layer in net.modules():
        if type(layer) is nn.Conv2d:
            layer.__class__ = AsProduct
    return net
