"""What a run has left in its folder, as Python sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from al_runner.errors import UsageError
from al_runner.record.state import ASKING, read


@dataclass(frozen=True)
class RunFolder:
    """A run, finished or not; everything is read anew from its folder."""

    folder: Path

    @property
    def state(self) -> str:
        """What the run is doing, in al-status's words; "unknown" where its folder does not say."""
        held = read(self.folder)
        return held.state if held is not None else "unknown"

    @property
    def waiting(self) -> bool:
        """Whether it waits for a person's labels: `folder`/query.html asks for them."""
        return self.state == ASKING

    @property
    def rounds(self) -> pd.DataFrame:
        """rounds.csv: a row a round."""
        return self._table("rounds.csv")

    @property
    def acquired(self) -> pd.DataFrame:
        """acquired.csv: a row a label bought."""
        return self._table("acquired.csv")

    @property
    def predicted(self) -> pd.DataFrame:
        """predicted.csv: what the net said of the images before their labels were bought."""
        return self._table("predicted.csv")

    @property
    def config(self) -> Mapping[str, Any]:
        """config.yaml."""
        from al_runner.api.nets import config_of  # noqa: PLC0415 - torch and Hydra

        return config_of(self.folder)

    def plot(self) -> Path:
        """Draw the learning curve; the file, which a notebook shows by IPython.display.Image(run.plot())."""
        from al_runner.analysis import draw_run  # noqa: PLC0415 - matplotlib

        return Path(draw_run(self.folder))

    def net(self) -> nn.Module:
        """The net of the last round: its saved weights (save_weights=last), else trained again, which takes as long.

        In evaluation mode, from uint8 images to logits. Several nets are one whose outputs are log mean probabilities.
        """
        from al_runner.api.nets import load_net, trained_again  # noqa: PLC0415 - torch and Hydra

        try:
            return load_net(self.folder, "last")
        except UsageError:
            return trained_again(self.folder)

    def _table(self, name: str) -> pd.DataFrame:
        path = self.folder / name
        if not path.exists():
            raise UsageError(f"{self.folder} has no {name} yet; the run is {self.state}")
        return pd.read_csv(path)
