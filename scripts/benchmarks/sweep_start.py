"""The configurations of a sweep's jobs, 5 strategies with 20 seeds: composed twice, as before the first run begins.

Each job by Hydra alone (A) against one composition for every choice of files, and values in copies of it (B). Equal
configurations first.
"""

from collections.abc import Callable
from functools import partial
from itertools import product

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from paired import paired, start

from al_runner.plugins import registered  # noqa: F401 - the resolvers of conf/
from al_runner.settings import sweep_jobs
from al_runner.settings.groups import conf_dir

STRATEGIES = "random", "badge", "entropy", "margin", "bald"
WORDS = ["learner=dropout", "model=gal2017_cnn", "budget.max_rounds=1", "results=/tmp/sweep"]


def main() -> None:
    repeats = start(__doc__, "A", "B")
    jobs = [[f"strategy={name}", f"seed={seed}", *WORDS] for seed, name in product(range(20), STRATEGIES)]
    with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="al-run"):
        loader = GlobalHydra.instance().config_loader()
        assert isinstance(loader, ConfigLoaderImpl)

        def compose(load: Callable[[ConfigLoaderImpl, DictConfig, list[str]], DictConfig]) -> list[object]:
            sweep = loader.load_configuration("config", WORDS, RunMode.MULTIRUN)
            for _ in range(2):
                made = [load(loader, sweep, job) for job in jobs]
            return [OmegaConf.to_container(config) for config in made]

        alone, ours = partial(compose, sweep_jobs._load_as_hydra), partial(compose, sweep_jobs.load)
        assert alone() == ours()
        print(paired(alone, ours, repeats).line("100 jobs, Hydra (A), ours (B)", "none"))


if __name__ == "__main__":
    main()
