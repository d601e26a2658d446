"""The options of al-run itself, at the top of conf/config.yaml."""

from typing import Annotated, Literal, TypedDict

from al_runner.settings.kinds import Few, Means, Seed


class Own(TypedDict):
    """Options of a run that no part of it declares."""

    seed: Annotated[
        Seed,
        Means("for initial set, initial weights, minibatch order and queries; the data set's split has its own seed"),
    ]
    device: Annotated[str, Means("cpu, cuda, cuda:1, or auto: cuda if there is a GPU, else cpu")]
    threads: Annotated[Few, Means("CPU threads of one run; small nets train slower with more than one")]
    data_root: Annotated[str, Means("folder where data sets are prepared, once")]
    results: Annotated[str, Means("folder that the folders of the runs go into")]
    name: Annotated[
        str | int | float | bool,
        Means("a name for a variant of a strategy, in folders and figures, such as name=gamma1"),
    ]
    overwrite: Annotated[bool, Means("forget what the run's folder holds and start anew")]
    recover: Annotated[
        bool, Means("go on after the last sound round of a run whose files are damaged; those are kept beside it")
    ]
    save_weights: Annotated[
        Literal["last", "best", "all"] | None,
        Means(
            "keep trained weights in the run's folder: the last round's, those of the lowest validation error, or all"
        ),
    ]
    standardise: Annotated[
        bool,
        Means(
            "give every channel of a net's inputs mean 0 and variance 1 over the training images; "
            "false: bytes become 0 to 1, and floats stay as they are; "
            "a net with trained weights has its own way in any case"
        ),
    ]
    deterministic: Annotated[
        bool, Means("on a GPU, the same bits at every repetition, but slower; a CPU always gives the same bits")
    ]
