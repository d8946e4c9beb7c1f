"""MetaImage headers: what is read is what ITK reads of good files, and bad ones are refused."""

import gzip
import os
import tracemalloc
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from workflow.base.errors import DataError
from workflow.data.sources.metaimage import ELEMENT_TYPES, MetaImage

SHAPE = (4, 10, 12)
COUNT = 480
TYPES = tuple(name for _, name in ELEMENT_TYPES.values())
LINES = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "ElementSpacing": "0.5 0.25 2",
    "DimSize": "12 10 4",
    "ElementType": "MET_UCHAR",
    "ElementDataFile": "oct.raw",
}
VOXELS = np.random.default_rng(3).integers(0, 250, SHAPE, np.uint8)
OTHER = 249 - VOXELS


def text_of(**keys):
    """A good header with lines that are others, or (None) not there."""
    lines = {**LINES, **keys}
    last = lines.pop("ElementDataFile")
    lines = {key: value for key, value in lines.items() if value is not None}
    return "".join(f"{k} = {v}\n" for k, v in {**lines, "ElementDataFile": last}.items())


def lay(folder, text, voxels=None, name="oct.raw"):
    """A header in a folder with its voxels, and another volume's voxels above and beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "other.raw").write_bytes(OTHER.tobytes())
    (folder / "other.raw").write_bytes(OTHER.tobytes())
    (folder / "oct.mhd").write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / name).write_bytes(VOXELS.tobytes() if voxels is None else voxels)
    return folder / "oct.mhd"


def opened(header, types=TYPES):
    return MetaImage.open(header, "a number", types, "unpack it again")


# ---- what is read


@pytest.mark.parametrize("dtype", [np.dtype(name) for name in TYPES], ids=str)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", ["mhd", "mha"])
def test_what_itk_writes_is_read_as_itk_reads_it(tmp_path, dtype, compressed, suffix):
    file = tmp_path / f"v.{suffix}"
    image = sitk.GetImageFromArray(VOXELS.astype(dtype))
    image.SetSpacing((0.5, 0.25, 2.0))
    sitk.WriteImage(image, str(file), useCompression=compressed)
    found = opened(file)
    voxels = found.load()
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    assert voxels.dtype == expected.dtype
    np.testing.assert_array_equal(voxels, expected)
    assert found.spacing == (2.0, 0.25, 0.5)
    assert len(found.files) == (2 if suffix == "mhd" else 1)


@pytest.mark.parametrize("key", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
@pytest.mark.parametrize("value", ["True", "False", "true"])
def test_the_byte_order_is_as_the_header_says(tmp_path, key, value):
    stored = VOXELS.astype(np.uint16) * 257
    swapped = value.lower() == "true"
    content = stored.astype(">u2" if swapped else "<u2").tobytes()
    keys = {"BinaryDataByteOrderMSB": None, key: value, "ElementType": "MET_USHORT"}
    header = lay(tmp_path / "v", text_of(**keys), content)
    np.testing.assert_array_equal(opened(header).load(), stored)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(header))), stored)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress], ids=["zlib", "gzip"])
def test_deflated_voxels_are_read(tmp_path, pack):
    packed = pack(VOXELS.tobytes())
    keys = {"CompressedData": "True", "CompressedDataSize": f"{len(packed)}"}
    header = lay(tmp_path / "v", text_of(**keys), packed)
    np.testing.assert_array_equal(opened(header).load(), VOXELS)


def test_voxels_behind_the_header_are_read(tmp_path):
    text = text_of(ElementDataFile="LOCAL").encode()
    header = lay(tmp_path / "v", text + VOXELS.tobytes())
    np.testing.assert_array_equal(opened(header).load(), VOXELS)
    assert opened(header).files == (header,)


def test_lines_of_windows_and_keys_of_other_programs_are_read(tmp_path):
    text = text_of(ITK_InputFilterName="NrrdImageIO", Comment="a = b: c").replace("\n", "\r\n")
    header = lay(tmp_path / "v", text)
    np.testing.assert_array_equal(opened(header).load(), VOXELS)


def test_a_tool_may_make_links_of_all_files(tmp_path):
    """git-annex and DVC keep content elsewhere, under names of their own."""
    store, folder = tmp_path / "store", tmp_path / "v"
    kept = lay(store, text_of())
    folder.mkdir()
    (store / "deep").mkdir()
    (store / "oct.raw").rename(store / "deep" / "x1")
    (folder / "oct.mhd").symlink_to(kept)
    (folder / "oct.raw").symlink_to(store / "deep" / "x1")
    np.testing.assert_array_equal(opened(folder / "oct.mhd").load(), VOXELS)


# ---- what is refused

AHEAD = "NDims = 3\n"
BAD_TEXTS = {
    # Two readers would take different files for the voxels.
    "a colon as in ITK": (
        text_of().replace("Element", "ElementDataFile : ../other.raw\nElement", 1),
        "found 'ElementDataFile : ../other.raw' in line",
    ),
    "a colon in the key": (
        text_of().replace("NDims", "ElementDataFile: ../other.raw = x\nNDims"),
        "expected `key = value`",
    ),
    "the file twice": (text_of() + "ElementDataFile = other.raw\n", "found more behind Element"),
    "the file twice, once small": (
        text_of(elementdatafile="other.raw"), "found key elementdatafile; expected ElementDataFile"
    ),
    "the file misspelt": (text_of(ElementDatafile="other.raw"), "expected ElementDataFile"),
    "the file almost": (text_of(ElementsDataFile="other.raw"), "expected ElementDataFile"),
    "a return within a line": (
        text_of(Comment="x\rElementDataFile = ../other.raw"), "not the header of a MetaImage"
    ),
    "a zero byte": (text_of(Comment="x\0y"), "not the header of a MetaImage"),
    "the size twice": (AHEAD + text_of(NDims=None, DimSize="12 10 4\nDimSize = 12 10 2"), "twice"),
    "the size twice, alike": (text_of(DimSize="12 10 4\nDimSize = 12 10 4"), "found DimSize twice"),
    "the type twice": (text_of(ElementType="MET_UCHAR\nElementType = MET_CHAR"), "twice"),
    "dimensions twice": (text_of(NDims="3\nNDims = 2"), "found NDims twice"),
    "the byte order in both words": (
        text_of(ElementByteOrderMSB="True"), "found both BinaryDataByteOrderMSB and ElementByteOrd"
    ),
    "the byte order twice": (
        text_of(BinaryDataByteOrderMSB="False\nBinaryDataByteOrderMSB = True"), "twice"
    ),
    "spacing in both words": (text_of(ElementSize="1 1 1"), "found both ElementSpacing and Elem"),
    "compressed twice": (text_of(CompressedData="False\nCompressedData = True"), "twice"),
    # Where the voxels are.
    "a folder above": (text_of(ElementDataFile="../other.raw"), "found ElementDataFile '../other"),
    "an absolute path": (text_of(ElementDataFile="/etc/passwd"), "found ElementDataFile '/etc/pa"),
    "a path of Windows": (text_of(ElementDataFile="..\\other.raw"), "found ElementDataFile"),
    "a drive": (text_of(ElementDataFile="C:oct.raw"), "found ElementDataFile 'C:oct.raw'"),
    "a folder below": (text_of(ElementDataFile="./oct.raw"), "found ElementDataFile './oct.raw'"),
    "itself": (text_of(ElementDataFile="oct.mhd"), "found ElementDataFile 'oct.mhd'; expected"),
    "the folder": (text_of(ElementDataFile="."), "found ElementDataFile '.'"),
    "nothing": (text_of(ElementDataFile=""), "found ElementDataFile ''"),
    "a list": (text_of(ElementDataFile="LIST") + "oct.raw\n", "found "),
    "a list with its length": (text_of(ElementDataFile="LIST 2"), "found ElementDataFile 'LIST 2'"),
    "a list in small letters": (text_of(ElementDataFile="list"), "found ElementDataFile 'list'"),
    "a pattern": (text_of(ElementDataFile="o%03d.raw 1 4 1"), "found ElementDataFile"),
    "two files": (text_of(ElementDataFile="oct.raw other.raw"), "missing"),
    "another LOCAL": (text_of(ElementDataFile="LoCaL"), "found ElementDataFile 'LoCaL'"),
    "no file": (text_of(ElementDataFile="none.raw"), "none.raw: missing, but oct.mhd names it"),
    "lines behind the file": (text_of() + "Comment = x\n", "found more behind ElementDataFile"),
    "bytes ahead": (text_of(HeaderSize="100"), "found HeaderSize '100'; expected 0"),
    "the end of the file": (text_of(HeaderSize="-1"), "found HeaderSize '-1'; expected 0"),
    "bytes ahead of each slice": (text_of(HeaderSizePerSlice="8"), "found HeaderSizePerSlice"),
    # How large it is.
    "a negative number of dimensions": (text_of(NDims="-3"), "found NDims '-3' and DimSize"),
    "no dimensions": (text_of(NDims="0"), r"found size \(12, 10, 4\) with NDims 0"),
    "very many dimensions": (text_of(NDims="99999999999"), "found size"),
    "half a dimension": (text_of(NDims="3.5"), "found NDims '3.5'"),
    "dimensions in words": (text_of(NDims="three"), "found NDims 'three'"),
    "dimensions of another script": (text_of(NDims="３".encode().decode("latin-1")), "not the"),
    "two dimensions of three": (text_of(NDims="2"), r"found size \(12, 10, 4\) with NDims 2"),
    "four dimensions": (text_of(NDims="4", DimSize="12 10 4 1"), r"found size \(12, 10, 4, 1\)"),
    "a negative side": (text_of(DimSize="12 10 -4"), r"found size \(12, 10, -4\)"),
    "two negative sides": (text_of(DimSize="12 -10 -4"), r"found size \(12, -10, -4\)"),
    "an empty side": (text_of(DimSize="12 0 4"), r"found size \(12, 0, 4\)"),
    "a fraction": (text_of(DimSize="12 10 4.0"), "found NDims '3' and DimSize '12 10 4.0'"),
    "an exponent": (text_of(DimSize="12 10 4e0"), "found NDims '3' and DimSize"),
    "a side beyond memory": (text_of(DimSize="12 10 4294967300"), r"found size \(12, 10, 42949673"),
    "a side beyond numbers": (text_of(DimSize=f"12 10 {'9' * 5000}"), "found NDims"),
    "sides too few": (text_of(DimSize="12 40"), r"found size \(12, 40\)"),
    "sides too many": (text_of(DimSize="12 10 4 1"), r"found size \(12, 10, 4, 1\)"),
    "a size larger than the file": (text_of(DimSize="12 10 5"), "found 480 bytes of voxels"),
    "a size smaller than the file": (text_of(DimSize="12 10 3"), "found 480 bytes of voxels"),
    "a size beyond any file": (text_of(DimSize="60000 60000 60000"), "promises 216000000000000"),
    "no size": (text_of(DimSize=None), "not the header of a MetaImage volume"),
    "no dimension": (text_of(NDims=None), "not the header of a MetaImage volume"),
    # What a voxel is.
    "no type": (text_of(ElementType=None), "not the header of a MetaImage volume"),
    "an unknown type": (text_of(ElementType="MET_X"), "not the header of a MetaImage volume"),
    "an array": (text_of(ElementType="MET_UCHAR_ARRAY"), "not the header of a MetaImage volume"),
    "colours": (text_of(ElementNumberOfChannels="3"), "found ElementNumberOfChannels '3'"),
    "no channel": (text_of(ElementNumberOfChannels="0"), "found ElementNumberOfChannels '0'"),
    "channels in words": (text_of(ElementNumberOfChannels="one"), "found ElementNumberOfChannels"),
    "text": (text_of(BinaryData="False"), "found voxels as text"),
    "text, as ITK assumes": (text_of(BinaryData=None), "found voxels as text"),
    "neither text nor not": (text_of(BinaryData="Maybe"), "found BinaryData 'Maybe'"),
    "no byte order": (text_of(BinaryDataByteOrderMSB="Both"), "found BinaryDataByteOrderMSB"),
    "another scale": (text_of(ElementToIntensityFunctionSlope="2"), "found ElementToIntensity"),
    "another zero": (text_of(ElementToIntensityFunctionOffset="-1024"), "found ElementToIntens"),
    "a spacing that is none": (text_of(ElementSpacing="nan 1 1"), "found ElementSpacing"),
    "an endless spacing": (text_of(ElementSpacing="inf 1 1"), "found ElementSpacing"),
    "a spacing of nothing": (text_of(ElementSpacing="0 1 1"), "found ElementSpacing"),
    "a negative spacing": (text_of(ElementSpacing="-1 1 1"), "found ElementSpacing"),
    "a spacing in words": (text_of(ElementSpacing="a b c"), "found ElementSpacing 'a b c'"),
    "two spacings": (text_of(ElementSpacing="1 1"), "found ElementSpacing"),
    "another size that is none": (
        text_of(ElementSpacing=None, ElementSize="nan 1 1"), "found ElementSize"
    ),
    # What is compressed.
    "compressed in words": (text_of(CompressedData="yes"), "found CompressedData 'yes'"),
    "compressed, and is not": (text_of(CompressedData="True"), "compressed voxels are damaged"),
    "a compressed size of none": (
        text_of(CompressedDataSize="480"), "found CompressedDataSize '480', but oct.raw has no comp"
    ),
    # What is no header.
    "another object": (text_of(ObjectType="Tube"), "found ObjectType 'Tube'; expected Image"),
    "a line without a value": (text_of().replace("NDims", "Hello\nNDims"), "found 'Hello' in line"),
    "a key of two words": (text_of(**{"Dim Size": "1 1 1"}), "found 'Dim Size = 1 1 1' in line"),
    "nothing at all": ("", "not the header of a MetaImage volume"),
    "a page": ("<html>log in</html>", "not the header of a MetaImage volume"),
    "one endless line": ("Comment = " + "x" * 300_000, "not the header of a MetaImage volume"),
    "endless lines": ("Comment1 = x\n" + "\n" * 300_000, "not the header of a MetaImage volume"),
    "UTF-16": (text_of().encode("utf-16"), "not the header of a MetaImage volume"),
    "a mark ahead": (b"\xef\xbb\xbf" + text_of().encode(), "ObjectType = Image' in line 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_header_that_can_be_read_in_two_ways_or_none_is_refused(tmp_path, case):
    text, message = BAD_TEXTS[case]
    header = lay(tmp_path / "v", text)
    with pytest.raises(DataError, match=message) as caught:
        opened(header)
    assert str(tmp_path / "v") in str(caught.value)
    assert "npack it again" in str(caught.value)


PACKED = zlib.compress(VOXELS.tobytes())
BAD_PACKS = {
    "a size told too small": (PACKED, len(PACKED) - 1, "found CompressedDataSize"),
    "a size told too large": (PACKED, len(PACKED) + 1, "found CompressedDataSize"),
    "a negative size": (PACKED, -1, "found CompressedDataSize '-1'"),
    "a size in words": (PACKED, "many", "found CompressedDataSize 'many'"),
    "bytes behind the end": (PACKED + b"x", None, "found more behind the end of its compressed"),
    "another stream behind the end": (PACKED + PACKED, None, "found more behind the end"),
    "cut": (PACKED[:-40], None, "bytes of voxels; oct.mhd promises 480"),
    "no checksum": (PACKED[:-4], None, "compressed voxels are damaged"),
    "altered": (PACKED[:60] + b"\0\0\0" + PACKED[63:], None, "compressed voxels are damaged"),
    "fewer voxels": (zlib.compress(bytes(400)), None, "found 400 bytes of voxels; oct.mhd promis"),
    "more voxels": (zlib.compress(bytes(500)), None, "found 481 bytes of voxels; oct.mhd promises"),
    "empty": (b"", None, "found 0 bytes of"),
}


@pytest.mark.parametrize("case", BAD_PACKS)
def test_compressed_voxels_are_all_there_and_no_more(tmp_path, case):
    packed, told, message = BAD_PACKS[case]
    size = None if told is None else f"{told}"
    header = lay(tmp_path / "v", text_of(CompressedData="True", CompressedDataSize=size), packed)
    with pytest.raises(DataError, match=message):
        opened(header)


def test_a_small_file_does_not_inflate_without_bound(tmp_path):
    bomb = zlib.compress(bytes(2**26))
    header = lay(tmp_path / "v", text_of(CompressedData="True"), bomb)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"found 481 bytes of voxels; oct\.mhd promises 480"):
        opened(header)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("size", ["20000 20000 20000", "2000000 1 1", "2147483647 2147483647 2"])
def test_a_header_that_promises_more_than_can_be_inflated_is_refused_at_once(tmp_path, size):
    header = lay(tmp_path / "v", text_of(CompressedData="True", DimSize=size), PACKED)
    with pytest.raises(DataError, match=f"found {len(PACKED)} bytes of compressed voxels"):
        opened(header)


@pytest.mark.parametrize("target", ["../other.raw", "/dev/zero", "/etc/hostname"])
def test_a_link_to_another_file_is_refused(tmp_path, target):
    header = lay(tmp_path / "v", text_of())
    (header.parent / "oct.raw").unlink()
    (header.parent / "oct.raw").symlink_to(target)
    with pytest.raises(DataError, match=r"found a link to .* in the place of oct.raw|missing, but"):
        opened(header)


def test_a_pipe_in_the_place_of_voxels_is_refused(tmp_path):
    header = lay(tmp_path / "v", text_of())
    (header.parent / "oct.raw").unlink()
    os.mkfifo(header.parent / "oct.raw")
    with pytest.raises(DataError, match=r"oct\.raw: missing, but oct\.mhd names it"):
        opened(header)


def test_a_file_that_changes_between_the_check_and_the_reading_is_refused(tmp_path):
    header = lay(tmp_path / "v", text_of())
    found = opened(header)
    (header.parent / "oct.raw").write_bytes(b"")
    with pytest.raises(DataError, match="its voxels cannot be read"):
        found.load()
    header = lay(tmp_path / "w", text_of(CompressedData="True"), PACKED)
    found = opened(header)
    (header.parent / "oct.raw").write_bytes(zlib.compress(bytes(20)))
    with pytest.raises(DataError, match="its voxels cannot be read"):
        found.load()


def test_a_type_that_is_not_wanted_is_named(tmp_path):
    header = lay(tmp_path / "v", text_of(ElementType="MET_SHORT"), bytes(960))
    with pytest.raises(DataError, match="found voxels of type 16-bit signed integer; expected a"):
        opened(header, ("u1", "u2"))
