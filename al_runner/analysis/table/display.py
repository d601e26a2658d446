"""The names of strategies, data sets and nets in figures, pages and papers. Other names stay as they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from al_runner.analysis.table.names import EVERYTHING, LOOK_AHEAD
from al_runner.errors import UsageError

PAPERS = {  # of published.csv
    "beluch2018": "Beluch et al. (2018)",
    "gal2017": "Gal et al. (2017)",
    "gissin2019": "Gissin & Shalev-Shwartz (2019)",
    "kirsch2019": "Kirsch et al. (2019)",
    "tran2019": "Tran et al. (2019)",
    "werner2024": "Werner et al. (2024)",
    "yoo2019": "Yoo & Kweon (2019)",
}
# The order decides colours and markers (draw/style.py), so add a new name at the end.
STRATEGIES = {
    "random": "Random",
    "uncertainty": "Uncertainty",
    "kfac_vfe": "KFAC-VFE",
    "entropy": "Entropy",
    "margin": "Margin",
    "badge": "BADGE",
    "core_set": "Core-set",
    "bald": "BALD",
    "curriculum": "Curriculum",
    "bait": "BAIT",
    "batch_bald": "BatchBALD",
    "power_bald": "PowerBALD",
    "epig": "EPIG",
    "mean_std": "Mean STD",
    "variation_ratios": "Variation ratios",
    "egl": "EGL",
    "emoc": "EMOC",
    "dfal": "DFAL",
    "learning_loss": "Learning loss",
    "ceal": "CEAL",
    "cluster_margin": "Cluster-Margin",
    "kfac_trace": "KFAC-trace",
    "kfac_spectral": "KFAC-spectral",
    "kfac_code2016": "KFAC, published code",
    "core_set_robust": "Core-set, robust",
    "suggestive_annotation": "Suggestive annotation",
    "discriminative": "DAL",
    "mbr": "MBR",
    "discriminative_512": "DAL, 512 features",
    "confidence": "Max",
    "variation_ratios_mean": "Variation ratios of the mean",
    "discriminative_28": "DAL, 28 pixels",
    "least_confidence": "Least confidence",
    "kfac_vfe_eq19": "KFAC-VFE (eq. 19)",
    "max_herding": "MaxHerding",
    "uherding": "UHerding",
    "typiclust": "TypiClust",
    "drop_query": "DropQuery",
    "prob_cover": "ProbCover",
    "falcun": "FALCUN",
    "alfa_mix": "ALFA-Mix",
    "noise_stability": "NoiseStability",
    "gaal": "GAAL",
    "bait_top2": "BAIT, top 2 classes",
    "bait_binary": "BAIT, binary",
    "tcm": "TCM",
    "refine": "REFINE",
    "dcom": "DCoM",
    LOOK_AHEAD: "Look-ahead (knows all labels)",
    "select_al": "SelectAL",
    "k_means": "k-means",
    "clue": "CLUE",
    "cal": "CAL",
}
# Strategies after those: every pair of a marker and dashes is taken, so a checksum of the name chooses the pen.
LATER_STRATEGIES = {
    "lfosa": "LfOSA",
    "vaal": "VAAL",
    "vaal_full": "VAAL, full size",
    "galaxy": "GALAXY",
    "ldm_s": "LDM-S",
}
OTHERS = {
    "usps": "USPS",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "isic2016": "ISIC 2016",
    "digits": "Digits",
    "usps_cnn": "USPS net",
    "mnist_cnn": "MNIST net",
    "beluch2018_s_cnn": "S-CNN",
    "beluch2018_k_cnn": "K-CNN",
    "lenet5": "LeNet-5",
    "resnet18": "ResNet-18",
    "linear_probe": "linear probe",
    "efficientnet_lite0": "EfficientNet-Lite0",
    EVERYTHING: "Full training set",
}


@dataclass(frozen=True)
class Names:
    """Turns the names of a configuration into those of a paper. Names in `own` replace those of the tables above."""

    own: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Sequence[str], known: Iterable[str]) -> "Names":
        """From words such as `kfac_vfe=KFAC-VFE`.

        Raises UsageError if a word does not have this form, names nothing in `known`, or gives two things one name.
        """
        own = dict(word.partition("=")[::2] for word in words)
        there = sorted(set(filter(None, known)))
        for word, (name, shown) in zip(words, own.items(), strict=False):
            if not name or not shown:
                raise UsageError(f'--label is {word}; give it as --label name="what is shown"')
            if name not in there:
                raise UsageError(f"--label: nothing here is called {name}; choose some of {', '.join(there)}")
        all_shown = [cls(own)(name) for name in there]
        twice = [name for name in own if all_shown.count(own[name]) > 1]
        if twice:
            raise UsageError(f"--label: {own[twice[0]]} would be the name of two things; give {twice[0]} another name")
        return cls(own)

    def __call__(self, curve: str) -> str:
        """The shown name of a curve, or of a part of a run's name: kfac_vfe-all_layers gives KFAC-VFE (all layers)."""
        if curve in self.own:
            return self.own[curve]
        strategy, _, variant = curve.partition("-")
        base = {**STRATEGIES, **LATER_STRATEGIES, **OTHERS, **self.own}.get(strategy)
        if base is None:
            return curve
        parts = [OTHERS.get(part, part.replace("_", " ")) for part in variant.split("-") if part]
        return f"{base} ({', '.join(parts)})" if parts else base

    def title(self, words: str) -> str:
        """A case's title with the shown names of data set and net; its other parts stay as they are."""
        first = words.split(", ")
        return ", ".join([*map(self, first[:2]), *first[2:]])
