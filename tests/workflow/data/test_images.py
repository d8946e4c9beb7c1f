"""Images where they are kept: gathered in order, and the same bits from every place."""

import numpy as np
import pytest
import torch

from workflow.base.errors import ConfigError
from workflow.data import images as placing
from workflow.data.arrays import Arrays
from workflow.data.images import Batch, DeviceImages, to_device

CPU = torch.device("cpu")


def arrays(folder, channels=3, count=7):
    random = np.random.default_rng(0)
    shape = (count, 6, 5) if channels == 1 else (count, 6, 5, channels)
    return Arrays(
        random.integers(0, 256, shape, np.uint8),
        random.integers(0, 4, (count, 6, 5), np.uint8),
        random.integers(0, 2, (count, 3), np.uint8),
        folder,
    )


@pytest.fixture(params=[1, 3])
def split(request, tmp_path):
    return to_device(arrays(tmp_path, request.param), "unit", CPU)


@pytest.fixture
def copying(monkeypatch):
    """Makes images in host memory take the way over pinned memory, as with a GPU; counts copies."""
    copies = []

    def pin(part):
        copies.append(len(part))
        return part.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    return copies


class Elsewhere:
    """A device that computes on the processor, and is another than that of the images."""

    type = "elsewhere"

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


def elsewhere(split, monkeypatch):
    """The same images, for a device that they do not lie on."""
    target, to = Elsewhere(), torch.Tensor.to

    def moved(part, place, *args, **kwargs):
        return to(part, CPU if place is target else place, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", moved)
    return DeviceImages(split.images, split.masks, split.labels, split.scale, target)


def parts(*rows):
    return [torch.tensor(part, dtype=torch.int64) for part in rows]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_become_tensors_of_the_same_bytes(tmp_path, channels):
    given = arrays(tmp_path, channels)
    split = to_device(given, "unit", CPU)
    assert split.images.dtype == split.masks.dtype == torch.uint8
    assert split.images.shape == (7, channels, 6, 5)
    assert split.images.is_contiguous()
    expected = given.images[:, None] if channels == 1 else given.images.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(split.images.numpy(), expected)
    np.testing.assert_array_equal(split.masks.numpy(), given.masks)
    np.testing.assert_array_equal(split.labels.numpy(), given.labels)
    assert split.labels.dtype == torch.float32
    assert (len(split), split.device) == (7, CPU)


@pytest.mark.parametrize(("normalize", "scale"), [("unit", 255.0), ("none", 1.0)])
def test_pixels_are_divided_as_configured(tmp_path, normalize, scale):
    given = arrays(tmp_path)
    images, _, _ = to_device(given, normalize, CPU).batch(torch.tensor([4]))
    expected = torch.from_numpy(given.images[4].transpose(2, 0, 1)).float() / scale
    assert torch.equal(images[0], expected)


def test_the_arrays_on_disk_are_left_alone(tmp_path):
    given = arrays(tmp_path)
    split, before = to_device(given, "unit", CPU), given.images.copy()
    split.images.zero_()
    np.testing.assert_array_equal(given.images, before)


def test_batches_come_in_the_order_of_their_rows(split):
    order = parts([3, 0, 6], [5, 5], [1])
    found = list(split.batches(order))
    assert all(isinstance(batch, Batch) for batch in found)
    for rows, batch in zip(order, found, strict=True):
        assert same(batch, (split.images[rows], split.masks[rows], split.labels[rows]))


def test_no_parts_give_no_batches_and_an_empty_part_an_empty_one(split):
    assert list(split.batches([])) == []
    (batch,) = split.batches(parts([]))
    assert [len(part) for part in batch] == [0, 0, 0]
    assert batch.images.shape[1:] == split.images.shape[1:]


def test_what_lies_on_the_device_already_is_not_copied(tmp_path, copying):
    # Labels are put on the device; images stay in host memory, as the meta device is no GPU.
    split = to_device(arrays(tmp_path), "unit", torch.device("meta"), "host")
    assert (split.images.device.type, split.labels.device.type) == ("cpu", "meta")
    (batch,) = split.batches(parts([4, 1]))
    assert {part.device.type for part in batch} == {"meta"}
    assert copying == [2, 2, 2]  # images, masks, and which labels; the labels are there
    numbered = DeviceImages(*batch, scale=1.0, target=torch.device("meta", 0))
    assert len(next(numbered.batches(parts([0]))).images) == 1
    assert copying == [2, 2, 2, 1]  # and the row that is asked for


@pytest.mark.parametrize("row", [7, -8])
def test_a_row_that_is_not_there_is_an_error(split, row):
    with pytest.raises(IndexError):
        list(split.batches(parts([0, row])))


def test_one_batch_is_of_floats_and_three_channels(split):
    images, masks, labels = split.batch(torch.tensor([2, 0]))
    assert (images.dtype, masks.dtype, labels.dtype) == (torch.float32, torch.int64, torch.float32)
    assert images.shape == (2, 3, 6, 5)
    assert torch.equal(images * 255, split.images[[2, 0]].float().expand(-1, 3, -1, -1))
    assert torch.equal(masks, split.masks[[2, 0]].long())


def test_host_memory_gives_the_same_bits_as_the_device(split, copying, monkeypatch):
    order = parts([3, 0, 6], [5, 5], [1])
    direct = list(split.batches(order))
    assert not copying
    far = elsewhere(split, monkeypatch)
    assert far.device is far.target
    found = list(far.batches(order))
    assert copying == [3, 3, 3, 2, 2, 2, 1, 1, 1]  # images, masks and labels of each part
    assert all(same(a, b) for a, b in zip(direct, found, strict=True))
    assert same(split.batch(order[0]), far.batch(order[0]))


def test_from_host_memory_one_part_is_under_way_while_another_is_used(split, copying, monkeypatch):
    batches = elsewhere(split, monkeypatch).batches(parts([0, 1, 2], [3, 4], [5]))
    next(batches)
    assert copying == [3, 3, 3, 2, 2, 2]
    next(batches)
    assert copying[6:] == [1, 1, 1]
    next(batches)
    assert len(copying) == 9
    assert next(batches, None) is None


def test_the_number_of_threads_changes_no_bit(split):
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(split.batch(torch.tensor([6, 2, 2, 0])))
    finally:
        torch.set_num_threads(before)
    assert same(*results)


def test_images_go_on_a_gpu_if_they_fit(monkeypatch):
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 9999))
    room = int(1000 * placing.SHARE_OF_MEMORY)
    assert placing._place(room, gpu, "auto") == gpu
    assert placing._place(room + 1, gpu, "auto") == CPU
    assert placing._place(room, gpu, "host") == CPU
    assert placing._place(room, gpu, "device") == gpu
    with pytest.raises(ConfigError, match=r"images_on: found device.*use auto or host"):
        placing._place(room + 1, gpu, "device")
    assert placing._place(10**12, CPU, "device") == CPU
