"""Features of other tools: the same places whoever wrote them, questions for what they leave out."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import feature_files as made
from napari_pathlupi.catalogue import patch_encoders, readers, writers
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.geometry import Mpp, SlideFrame
from napari_pathlupi.errors import FeaturesError, MismatchError, SettingsError, UnstatedError
from napari_pathlupi.interchange._names import ELSEWHERE, encoder_named
from napari_pathlupi.interchange._read import read_bag, reader_of
from napari_pathlupi.interchange._told import Reader, Stated, Writer

FRAME = SlideFrame((3600, 4000), Mpp(0.25, 0.25, "Aperio header"))
SAID = Stated(encoder="uni", tile_px0=512.0)


def plain(folder: Path) -> Path:
    return made.write_h5(folder / "case.h5", {"a/emb": made.vectors(), "a/xy": made.CORNERS, "n": np.arange(3)})


def read(tool: str, folder: Path, frame: SlideFrame | None = FRAME, **more: object) -> FeatureBag:
    """Each tool's file with the least that must be added to it."""
    stated = Stated()
    if tool == "clam":
        path, patches = made.clam(folder)
        stated = Stated(encoder="uni", coords=str(patches))
    elif tool == "h5":
        path, stated = plain(folder), replace(SAID, keys="a/emb, /a/xy", unit="px")
    else:
        path = getattr(made, tool)(folder)
    return read_bag(path, frame, replace(stated, **more))


TOOLS = ("trident", "clam", "stamp", "slideflow", "lazyslide", "h5")


@pytest.mark.parametrize("tool", TOOLS)
def test_tiles_lie_where_the_tool_says_in_the_order_of_the_vectors(tool, tmp_path):
    bag = read(tool, tmp_path)
    order = slice(None, None, -1 if tool == "lazyslide" else 1)
    np.testing.assert_allclose(bag.grid.origins_px0, made.CORNERS[order, ::-1])
    tolerance = 1e-3 if tool in ("trident", "stamp") else 0  # stored as float16
    np.testing.assert_allclose(bag.features, made.vectors()[order], atol=tolerance, rtol=tolerance)
    assert bag.features.dtype == np.float32
    assert bag.grid.side_px0 == pytest.approx((512, 512))
    assert bag.grid.slide_mpp == FRAME.mpp
    identity = bag.encoder
    assert (identity.name, identity.version, identity.dim, identity.tile_px, identity.mpp) == (
        "uni",
        "",
        1024,
        256,
        0.5,
    )
    assert "case" in bag.source
    assert any("does not say which weights" in note for note in bag.notes)


def test_lazyslide_says_which_piece_of_tissue_a_tile_lies_on(tmp_path):
    np.testing.assert_array_equal(read("lazyslide", tmp_path).grid.tissue_ids, [2, 1, 1, 1])


@pytest.mark.parametrize(("tool", "knows_the_scale"), [("trident", False), ("stamp", False), ("lazyslide", True)])
def test_without_the_slide_the_scale_is_asked_for_unless_the_file_says_it(tool, knows_the_scale, tmp_path):
    if knows_the_scale:
        assert read(tool, tmp_path, None).grid.slide_mpp.mean == 0.25
    else:
        with pytest.raises(UnstatedError, match=r"--slide or µm per pixel with --mpp"):
            read(tool, tmp_path, None)
    stated = read(tool, tmp_path, None, mpp=0.25)
    np.testing.assert_allclose(stated.grid.side_px0, 512)
    assert stated.grid.slide_mpp.source == "stated by the user"


def no_attributes(folder: Path) -> Path:
    return made.write_h5(folder / "bare.h5", {"feats": made.vectors(512), "coords": made.CORNERS})


@pytest.mark.parametrize(
    ("left_out", "flag"), [("encoder", "--encoder"), ("tile_px0", "--tile-px0"), ("unit", "--unit"), ("mpp", "--mpp")]
)
def test_what_nobody_says_is_asked_for_with_its_flag_one_thing_at_a_time(left_out, flag, tmp_path):
    all_said = Stated(encoder="conch-v1", tile_px0=512.0, unit="px", mpp=0.25)
    assert len(read_bag(no_attributes(tmp_path), None, all_said)) == 4
    with pytest.raises(UnstatedError) as asked:
        read_bag(no_attributes(tmp_path), None, replace(all_said, **{left_out: getattr(Stated(), left_out)}))
    assert flag in str(asked.value)
    assert asked.value.what == left_out


def test_features_that_stand_alone_ask_for_their_coordinates_and_an_unknown_encoder_for_its_tiles(tmp_path):
    path, patches = made.clam(tmp_path)
    alone = made.slideflow(tmp_path / "pt")
    (tmp_path / "pt/case.index.npz").unlink()
    with pytest.raises(UnstatedError, match="--coords"):
        read_bag(alone, FRAME, SAID)
    np.testing.assert_array_equal(
        read_bag(alone, FRAME, Stated(encoder="uni", coords=str(patches))).grid.origins_px0, made.CORNERS[:, ::-1]
    )
    with pytest.raises(UnstatedError, match="--tile-px0"):
        read_bag(path, FRAME, Stated(encoder="uni"))
    with pytest.raises(UnstatedError, match="--tile-px"):
        read_bag(path, FRAME, Stated(encoder="ours", tile_px0=512.0))
    bag = read_bag(path, FRAME, Stated(encoder="ours", tile_px0=512.0, tile_px=224))
    assert (bag.encoder.tile_px, bag.encoder.mpp) == (224, pytest.approx(128 / 224))


def test_a_plain_file_lists_what_it_holds_and_a_store_of_several_encoders_which(tmp_path):
    with pytest.raises(UnstatedError, match=r"a/emb \(4, 1024\), a/xy \(4, 2\), n \(3,\).*--keys"):
        read_bag(plain(tmp_path), FRAME, SAID)
    with pytest.raises(FeaturesError, match="has no 'x,y'"):
        read_bag(plain(tmp_path), FRAME, replace(SAID, keys="x,y"))
    store = made.lazyslide(tmp_path, "uni", "resnet50")
    with pytest.raises(UnstatedError, match="features of resnet50, uni: say of which"):
        read_bag(store, FRAME)
    assert read_bag(store, FRAME, Stated(encoder="uni_v1")).encoder.name == "uni"


@pytest.mark.parametrize(("scale", "told"), [(0.25, 0), (0.2204, 1), (0.2738, 1), (0.4, None)])
def test_a_magnification_that_trident_rounded_is_noted_and_one_that_is_far_off_is_another_scale(scale, told, tmp_path):
    bag = read_bag(made.trident(tmp_path), replace(FRAME, mpp=Mpp(scale, scale, "test")))
    assert bag.grid.mpp == pytest.approx(2 * scale)
    if told is None:
        assert bag.encoder.mpp == pytest.approx(0.8)
    else:
        assert bag.encoder.mpp == 0.5
        assert sum("rounded magnification" in note for note in bag.notes) == told


@pytest.mark.parametrize(
    ("attributes", "factor"),
    [
        ({}, 1),
        ({"tile_size_um": None, "tile_size_px": None, "tile_size": 128.0}, 1),
        ({"tile_size_um": None, "tile_size_px": None, "tile_size": 224, "unit": None}, 256 / 224),
    ],
)
def test_stamp_files_of_all_ages_give_um(attributes, factor, tmp_path):
    bag = read_bag(made.stamp(tmp_path, **attributes), replace(FRAME, shape_px0=(9000, 9000)))
    np.testing.assert_allclose(bag.grid.origins_px0, made.CORNERS[:, ::-1] * factor)
    assert bag.grid.tile_um == pytest.approx(128 if factor == 1 else 256)


CONTRADICTIONS = {
    "another slide": ({"frame": replace(FRAME, shape_px0=(3601, 4000))}, "choose the slide that belongs"),
    "another encoder": ({"encoder": "virchow2"}, "says that uni made its features, not virchow2"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_what_contradicts_itself_is_refused_with_both_named(case, tmp_path):
    changes, words = dict(CONTRADICTIONS[case][0]), CONTRADICTIONS[case][1]
    with pytest.raises(MismatchError, match=words):
        read("trident", tmp_path, changes.pop("frame", FRAME), **changes)


def test_vectors_of_another_length_and_tiles_off_the_slide_are_refused(tmp_path):
    path, patches = made.clam(tmp_path)
    with pytest.raises(MismatchError, match=r"virchow2 gives 2560 numbers per tile, case\.h5 holds 1024"):
        read_bag(path, FRAME, Stated(encoder="virchow2", coords=str(patches)))
    with pytest.raises(
        MismatchError,
        match=r"1 of 4 tiles of case.h5, 512 px wide, lie off the slide, the first at \(x, y\) = \(2048, 2560\)",
    ):
        read_bag(path, replace(FRAME, shape_px0=(2000, 4000)), Stated(encoder="uni", coords=str(patches)))
    with pytest.raises(SettingsError, match="px"):
        read_bag(path, FRAME, Stated(unit="mm"))


def test_an_empty_file_features_of_whole_slides_and_nan_are_told(tmp_path):
    data = {"features": np.empty((0,), np.float32), "coords": np.empty((0, 2), np.int64)}
    at = {"patch_size_level0": 512, "patch_size": 256}
    with pytest.raises(FeaturesError, match="holds 0 tiles"):
        read_bag(made.write_h5(tmp_path / "empty.h5", data, coords=at), FRAME, SAID)
    data = {"features": made.vectors()[0], "coords": made.CORNERS}
    with pytest.raises(FeaturesError, match="one vector for a whole slide"):
        read_bag(made.write_h5(tmp_path / "slide.h5", data, coords=at), FRAME, SAID)
    with pytest.raises(FeaturesError, match="holds patient features"):
        path = made.write_h5(
            tmp_path / "patient.h5", {"feats": made.vectors()[0]}, stamp_version="2", feat_type="patient"
        )
        read_bag(path, FRAME, SAID)
    broken = made.vectors()
    broken[2, 3:5] = np.nan
    data = {"features": broken, "coords": made.CORNERS}
    with pytest.raises(FeaturesError, match="2 numbers that are not finite"):
        read_bag(made.write_h5(tmp_path / "nan.h5", data, coords=at), FRAME, SAID)


def test_code_in_a_pt_file_is_not_run(tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "was-run",))

    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(FeaturesError, match="nothing in it was run"):
        read_bag(tmp_path / "evil.pt", FRAME, SAID)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("tool", ["trident", "stamp", "slideflow"])
def test_a_damaged_file_gives_a_bag_or_one_sentence(tool, tmp_path):
    path = getattr(made, tool)(tmp_path)
    content, rng = path.read_bytes(), np.random.default_rng(5)
    cuts = [content[: int(share * len(content))] for share in (0.05, 0.5, 0.98)]
    for damaged in cuts + [_changed(content, rng) for _ in range(25)]:
        path.write_bytes(damaged)
        try:
            read_bag(path, FRAME)
        except (FeaturesError, MismatchError) as told:
            assert str(told).count("\n") == 0
            assert len(str(told)) < 400


def _changed(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes of the first part, where the structure is, and anywhere."""
    changed = bytearray(content)
    for place in (*rng.integers(0, min(len(content), 6000), 4), *rng.integers(0, len(content), 4)):
        changed[place] = rng.integers(256)
    return bytes(changed)


def test_a_heap_of_words_that_would_never_end_is_told(tmp_path):
    path = made.trident(tmp_path)
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 : heap + 18], content[heap + 24 : heap + 32] = bytes(2), bytes(8)  # free space of no size
    path.write_bytes(content)
    with pytest.raises(FeaturesError, match="a heap of words is damaged"):
        read_bag(path, FRAME)


def test_a_store_without_its_tiles_and_a_file_of_another_kind_are_told(tmp_path):
    store = made.lazyslide(tmp_path)
    (store / "shapes/tiles/shapes.parquet").unlink()
    with pytest.raises(FeaturesError, match="damaged or no store of LazySlide"):
        read_bag(store, FRAME)
    (tmp_path / "notes.txt").write_text("no features")
    with pytest.raises(FeaturesError, match="no features that can be read"):
        read_bag(tmp_path / "notes.txt", FRAME)
    with pytest.raises(FeaturesError, match="there is no file"):
        read_bag(tmp_path / "absent.h5", FRAME)


def test_a_small_file_that_states_gigabytes_is_not_believed(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("feats", shape=(10**8, 512), dtype=np.float32, chunks=(1, 512))
        file["coords"] = made.CORNERS
    with pytest.raises(FeaturesError, match="cannot hold"):
        read_bag(tmp_path / "bomb.h5", FRAME, SAID)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("uni_v1", "uni"),
        ("UNI", "uni"),
        ("h_optimus_0", "h-optimus-0"),
        ("conch_v1.5", "conch-v1-5"),
        ("uni2", "uni2-h"),
    ],
)
def test_names_of_other_tools_are_known(theirs, ours):
    assert encoder_named(theirs) == ours
    assert {ours, *ELSEWHERE.values()} <= set(patch_encoders)


def test_every_file_of_the_room_is_a_reader_a_writer_or_both():
    assert set(TOOLS) | {"anndata"} == set(readers)
    assert set(writers) == {"anndata", "trident"}
    assert all(isinstance(reader, Reader) for reader in readers.values())
    assert all(isinstance(writer, Writer) for writer in writers.values())


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_is_known_by_what_is_in_its_file(tool, tmp_path):
    path = (
        made.clam(tmp_path)[0] if tool == "clam" else plain(tmp_path) if tool == "h5" else getattr(made, tool)(tmp_path)
    )
    if path.suffix != ".zarr" and tool != "slideflow":
        path = path.rename(path.with_name("renamed.bin"))
    assert reader_of(path) is readers[tool]
