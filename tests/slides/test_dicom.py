"""DICOM whole-slide series: which pictures are read, through which library, and what is damaged."""

import sys
from pathlib import Path

import numpy as np
import pytest

from addressed import addresses
from foreign_slides import write_dicom
from napari_pathlupi import open_slide
from napari_pathlupi.errors import MissingExtraError, MppUnknownError, PathlupiError, SlideError
from napari_pathlupi.slides.openslide import OpenSlideSlide

pytest.importorskip("wsidicom", exc_type=ImportError)

PICTURE = addresses((300, 400))
LEVELS = [PICTURE, PICTURE[::2, ::2], PICTURE[::4, ::4]]
BROKEN = "raise RuntimeError('operator torchvision::nms does not exist')"


def _without(library: str, monkeypatch: pytest.MonkeyPatch, folder: Path | None = None) -> None:
    """Take a library away, or put one there that breaks when it is loaded."""
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    if folder is None:
        monkeypatch.setitem(sys.modules, library, None)
    else:
        (folder / f"{library}.py").write_text(BROKEN)
        monkeypatch.syspath_prepend(folder)


def test_a_real_series_shows_what_openslide_shows_and_the_tissue_of_its_source(shared_data: Path) -> None:
    openslide = pytest.importorskip("openslide", exc_type=ImportError)
    folder = shared_data / "wsi/dicom-CMU-1-Small-Region"
    slide = open_slide(folder)
    assert [level.shape_px for level in slide.levels] == [(2967, 2220)]  # no label, no overview, no thumbnail
    assert (slide.mpp.y, slide.mpp.x, slide.mpp.source) == (0.499, 0.499, "DICOM PixelSpacing")
    pixels = slide.read_level(0, (0, 0), (2967, 2220))
    with openslide.OpenSlide(next(folder.glob("*.dcm"))) as reference:
        assert (pixels == np.asarray(reference.read_region((0, 0), 0, (2220, 2967)))[..., :3]).all()
    source = open_slide(shared_data / "wsi/CMU-1-Small-Region.svs").read_level(0, (0, 0), (2967, 2220))
    assert np.abs(pixels.astype(int) - source).mean() < 3.0  # encoded anew; a sheared picture is 30 away


def test_a_real_single_instance_of_jpeg_2000_has_its_unequal_scale(shared_data: Path) -> None:
    openslide = pytest.importorskip("openslide", exc_type=ImportError)
    path = shared_data / "wsi/camelyon_j2k_level.dcm"
    slide = open_slide(path)
    assert (slide.mpp.y, slide.mpp.x) == (28.968, 28.969)
    with openslide.OpenSlide(path) as reference:
        whole = np.asarray(reference.read_region((0, 0), 0, (1696, 812)))[..., :3]
    assert (slide.read_level(0, (0, 0), (812, 1696)) == whole).all()


def test_a_file_is_opened_with_the_levels_beside_it_whatever_they_are_called(tmp_path: Path) -> None:
    files = write_dicom(tmp_path / "series", LEVELS)
    unnamed = files[0].rename(files[0].with_name("IM000001"))
    (tmp_path / "series/notes.txt").write_text("no DICOM")
    slide = open_slide(files[2])
    assert [level.downsample for level in slide.levels] == [1.0, 2.0, 4.0]
    assert (slide.read_level(0, (10, 20), (90, 80)) == PICTURE[10:100, 20:100]).all()
    assert open_slide(unnamed.parent).fingerprint == slide.fingerprint


def test_a_label_and_an_overview_are_never_read(tmp_path: Path) -> None:
    files = write_dicom(tmp_path / "series", LEVELS, kinds=["VOLUME", "LABEL", "OVERVIEW"])
    assert len(open_slide(files[0].parent).levels) == 1
    assert open_slide(files[1]).frame.shape_px0 == (300, 400)  # the slide that the label belongs to
    files[0].unlink()
    with pytest.raises(SlideError, match="no whole-slide picture of the kind VOLUME"):
        open_slide(files[1])


def test_two_slides_in_a_folder_are_not_guessed_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_dicom(tmp_path / "folder", LEVELS)
    write_dicom(tmp_path / "folder", [255 - PICTURE], series="1.2.826.0.1.3680043.8.498.2")
    with pytest.raises(SlideError, match="holds 2 DICOM slides: open one file"):
        open_slide(tmp_path / "folder")
    assert (open_slide(first[1]).read_level(0, (0, 0), (300, 400)) == PICTURE).all()
    pytest.importorskip("openslide", exc_type=ImportError)
    _without("wsidicom", monkeypatch)
    with pytest.raises(SlideError, match="holds 2 DICOM slides: open one file"):
        open_slide(tmp_path / "folder")


@pytest.mark.parametrize("broken", [False, True])
def test_without_wsidicom_openslide_reads_the_same(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openslide", exc_type=ImportError)
    folder = write_dicom(tmp_path / "series", LEVELS)[0].parent
    ours = open_slide(folder)
    _without("wsidicom", monkeypatch, tmp_path if broken else None)
    slide = open_slide(folder)
    assert isinstance(slide, OpenSlideSlide)
    assert [level.shape_px for level in slide.levels] == [level.shape_px for level in ours.levels]
    assert (slide.mpp.y, slide.mpp.x) == pytest.approx((0.25, 0.26), rel=1e-9)
    assert (slide.read_level(0, (33, 44), (155, 166)) == ours.read_level(0, (33, 44), (155, 166))).all()


@pytest.mark.parametrize("broken", [False, True])
def test_without_either_library_the_extra_is_named(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dicom(tmp_path / "series", LEVELS)[0].parent
    for library in ("wsidicom", "openslide"):
        _without(library, monkeypatch, tmp_path if broken else None)
    with pytest.raises(MissingExtraError, match=r"'napari-pathlupi\[dicom\]'") as caught:
        open_slide(folder)
    assert "\n" not in str(caught.value)


def test_a_series_without_pixel_spacing_is_asked_for_its_scale_or_refused(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "series", LEVELS[:1], mpp=None)[0].parent
    with pytest.raises(MppUnknownError):
        _ = open_slide(folder).mpp


def test_dicom_of_another_kind_and_files_that_only_look_like_it_are_told_apart(tmp_path: Path) -> None:
    import pydicom

    file = write_dicom(tmp_path / "series", LEVELS)[0]
    ct = pydicom.dcmread(file)
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    ct.SeriesInstanceUID += ".5"
    (tmp_path / "other").mkdir()
    ct.save_as(tmp_path / "other/ct.dcm")
    with pytest.raises(SlideError, match=r"ct\.dcm is DICOM but no slide"):
        open_slide(tmp_path / "other/ct.dcm")
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(SlideError, match=r"text\.dcm is no DICOM file"):
        open_slide(tmp_path / "text.dcm")
    with pytest.raises(SlideError, match=r"is a folder, but no slide .*holds no DICOM file"):
        open_slide(tmp_path)


def test_a_lost_level_is_told_and_never_silently_left_out(tmp_path: Path) -> None:
    files = write_dicom(tmp_path / "series", LEVELS)
    files[0].write_bytes(files[0].read_bytes()[:900])
    with pytest.raises(SlideError) as caught:
        open_slide(files[0].parent)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_byte_is_changed_only_our_errors_come_out(tmp_path: Path) -> None:
    files = write_dicom(tmp_path / "series", [PICTURE[:100, :100], PICTURE[:100:2, :100:2]])
    random = np.random.default_rng(0)
    whole = files[0].read_bytes()
    header = whole.index(b"\xe0\x7f\x10\x00")  # Pixel Data
    for case in range(120):
        damaged = bytearray(whole[: random.integers(len(whole))] if case % 4 == 0 else whole)
        for place in random.integers(132, max(133, min(header, len(damaged))), size=1 + case % 3):
            if place < len(damaged):
                damaged[place] = random.integers(256)
        files[0].write_bytes(damaged)
        try:
            with open_slide(files[0].parent) as slide:
                slide.read_level(0, (0, 0), (60, 60))
        except PathlupiError as error:
            assert "\n" not in str(error)


def test_frames_that_a_sparse_instance_leaves_out_are_white_and_the_others_in_their_place(tmp_path: Path) -> None:
    import pydicom
    from pydicom.dataset import Dataset

    (file,) = write_dicom(tmp_path / "series", [PICTURE])
    dataset = pydicom.dcmread(file)
    frames = np.frombuffer(dataset.PixelData, np.uint8).reshape(-1, 64 * 64 * 3)
    kept = [index for index in reversed(range(len(frames))) if index not in (0, 9)]
    groups = []
    for index in kept:
        place, group = Dataset(), Dataset()
        row, column = divmod(index, 7)
        place.RowPositionInTotalImagePixelMatrix, place.ColumnPositionInTotalImagePixelMatrix = (
            row * 64 + 1,
            column * 64 + 1,
        )
        for axis in "XYZ":
            setattr(place, f"{axis}OffsetInSlideCoordinateSystem", 0.0)
        group.PlanePositionSlideSequence = [place]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.DimensionOrganizationType, dataset.NumberOfFrames = "TILED_SPARSE", len(kept)
    dataset.PixelData = frames[kept].tobytes()
    dataset.save_as(file)
    expected = PICTURE.copy()
    expected[:64, :64] = expected[64:128, 128:192] = 255
    assert (open_slide(file).read_level(0, (0, 0), (300, 400)) == expected).all()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_focal_planes_are_read_with_their_depth_the_middle_one_first(index: int, tmp_path: Path) -> None:
    import pydicom

    (file,) = write_dicom(tmp_path / "series", [PICTURE])
    dataset = pydicom.dcmread(file)
    frames = np.frombuffer(dataset.PixelData, np.uint8)
    dataset.TotalPixelMatrixFocalPlanes, dataset.NumberOfFrames = 3, 3 * dataset.NumberOfFrames
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 0.0005
    dataset.PixelData = np.concatenate([frames // 3 * step for step in (1, 2, 3)]).tobytes()  # planes outermost
    dataset.save_as(file)
    slide = open_slide(file, plane=index)
    assert slide.offer.planes_um == (0.5, 0.0, 1.0)
    assert (slide.read_level(0, (10, 20), (200, 200)) == PICTURE[10:210, 20:220] // 3 * (2, 1, 3)[index]).all()
    with pytest.raises(SlideError, match=r"has no focal plane 3: it holds 0 \(0\.5 µm\), 1 \(0 µm\), 2 \(1 µm\)"):
        open_slide(file, plane=3)


def test_a_concatenation_is_one_level(tmp_path: Path) -> None:
    import pydicom

    (file,) = write_dicom(tmp_path / "series", [PICTURE])
    dataset = pydicom.dcmread(file)
    frames = np.frombuffer(dataset.PixelData, np.uint8).reshape(-1, 64 * 64 * 3)
    file.unlink()
    dataset.ConcatenationUID, dataset.SOPInstanceUIDOfConcatenationSource = "1.2.3.4.5", dataset.SOPInstanceUID
    dataset.InConcatenationTotalNumber = 2
    for number, part in enumerate((slice(0, 20), slice(20, len(frames))), start=1):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.7.{number}"
        dataset.InConcatenationNumber, dataset.ConcatenationFrameOffsetNumber = number, part.start
        dataset.NumberOfFrames, dataset.PixelData = len(frames[part]), frames[part].tobytes()
        dataset.save_as(tmp_path / f"series/{number}.dcm")
    slide = open_slide(tmp_path / "series/2.dcm")
    assert (slide.read_level(0, (0, 0), (300, 400)) == PICTURE).all()
