"""What is wrong with the words of a command line, and what to write instead."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from al_runner.errors import UsageError
from al_runner.settings.command_line import config_dir, hydras_words, require_own_names
from al_runner.settings.groups import conf_dir


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "strategy=random, uncertainty",
            "'uncertainty' is a word of its own; write strategy=random,uncertainty without",
        ),
        (
            "strategy=random ,uncertainty",
            "',uncertainty' is a word of its own; write strategy=random,uncertainty without",
        ),
        (
            "-m strategy=random , uncertainty",
            "',' is a word of its own; write strategy=random,uncertainty without spaces",
        ),
        ("strategy random", "'strategy' is a word of its own; write strategy=random without spaces"),
        ("strategy = random", "'strategy' is a word of its own; write strategy=random without spaces"),
        ("strategy= random", "'random' is a word of its own; write strategy=random without spaces"),
        ("strategy =random", "'strategy' is a word of its own; write strategy=random without spaces"),
        ("strategy=random,", "strategy=random, ends with a comma; write its values without spaces between them"),
        ("random", "'random' is no option; options are given as key=value (al-run --help lists them)"),
        ("--strategy random", "there is no flag --strategy; options are given without dashes, as strategy=random"),
        (
            "--strategy=random",
            "there is no flag --strategy=random; options are given without dashes, as strategy=random",
        ),
        ("--seed", "there is no flag --seed; options are given without dashes, as seed=..."),
        ("-x", "there is no flag -x; al-run --hydra-help lists them"),
        ("--dryrun seed=1", "there is no flag --dryrun; did you mean --dry-run?"),
        ("--multi-run", "there is no flag --multi-run; did you mean --multirun?"),
        ("--cfg jobs", "argument --cfg/-c: invalid choice: 'jobs'"),
        ("--resolve", "--resolve goes with --cfg or --help, as in al-run --cfg job --resolve"),
        ("-m seed=0,1 --cfg job", "--multirun and --cfg don't go together; --cfg shows one run, so leave -m and the"),
        (
            "run.strategy=../../x",
            "run.strategy can't be set: it is made of the run's own choices; tell runs apart with",
        ),
        ("++run.strategy=abc", "run.strategy can't be set"),
        ("~run.strategy", "run.strategy can't be set"),
        ("run=3", "run can't be set"),
        (
            "strategy=null",
            "strategy=null leaves the run without a strategy; choose one with strategy=... (al-run --help",
        ),
        ("-m strategy=random,null", "strategy=random,null leaves the run without a strategy"),
        ("~dataset", "~dataset leaves the run without a dataset"),
        ("learner=null", "learner=null leaves the run without a learner"),
        ("model=null", "model=null leaves the run without a model"),
        ("oracle=null", "oracle=null leaves the run without an oracle"),
        (
            "strategy=random,entropy",
            "strategy=random,entropy has several values; a sweep runs them all: al-run -m strategy=random,entropy (in",
        ),
        ("seed=range(0,3)", "seed=range(0,3) has several values; a sweep runs them all: al-run -m seed=range(0,3) (in"),
        (
            "strategy=[random,entropy]",
            "strategy=[random,entropy] gives a run several choices of strategy; a sweep runs them all: al-run -m "
            "strategy=random,entropy (in Python, al_runner.sweep)",
        ),
        ("-m model=[linear,mlp] seed=1,2", "model=[linear,mlp] gives a run several choices of model"),
        ("strategy=", "strategy= names no choice of strategy, which is a word; choose one with strategy=WORD (al-run"),
        ("pool=", "pool= names no choice of pool"),
        ("learner=2", "learner=2 names no choice of learner"),
        ("-m stopping=plateau,true", "stopping=plateau,true names no choice of stopping"),
        ("-m strategy=random,1.5", "strategy=random,1.5 names no choice of strategy"),
        ("'seed = 3'", "'seed = 3' has spaces around its =; write seed=3"),
    ],
    ids=str,
)
def test_a_mistake_gets_one_line(words: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        hydras_words(shlex.split(words))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "/data/photos (1)",
        "/data/a=b",
        "/data/[old]",
        "/data/фото",
        "/data/{x}",
        "~/x",
        '/data/a"b(',
        "C:\\a(b",
        "a'b(c",
    ],
    ids=str,
)
def test_a_path_that_hydra_misreads_is_shown_as_hydra_reads_it(path: str) -> None:
    """The proposed word, through a shell and Hydra's own parser, gives the very path back."""
    with pytest.raises(UsageError, match="can't be read") as caught:
        hydras_words([f"dataset.path={path}"])
    proposed = str(caught.value).partition("quote them twice: al-run ")[2]
    (word,) = shlex.split(proposed)
    assert OverridesParser.create().parse_override(word).value() == path
    assert hydras_words([word]) == [word]


@pytest.mark.parametrize(
    ("words", "hydras"),
    [
        ("dataset=usps -m seed=0,1", "-m dataset=usps seed=0,1"),
        ("pool=null strategy=random", "pool=[] strategy=random"),
        ("logger=null experiment=null", "logger=[] experiment=[]"),
        ("-m pool=null,label_noise", "-m pool=[],label_noise"),
        ("dataset=usps.yaml strategy=random", "dataset=usps strategy=random"),
        ("-m strategy=random.yaml,badge.yaml", "-m strategy=random,badge"),
        ("dataset.path=mine.yaml --config-dir pool", "--config-dir pool dataset.path=mine.yaml"),
        ("-m pool=label_noise,null name=null,x", "-m pool=label_noise,[] name=null,x"),
        ("~pool seed=1", "~pool seed=1"),
        ("budget.max_rounds=null", "budget.max_rounds=null"),
        ("--config-dir mine seed=1 --cfg job", "--config-dir mine --cfg job seed=1"),
        ("+training.optimizer.amsgrad=true", "+training.optimizer.amsgrad=true"),
        ("hydra/launcher=slurm name=", "hydra/launcher=slurm name="),
        ("-m strategy=a,b strategy.damping=0.2 seed=1", "-m strategy=a,b strategy.damping=choice(0.2) seed=1"),
        ("-m experiment=a,b dataset.path='x' seed=1,2", "-m experiment=a,b dataset.path=choice('x') seed=1,2"),
        ("-m strategy=a,b strategy.damping=0.1,0.2 name=", "-m strategy=a,b strategy.damping=0.1,0.2 name="),
        ("-m strategy=a,b +strategy.more=1 ~training.augment", "-m strategy=a,b +strategy.more=1 ~training.augment"),
        ("-m strategy=a seed=0,1 strategy.damping=0.2", "-m strategy=a seed=0,1 strategy.damping=0.2"),
        ("budget.known=2 budget.query=3", "budget.known=2 budget.query=3"),
        ("training.keep=best training.optimizer.lr=1", "training.keep=best training.optimizer.lr=1"),
        ("training.optimizer.weight_decay=0.1 x.y=1", "training.optimizer.weight_decay=0.1 x.y=1"),
        ("strategy.recipe.keep=last learner.first.keep=last", "strategy.recipe.keep=last learner.first.keep=last"),
        ("-m training=a,b training.keep=best", "-m training=a,b training.keep=choice(best)"),
        ("-m training.keep=best,last +training.patience=1", "-m training.keep=best,last +training.patience=1"),
    ],
    ids=str,
)
def test_what_is_right_is_passed_on_flags_first(words: str, hydras: str) -> None:
    assert hydras_words(words.split()) == hydras.split()


@pytest.mark.parametrize("word", ["training.keep=last", "budget.known=2", "++x.y=1", "+training.more=1", "seed=3"])
def test_a_word_is_recorded_as_it_was_given(word: str) -> None:
    assert hydras_words([word]) == [word]


def test_a_list_is_told_from_several_values() -> None:
    assert hydras_words(["model.widths=[8,8]"]) == ["model.widths=[8,8]"]
    with pytest.raises(UsageError, match=r"a list stands in brackets: model\.widths=\[\.\.\.\]$"):
        hydras_words(["model.widths=8,8"])
    assert hydras_words(["seed=0,1", "strategy=random,entropy"], sweep=True) == ["seed=0,1", "strategy=random,entropy"]


def test_a_file_of_one_s_own_that_would_not_be_read_is_named(tmp_path: Path) -> None:
    """Hydra reads conf/ first, so a changed copy of a preset would do nothing."""
    (tmp_path / "budget").mkdir()
    (tmp_path / "budget" / "mine.yaml").touch()
    require_own_names(tmp_path)
    require_own_names(tmp_path / "nowhere")
    require_own_names(conf_dir())
    (tmp_path / "budget" / "small.yaml").touch()
    with pytest.raises(UsageError, match=r"has the name of al-runner's own budget/small\.yaml.*my_small\.yaml"):
        require_own_names(tmp_path)


@pytest.mark.parametrize("words", [["--config-dir", "a b"], ["--config-dir=a b"], ["seed=1", "-cd", "a b"]], ids=str)
def test_the_folder_of_config_dir_is_found(words: list[str]) -> None:
    assert config_dir(words) == "a b"
    assert config_dir(["seed=1"]) is None
