"""Fixed descriptors of stained tissue, in torch.

A tile is separated into haematoxylin and eosin by the Beer-Lambert law (Ruifrok & Johnston 2001). Each amount is
divided by its own strength in the tile, so that a section stained twice as long looks nearly the same, and described on
a pyramid of 1, 2, 4 and 8 µm per pixel (for tiles at 0.5 µm/px). Every number is a mean over the tile of something that
quarter turns and mirroring do not change, so the vector does not change either. Which descriptors there are, and every
constant without a source, is our choice; none was fitted to pictures of patients.

Only sums, products and slices are used: on a processor they are many times faster than convolutions of one channel,
and they are the same on every device.
"""

import math
from functools import reduce
from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

Tiles = UInt8[Tensor, "tiles side side 3"]
Planes = Float[Tensor, "tiles channels height width"]
Plane = Float[Tensor, "tiles 1 height width"]
Smaller = Float[Tensor, "tiles channels _ _"]
PerPlane = Float[Tensor, "tiles channels"]
Numbers = list[Float[Tensor, "tiles _"]]

HAEMATOXYLIN, EOSIN = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11)
"""Optical density of red, green and blue: Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23 (2001) 291-299."""

CHUNK = 8
"""Tiles at a time on a processor: as many as its cache holds. Elsewhere 32 times that."""

LEVELS = 4

FAINT = 0.1
"""Optical density below which a stain is as good as absent."""

STEPS = (0.25, 0.5, 0.75, 1.0, 1.3, 1.7)
"""Where the histograms of relative amounts are cut."""


@torch.inference_mode()
def describe(tiles: Tiles) -> Float[Tensor, "tiles dim"]:
    """Return one vector per tile, the same on every device to about three digits.

    Parameters
    ----------
    tiles
        RGB; any side divisible by 16. Meant for 0.5 µm per pixel.

    Raises
    ------
    ValueError
        When the side does not divide by 16.
    """
    if tiles.shape[1] % 16:
        raise ValueError(f"tiles of {tiles.shape[1]} px: a side that divides by 16 is needed")
    parts = torch.split(tiles, CHUNK if tiles.device.type == "cpu" else 32 * CHUNK)
    return torch.cat([_describe(part) for part in parts])


def _describe(tiles: Tiles) -> Float[Tensor, "tiles dim"]:
    stains, grain = separate_stains(tiles)
    strength = strength_of(stains)
    level = stains / strength
    levels, textures = [], []
    for _ in range(LEVELS):
        blurred, numbers = _texture(level)
        levels.append(level)
        textures += numbers
        level = _halve(blurred)
    numbers = [
        *_amounts(stains, strength),
        *_distribution(levels[1]),
        *textures,
        *_nuclei(levels[0], grain),
        *(number for level in levels[:3] for number in _spots(level[:, :1])),
        *_lumina(stains[:, 2:]),
        *(number for level in (levels[0], levels[2]) for number in _relations(level)),
        levels[3].std(dim=(2, 3), correction=0),
    ]
    return torch.cat(numbers, dim=1)


def unmixing() -> Float[Tensor, "2 3"]:
    """Return what turns optical density (red, green, blue) into amounts of haematoxylin and eosin.

    The third direction, which is left out, is perpendicular to both.
    """
    first, second = (torch.tensor(vector, dtype=torch.float64) for vector in (HAEMATOXYLIN, EOSIN))
    vectors = torch.stack([first, second, torch.linalg.cross(first, second)])
    vectors /= torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    amounts: Tensor = torch.linalg.inv(vectors)
    return amounts.T[:2].float()


def separate_stains(
    tiles: Tiles,
) -> tuple[Float[Tensor, "tiles 3 height width"], Plane]:
    """Return haematoxylin, eosin and total optical density at half size, and the grain lost by halving.

    Light is averaged over 2 x 2 pixels, as a weaker objective would. The grain is the variance of the green light among
    these four, relative to their mean squared: nearly the variance of their natural optical density.
    """
    light = tiles.permute(0, 3, 1, 2).contiguous().float().add_(1)
    half = _halve(light)
    grain = (_halve(light[:, 1:2].square()) / half[:, 1:2].square() - 1).clamp_(min=0)
    density = half.log10().neg_().add_(math.log10(256)).clamp_(min=0)
    weights = torch.cat([unmixing(), torch.full((1, 3), 1 / 3)]).to(tiles.device)
    return torch.einsum("sc,bcyx->bsyx", weights, density).clamp_(min=0), grain


def strength_of(planes: Planes) -> Float[Tensor, "tiles channels 1 1"]:
    """Return how strong each stain is where it is: the mean amount weighted by the amount itself.

    Glass weighs nothing in it, so it hardly depends on how much of the tile is tissue, and it grows in proportion to
    the stain; below `FAINT` it stays, so that noise on glass is not blown up.
    """
    mean = planes.mean(dim=(2, 3), keepdim=True)
    weighted = planes.square().mean(dim=(2, 3), keepdim=True) / (mean + 1e-3)
    return (weighted.square() + FAINT**2).sqrt()


def _halve(planes: Planes) -> Smaller:
    """Average over 2 x 2; of an odd side every second pixel, blurred, so that both ends are treated alike."""
    if planes.shape[-1] % 2:
        return _blur(planes)[..., ::2, ::2]
    rows = planes[..., 0::2, :] + planes[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]).mul_(0.25)


def _blur(planes: Planes) -> Planes:
    """Average over 3 x 3 with weights 1 2 1; at the border the outermost pixels are repeated."""
    padded = pad(planes, (1, 1, 1, 1), mode="replicate")
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]).mul_(1 / 16)


def _mean(planes: Planes) -> PerPlane:
    return planes.mean(dim=(2, 3))


def _amounts(stains: Planes, strength: Smaller) -> Numbers:
    """How much stain there is: the only numbers that follow the strength of the staining."""
    mean = _mean(stains)
    share = mean[:, :1] / (mean[:, :1] + mean[:, 1:2] + FAINT)
    return [(mean + FAINT).log(), strength[..., 0, 0].log(), share]


def _distribution(relative: Planes) -> Numbers:
    """Mean, spread, skewness and histogram (square roots of shares, so that rare values count) of relative amounts."""
    mean = _mean(relative)
    centred = relative - mean[..., None, None]
    square = centred.square()
    spread = _mean(square).sqrt()
    skewness = _mean(square * centred) / (spread + 0.1) ** 3
    above = [_mean((5 * (relative - step) + 0.5).clamp_(0, 1)) for step in STEPS]
    shares = [1 - above[0], *(low - high for low, high in pairwise(above)), above[-1]]
    histogram = torch.stack(shares, dim=2).clamp(min=1e-5)
    entropy = -(histogram * histogram.log()).sum(dim=2)
    return [mean, spread, skewness, entropy, histogram.sqrt().flatten(1)]


def _texture(level: Planes) -> tuple[Planes, Numbers]:
    """Return the level blurred and, per plane: strength, sign, sparseness, shape and direction of its variation."""
    padded = pad(level, (1, 1, 1, 1), mode="replicate")
    left, middle, right = padded[..., :-2], padded[..., 1:-1], padded[..., 2:]
    outer, slope = left + right, right - left
    smooth, curved = torch.add(outer, middle, alpha=2), torch.sub(outer, middle, alpha=2)
    blurred = _down(smooth)
    bend_down = smooth[..., 2:, :] + smooth[..., :-2, :] - 2 * smooth[..., 1:-1, :]
    bend_across = _down(curved)
    down, across = smooth[..., 2:, :] - smooth[..., :-2, :], _down(slope)
    twist = slope[..., 2:, :] - slope[..., :-2, :]
    blurred.mul_(1 / 16)
    bumps = [*_contrast(level - blurred), _elongation(bend_down, bend_across, twist)]
    return blurred, [*bumps, *_direction(down.mul_(1 / 8), across.mul_(1 / 8))]


def _down(planes: Planes) -> Smaller:
    """Sum of three rows with weights 1 2 1."""
    return torch.add(planes[..., 2:, :] + planes[..., :-2, :], planes[..., 1:-1, :], alpha=2)


def _contrast(detail: Planes) -> Numbers:
    """Strength, sign (dark spots or bright ones) and sparseness of what a blur takes away."""
    square = detail.square()
    size = (_mean(square) + 1e-4).sqrt()
    return [size.log(), _mean(square * detail) / size**3, _mean(detail.abs()) / size]


def _elongation(bend_down: Planes, bend_across: Planes, twist: Planes) -> PerPlane:
    """Share of lines, against round spots, in the curvature."""
    ridge = _mean((bend_down - bend_across).square_().add_(twist.square(), alpha=4).sqrt_())
    blob = _mean(bend_down.add_(bend_across).abs_())
    return ridge / (ridge + blob + 0.1)


def _direction(down: Planes, across: Planes) -> Numbers:
    """Strength of the gradient, and how far it keeps one direction over 4 pixels and over the tile."""
    product = (down * across).mul_(2)
    down, across = down.square_(), across.square_()
    total = _mean(down) + _mean(across) + 1e-4
    difference = _halve(_halve(down - across))
    product = _halve(_halve(product))
    local = _mean((difference.square() + product.square()).sqrt()) / total
    whole = (_mean(difference).square() + _mean(product).square()).sqrt() / total
    return [total.log(), local, whole]


def _nuclei(level: Planes, grain: Plane) -> Numbers:
    """Share of nuclei, outline per area, clustering, and what they look like against their surroundings."""
    nuclei = torch.sigmoid(8 * (level[:, :1] - 0.75))
    share = _mean(nuclei)
    outline = _mean((nuclei[..., 1:, :] - nuclei[..., :-1, :]).abs()) + _mean(
        (nuclei[..., 1:] - nuclei[..., :-1]).abs()
    )
    within, everywhere = _mean(nuclei * level), _mean(level)
    contrast = within / (share + 0.02) - (everywhere - within) / (1.02 - share)
    mottled = _mean(nuclei * (level[:, :1] - _blur(level[:, :1])).abs()) / (share + 0.02)
    return [
        (share + 0.01).log(),
        outline / (share + 0.02),
        _halve(_halve(_halve(nuclei))).std(dim=(2, 3), correction=0),
        contrast,
        mottled,
        (_mean(nuclei * grain) / (share + 0.02) + 1e-3).log(),
        (_mean(grain) + 1e-3).log(),
    ]


def _spots(haematoxylin: Plane) -> Numbers:
    """Number and prominence of dark spots about three pixels wide: maxima within 5 x 5 pixels."""
    once = _blur(haematoxylin)
    response = once - _blur(_blur(_blur(once)))
    height, width = response.shape[-2:]
    padded = pad(response, (2, 2, 2, 2), value=-1.0)
    columns = reduce(torch.maximum, (padded[..., i : i + width] for i in range(5)))
    highest = reduce(torch.maximum, (columns[..., i : i + height, :] for i in range(5)))
    peak = (response >= highest) * ((response - 0.05) * 10).clamp_(0, 1)
    number = _mean(peak)
    return [(number + 2e-4).log(), _mean(peak * response) / (number + 2e-4)]


def _lumina(total: Plane) -> Numbers:
    """Share of what is nearly unstained, in pixels and in ever larger squares: small gaps, lumina, fat, glass."""
    empty = ((0.18 - total) * 10).clamp_(0, 1)
    coarse = _halve(_halve(_halve(empty)))
    return [_mean(empty).sqrt(), _mean(coarse.square()).sqrt(), _mean(_halve(coarse).square().square()).sqrt()]


def _relations(level: Planes) -> Numbers:
    """Correlations between haematoxylin, eosin and the total."""
    centred = level - _mean(level)[..., None, None]
    spread = (_mean(centred.square()) + 1e-3).sqrt()
    turned = centred.roll(1, dims=1)
    return [_mean(centred * turned) / (spread * spread.roll(1, dims=1))]
