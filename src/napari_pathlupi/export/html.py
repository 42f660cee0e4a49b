"""A report of one page that needs nothing but a browser: no other file, no network, no slide."""

import base64
import io
import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.outlook import SurvivalCurve, Values
from napari_pathlupi.core.results import RESEARCH_USE_ONLY, Answer, AnswerRow, Prediction
from napari_pathlupi.export._curve import curve_png
from napari_pathlupi.export._export import Export
from napari_pathlupi.export._whole_file import write_whole

_COLOURMAP = "inferno"
"""Perceptually uniform, and read alike by the colour-blind and in print."""

SIGNED = ("#0072b2", "#9cc8e4", "#fbfbfb", "#f5c08a", "#d55e00")
"""From against to for, blue to orange: told apart by the colour-blind (our choice)."""

_GENE_SETS_SHOWN = 10


def report(prediction: Prediction) -> str:
    """Return the page: answer, attention map, reference check and provenance.

    Of the slide it holds the file name and nothing else: no label, no macro image, no field of its header.
    """
    answer, reference = prediction.answer, prediction.reference
    template = Template(files(__package__).joinpath("_report.html").read_text(encoding="utf-8"))
    return template.substitute(
        slide=escape(Path(prediction.provenance.slide_name).name),
        words=escape(prediction.words),
        model=escape(prediction.provenance.model),
        created=escape(prediction.provenance.created.replace("T", " ").replace("+00:00", " UTC")),
        notices="\n".join(f'<p class="notice">{escape(words)}</p>' for words in _notices(prediction)),
        support="supported" if reference.supported else "unsupported",
        headline=escape(answer.headline),
        certainty=escape(answer.certainty),
        length="" if len(answer.certainty) <= len("> 99 %") else "long",
        remark=f"<p>{escape(answer.remark)}</p>" if answer.remark and reference.supported else "",
        curve=_curve(answer) if isinstance(answer, SurvivalCurve) else "",
        legend=f'<p class="soft">{escape(words)}</p>' if (words := _legend(answer)) else "",
        bars="\n".join(map(_bar, answer.rows())),
        reference=escape(
            f"Like the slides that the model learned from ({reference})."
            if reference.supported and reference.known
            else str(reference)
        ),
        activity=_activity(prediction),
        map=_figure(prediction) if prediction.maps else "",
        gene_sets=_gene_sets(prediction),
        provenance=_table(_provenance(prediction)),
        research_use=escape(RESEARCH_USE_ONLY),
    )


def _notices(prediction: Prediction) -> Iterable[str]:
    if not prediction.reference.supported:
        yield "This slide is unlike those the model learned from: the answer below is not supported."
    if prediction.partial:
        read, asked = int(prediction.read.sum()), len(prediction.grid)
        yield f"Provisional: {read:,} of {asked:,} tiles were read, the answer may change with the others."
    yield from prediction.notes


def _bar(row: AnswerRow) -> str:
    width = 100 * min(1.0, max(0.0, row.share))
    colour = f"background:{escape(row.colour)};" if row.colour else ""
    return (
        f'<div class="row"><span>{escape(row.label)}</span><span class="number">{escape(row.text)}</span></div>'
        f'<div class="bar"><div class="fill" style="{colour}width:{width:.1f}%"></div></div>'
    )


def _curve(answer: SurvivalCurve) -> str:
    folds = f"; thin: each of its {len(answer.folds)} folds" if answer.folds else ""
    caption = f"What the model says at the points, and between them{folds}. Dotted: half of the cases."
    return _figure_of(curve_png(answer), f"Curve: {answer.endpoint}", caption)


def _legend(answer: Answer) -> str:
    """What the bars of an answer mean, where their words do not say it."""
    if isinstance(answer, SurvivalCurve):
        return f"Chance to go without the event ({answer.endpoint}):"
    if isinstance(answer, Values):
        parts = zip(answer.names, answer.ranges, strict=True)
        ends = ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in parts)
        return (
            f"Each bar runs from the least to the largest value of the training cases ({ends} {answer.unit}".strip()
            + "):"
        )
    return ""


def _activity(prediction: Prediction) -> str:
    """Strongest gene sets as a table, or nothing when the model reports none."""
    known = {name: value for name, value in prediction.activity.items() if math.isfinite(value)}
    strongest = sorted(known.items(), key=lambda item: -item[1])[:_GENE_SETS_SHOWN]
    if not strongest:
        return ""
    rows = "".join(
        f'<tr><td>{escape(name.replace("_", " "))}</td><td class="number">{value:+.2f}</td></tr>'
        for name, value in strongest
    )
    return (
        '<section><h2>Gene sets</h2><p class="soft">Activity that the model claims from the picture, not measured, '
        "in standard deviations of its training cases; "
        f"the {len(strongest)} highest of {len(known)}.</p><table>{rows}</table></section>"
    )


def _gene_sets(prediction: Prediction) -> str:
    """The maps of gene sets that were asked for, or nothing."""
    maps = prediction.gene_sets.maps if prediction.gene_sets else {}
    figures = ""
    for name, made in maps.items():
        png = _map_png(prediction, made.drawn, made.quantity, SIGNED if made.signed else _COLOURMAP)
        shown = _figure_of(png, f"Map: {name} of each tile", made.words)
        figures += f"<h3>{escape(name.replace('_', ' '))}</h3>{shown}"
    return f'<section class="maps"><h2>Gene sets, tile by tile</h2>{figures}</section>' if figures else ""


def _figure(prediction: Prediction) -> str:
    shown = _drawn(prediction)
    png = _map_png(prediction, prediction.maps[shown], _begun(shown), _COLOURMAP)
    return _figure_of(png, f"Map: {shown} of each tile", _caption(prediction))


def _figure_of(png: bytes, what: str, caption: str) -> str:
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return (
        f'<figure><img alt="{escape(what)}" src="{source}">'
        f'<figcaption class="soft">{escape(caption)}</figcaption></figure>'
    )


def _drawn(prediction: Prediction) -> str:
    """Which map is shown: of a tile classifier that of the commonest class."""
    wanted = f"probability of {prediction.answer.headline}"
    return wanted if wanted in prediction.maps else next(iter(prediction.maps))


def _begun(words: str) -> str:
    return words[:1].upper() + words[1:]


def _caption(prediction: Prediction) -> str:
    if prediction.attention is None:
        wide = f"{prediction.grid.tile_um:.0f} µm wide"
        return f"{_begun(_drawn(prediction))} for each tile, {wide}. Grey was not looked at."
    read = prediction.attention[prediction.read]
    tenth = max(1, len(read) // 10)
    share, even = float(np.sort(read)[::-1][:tenth].sum()), tenth / len(read)
    return (
        f"Attention percentile among the {len(read):,} tiles read, each {prediction.grid.tile_um:.0f} µm wide: "
        f"1.0 is the tile looked at most. Grey was not looked at. "
        f"The top tenth holds {100 * share:.0f}\u00a0% of the attention; looking everywhere alike would give it "
        f"{100 * even:.0f}\u00a0%."
    )


def _provenance(prediction: Prediction) -> Iterable[tuple[str, str]]:
    origin = prediction.provenance
    y, x = origin.slide_mpp
    yield "Slide fingerprint", origin.fingerprint
    yield "Pixel size", f"{y:.5g} × {x:.5g} µm (y × x; {origin.slide_mpp_source})"
    yield "Tiles", f"{len(prediction.grid):,} of {prediction.grid.tile_px} px at {prediction.grid.mpp:g} µm/px"
    yield "Model", f"{origin.model} ({origin.model_digest})"
    yield "Patch encoder", origin.patch_encoder
    yield "Slide encoder", origin.slide_encoder
    yield "Device", origin.device
    yield "Versions", ", ".join(f"{name} {version}" for name, version in origin.versions.items())
    yield "Settings", ", ".join(f"{name} = {value}" for name, value in origin.settings.items() if value not in ((), ""))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows if value)


def _map_png(
    prediction: Prediction, drawn: npt.NDArray[np.float32], quantity: str, colours: str | Sequence[str]
) -> bytes:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    heatmap = prediction.grid.raster(drawn, quantity)
    shades = colours if isinstance(colours, str) else LinearSegmentedColormap.from_list("signed", colours)
    rows, columns = heatmap.values.shape
    mpp = prediction.grid.slide_mpp
    height_mm, width_mm = rows * heatmap.step_px0[0] * mpp.y / 1000, columns * heatmap.step_px0[1] * mpp.x / 1000
    top_mm, left_mm = heatmap.origin_px0[0] * mpp.y / 1000, heatmap.origin_px0[1] * mpp.x / 1000
    extent = left_mm, left_mm + width_mm, top_mm + height_mm, top_mm
    figure = Figure(figsize=(6.4, float(np.clip(5.2 * height_mm / width_mm, 2.0, 8.0)) + 0.7), layout="constrained")
    axes = figure.add_subplot(facecolor="#e9ebee")
    lowest = 0 if isinstance(colours, str) else -1
    picture = axes.imshow(heatmap.values, shades, vmin=lowest, vmax=1, interpolation="nearest", extent=extent)
    axes.set(xlabel="mm", ylabel="mm")
    axes.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axes, label=heatmap.quantity, shrink=0.8).outline.set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    write_whole(path, report(prediction))


EXPORT = Export("Report", ".html", _write)
