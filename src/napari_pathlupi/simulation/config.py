"""What a simulated cohort is made with."""

import math
from dataclasses import dataclass

from napari_pathlupi.errors import SettingsError


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Settings of a simulated cohort; every number is our choice.

    Parameters
    ----------
    cases
        How many; subtypes are balanced in every four.
    seed
        With the index of a case, decides everything about it.
    shape_px
        Height and width of level 0.
    mpp
        µm per pixel of level 0.
    contrast
        How far apart the subtypes' programmes are; 0 is not at all.
    case_spread
        Standard deviation of a programme's activity between cases of one subtype, of a range of 0 to 1.
    nest_share
        Smallest and largest share of the tissue that is tumour.
    distractors
        How much look-alike normal tissue there is: 1 as usual, 0 only stroma.
    stain_spread
        How much stains and brightness differ between cases; 0 is not at all.
    pen_share
        Share of the slides with a pen mark.
    rna_noise
        Strength of the noise in the transcriptomes; 1 is as usual, 0 is none.
    held_back
        Share of the cases whose split is "test".
    jpeg_quality
        Of the slides, 1 to 100.

    Raises
    ------
    SettingsError
        When a number is outside what can be simulated.
    """

    cases: int = 40
    seed: int = 0
    shape_px: tuple[int, int] = (3072, 3072)
    mpp: float = 0.5
    contrast: float = 1.0
    case_spread: float = 0.16
    nest_share: tuple[float, float] = (0.10, 0.20)
    distractors: float = 1.0
    stain_spread: float = 1.0
    pen_share: float = 0.3
    rna_noise: float = 1.0
    held_back: float = 0.25
    jpeg_quality: int = 85

    def __post_init__(self) -> None:
        low, high = self.nest_share
        side = math.ceil(MIN_SIDE_UM / self.mpp)
        rules = (
            (self.cases >= 1, f"{self.cases} cases cannot be simulated: give 1 or more"),
            (self.seed >= 0, f"the seed {self.seed} is negative: give 0 or more"),
            (0.2 <= self.mpp <= 1.0, f"{self.mpp:g} µm per pixel cannot be simulated: give 0.2 to 1"),
            (min(self.shape_px) >= side, f"{self.shape_px} px is too small a slide: give sides of {side} px or more"),
            (
                0 < low <= high <= 0.5,
                f"a tumour share of {low:g} to {high:g} cannot be simulated: stay within 0 to 0.5",
            ),
            (0 <= self.held_back < 1, f"{self.held_back:g} of the cases cannot be held back: give 0 or more, below 1"),
            (1 <= self.jpeg_quality <= 100, f"a JPEG quality of {self.jpeg_quality} does not exist: give 1 to 100"),
        )
        for holds, sentence in rules:
            if not holds:
                raise SettingsError(f"{sentence}.")


MIN_SIDE_UM = 400.0
