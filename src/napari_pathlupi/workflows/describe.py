"""What a slide is, in words."""

from collections.abc import Iterator

from napari_pathlupi.slides import Slide
from napari_pathlupi.slides._choice import depth_words


def lines_about(slide: Slide) -> Iterator[str]:
    """Yield lines that tell size, scale and its source, what there is to choose from, levels and fingerprint."""
    height, width = slide.frame.shape_px0
    mpp = slide.frame.mpp
    size = f", {width * mpp.x / 1000:.2f} × {height * mpp.y / 1000:.2f} mm" if mpp else ""
    yield f"{slide.path.name}: {slide.vendor}, {width:,} × {height:,} px{size}"
    scale = f"{mpp.y:.6g} × {mpp.x:.6g} µm/px ({mpp.source})" if mpp else "unknown: give it with --mpp"
    yield f"  pixel size   {scale}"
    if slide.missing_tiles:
        yield f"  {missing_words(slide.missing_tiles)}"
    yield from _choices(slide)
    for index, level in enumerate(slide.levels):
        rows, columns = level.shape_px
        coarser = f", {level.downsample:.6g} times coarser" if index else ""
        yield f"  level {index}      {columns:,} × {rows:,} px{coarser}"
    yield f"  fingerprint  {slide.fingerprint}"


def missing_words(count: int) -> str:
    """Return a sentence about stored tiles that cannot be read, or "" when there is none."""
    return (
        f"{count:,} stored tiles cannot be read (left out of predictions, white where converted): copy the file again."
        if count
        else ""
    )


def _choices(slide: Slide) -> Iterator[str]:
    offer, choice = slide.offer, slide.choice
    profile = f", colour profile (ICC) of {len(offer.icc_profile):,} bytes" if offer.icc_profile else ""
    yield f"  colours      {choice.colour}{profile or ', no colour profile (ICC) known'}"
    for flag, entries, chosen in (
        ("scene", offer.scenes, choice.scene),
        ("plane", [depth_words(depth) for depth in offer.planes_um], choice.plane),
    ):
        for index, words in enumerate(entries if len(entries) > 1 else ()):
            told = " ".join(filter(None, [str(words), "(this one)" * (index == chosen)]))
            yield f"  {flag} {index}      {told}".rstrip()
