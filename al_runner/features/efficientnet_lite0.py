"""EfficientNet-Lite0 with weights of ImageNet, from a package that holds them.

N images, D = 1280 features.
"""

from dataclasses import dataclass

from al_runner.data.archive import sha256
from al_runner.features.nets import Frozen, OfNet, require_images
from al_runner.models.efficientnet_lite0 import efficientnet_lite0, require_package, weights_file
from al_runner.settings.declare import options
from al_runner.types import DataSet


@options("features")
@dataclass(frozen=True)
class EfficientNetLite0(OfNet):
    """The 1,280 numbers before the last layer of EfficientNet-Lite0, which was trained on ImageNet's labels."""

    @property
    def label(self) -> str:
        return "efficientnet_lite0"

    def require(self, data: DataSet | None = None) -> None:
        require_package("features")
        require_images(data, self.label)

    def load(self) -> Frozen:
        self.require()
        file = weights_file()
        body = efficientnet_lite0(self.size, file)
        return Frozen(body.net, body.transform, sha256(file))
