"""The latent programmes of a simulated tumour: what ties its genes to its looks."""

from dataclasses import dataclass

import numpy as np

from napari_pathlupi.simulation.config import SimulationConfig


@dataclass(frozen=True, slots=True)
class Programme:
    """One latent programme, active to a degree of 0 to 1.

    Parameters
    ----------
    name
        What it is called in the truth.
    gene_sets
        Hallmark gene sets (Liberzon et al. 2015) whose genes follow it.
    morphology
        What it does to tumour nests, and to nothing else.
    """

    name: str
    gene_sets: tuple[str, ...]
    morphology: str


PROGRAMMES = (
    Programme(
        "proliferation",
        ("HALLMARK_E2F_TARGETS", "HALLMARK_G2M_CHECKPOINT", "HALLMARK_MYC_TARGETS_V1", "HALLMARK_MITOTIC_SPINDLE"),
        "large, uneven, pale nuclei with nucleoli, and mitoses",
    ),
    Programme(
        "differentiation",
        ("HALLMARK_ESTROGEN_RESPONSE_EARLY", "HALLMARK_ESTROGEN_RESPONSE_LATE", "HALLMARK_FATTY_ACID_METABOLISM"),
        "tumour cells in rings around lumina",
    ),
    Programme(
        "mesenchymal",
        ("HALLMARK_EPITHELIAL_MESENCHYMAL_TRANSITION", "HALLMARK_TGF_BETA_SIGNALING", "HALLMARK_ANGIOGENESIS"),
        "spindle-shaped nuclei in streams",
    ),
    Programme(
        "immune",
        (
            "HALLMARK_INTERFERON_GAMMA_RESPONSE",
            "HALLMARK_ALLOGRAFT_REJECTION",
            "HALLMARK_INFLAMMATORY_RESPONSE",
        ),
        "lymphocytes among the tumour cells",
    ),
    Programme("hypoxia", ("HALLMARK_HYPOXIA", "HALLMARK_GLYCOLYSIS"), "pale necrotic cores with nuclear dust"),
)
"""Which gene sets go with which looks is our choice, after what pathologists see with them."""

PROFILES = {
    "Demo A": (0.85, 0.20, 0.25, 0.35, 0.60),
    "Demo B": (0.30, 0.85, 0.15, 0.25, 0.15),
    "Demo C": (0.35, 0.15, 0.85, 0.20, 0.45),
    "Demo D": (0.50, 0.35, 0.25, 0.85, 0.20),
}
"""Mean activity of each programme in each subtype; our choice, and no subtype of any real cancer."""

SUBTYPES = tuple(PROFILES)


@dataclass(frozen=True, slots=True)
class Case:
    """One simulated patient; everything about it follows from these fields.

    Parameters
    ----------
    index
        Which of the cohort, from 0.
    subtype
        Its label.
    activities
        Activity of each of `PROGRAMMES` in its tumour, 0 to 1.
    config
        What it was made with.
    """

    index: int
    subtype: str
    activities: tuple[float, ...]
    config: SimulationConfig

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"case_{self.index:04d}"

    def random(self, *stream: int) -> np.random.Generator:
        """Return the random numbers of one of its aspects, always the same."""
        return np.random.default_rng([self.config.seed, self.index + 1, *stream])


def draw_case(config: SimulationConfig, index: int) -> Case:
    """Return one case of the cohort: the same for the same seed and index, whatever the size of the cohort."""
    block, place = divmod(index, len(SUBTYPES))
    subtype = SUBTYPES[int(np.random.default_rng([config.seed, 0, block]).permutation(len(SUBTYPES))[place])]
    profiles = np.array(list(PROFILES.values()))
    mean = profiles.mean(axis=0)
    profile = mean + config.contrast * (np.array(PROFILES[subtype]) - mean)
    noise = np.random.default_rng([config.seed, index + 1]).normal(0.0, config.case_spread, len(PROGRAMMES))
    activities = np.clip(profile + noise, 0.0, 1.0)
    return Case(index, subtype, tuple(float(activity) for activity in activities), config)
