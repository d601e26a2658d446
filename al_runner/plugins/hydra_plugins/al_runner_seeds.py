"""hydra/sweeper=basic: every combination of a sweep's values, all strategies of the first seed before the second."""

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override

from al_runner.errors import UsageError

# In place of Hydra's own of this name, which varies the last word of the command fastest.
TARGET = {"_target_": "hydra_plugins.al_runner_seeds.SeedsOutermost", "max_batch_size": None, "params": None}
ConfigStore.instance().store(group="hydra/sweeper", name="basic", node=TARGET, provider="al-runner")


class SeedsOutermost(BasicSweeper):
    """Hydra's own sweeper, whose runs are sorted by seed, so that strategies can soon be compared.

    Within a seed, the runs keep the order of the command.
    """

    @staticmethod
    def split_arguments(overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        """Batches of jobs, each a list of overrides, as Hydra's sweeper makes them.

        Raises UsageError for an interval, which names no values, and for a range or a pattern without any.
        """
        for override in overrides:
            if override.is_interval_sweep():
                raise UsageError(
                    f"{override.input_line}: an interval names no values to run; name them, as in seed='range(0,3)' or "
                    "strategy.weight=0.1,0.2"
                )
            if override.is_sweep_override() and not [*override.sweep_string_iterator()]:
                raise UsageError(
                    f"{override.input_line} names no value; al-run --help lists the choices of a group, and a range "
                    "begins with the smaller number, as in seed='range(0,3)'"
                )
        (jobs,) = BasicSweeper.split_arguments(overrides, None)
        seeds = {job: next((word for word in words if word.startswith("seed=")), "") for job, words in enumerate(jobs)}
        places = {seed: place for place, seed in enumerate(dict.fromkeys(seeds.values()))}
        order = sorted(seeds, key=lambda job: places[seeds[job]])
        return [*BasicSweeper.split_overrides_to_chunks([jobs[job] for job in order], max_batch_size)]
