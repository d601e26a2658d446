"""The folder of a run, for Python code."""

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
    """A run, finished or not. Everything is read from its folder anew at each use.

    Tables are pandas frames; reading one that does not exist yet raises UsageError.
    """

    folder: Path

    @property
    def state(self) -> str:
        """What the run is doing, in the words of al-status; "unknown" if its folder does not say."""
        state = read(self.folder)
        return state.state if state is not None else "unknown"

    @property
    def waiting(self) -> bool:
        """Whether the run waits for a person's labels, which `folder`/query.html asks for."""
        return self.state == ASKING

    @property
    def rounds(self) -> pd.DataFrame:
        """rounds.csv: one row for each round."""
        return self._table("rounds.csv")

    @property
    def acquired(self) -> pd.DataFrame:
        """acquired.csv: one row for each label bought."""
        return self._table("acquired.csv")

    @property
    def predicted(self) -> pd.DataFrame:
        """predicted.csv: the net's predictions for images before their labels were bought."""
        return self._table("predicted.csv")

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's options, from config.yaml. Raises UsageError if the folder has no such file."""
        from al_runner.api.nets import config_of  # noqa: PLC0415 - torch and Hydra

        return config_of(self.folder)

    def plot(self) -> Path:
        """Draw the learning curve. Returns the PNG file; in a notebook, IPython.display.Image(run.plot()) shows it."""
        from al_runner.analysis import draw_run  # noqa: PLC0415 - matplotlib

        return Path(draw_run(self.folder))

    def net(self) -> nn.Module:
        """The net of the last round, from its saved weights (save_weights=last). Without them it is trained again.

        It is in evaluation mode, and turns uint8 images [N, C, H, W] into logits [N, Y]. An ensemble is one net that
        gives the log of the mean probabilities. Raises UsageError if no round is measured yet, or if the learner has
        no net.
        """
        from al_runner.api.nets import newest_net  # noqa: PLC0415 - torch and Hydra

        return newest_net(self.folder)

    def _table(self, name: str) -> pd.DataFrame:
        path = self.folder / name
        if not path.exists():
            raise UsageError(f"{self.folder} has no {name} yet; the run is {self.state}")
        return pd.read_csv(path)
