"""Copies are found however they were made, and nothing else is; lists of known pairs are read."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workflow.base.errors import DataError
from workflow.data import duplicates
from workflow.data.duplicates import Pair, difference, find_duplicates, read_known

RECORD = Path(__file__).parents[3] / "workflow/data/records/isic2017_duplicates.csv"
SEEDS = st.integers(0, 2**32 - 1)
IMAGES = settings(max_examples=25, deadline=None)


def texture(seed, size=128, color=True):
    """An image of blotches with grain, between 30 and 220."""
    rng = np.random.default_rng(seed)
    channels = (3,) if color else ()
    coarse = rng.integers(50, 200, (7, 7, *channels), np.uint8)
    smooth = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 3, (size, size, *channels))
    return np.clip(np.asarray(smooth) + grain, 30, 220).astype(np.uint8)


def encoded(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(image, size):
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))


def pairs(images, groups=None):
    found = find_duplicates(images, groups or [str(i) for i in range(len(images))])
    return [(pair.a, pair.b, pair.kind) for pair in found.pairs]


@IMAGES
@given(SEEDS, st.integers(75, 100), st.sampled_from([128, 150, 250]), st.booleans())
def test_an_image_encoded_again_at_another_size_is_identical(seed, quality, size, color):
    image = texture(seed, color=color)
    copy = resized(encoded(resized(image, size), quality), 128)
    assert pairs([texture(seed + 1, color=color), image, copy]) == [(1, 2, "identical")]


@IMAGES
@given(SEEDS, st.integers(3, 15), st.booleans(), st.integers(75, 100))
def test_a_brighter_image_is_near(seed, shift, color, quality):
    image = texture(seed, color=color)
    brighter = encoded(image + np.uint8(shift), quality)
    assert pairs([image, texture(seed + 1, color=color), brighter]) == [(0, 2, "near")]


@IMAGES
@given(SEEDS, st.tuples(*[st.integers(-9, 9)] * 3).filter(lambda tint: sum(map(abs, tint)) > 12))
def test_an_image_of_another_tint_is_near_or_identical(seed, tint):
    image = texture(seed)
    tinted = (image.astype(int) + tint).astype(np.uint8)
    found = find_duplicates([image, tinted], ["a", "b"]).pairs
    assert [(pair.a, pair.b) for pair in found] == [(0, 1)]
    assert found[0].difference == pytest.approx(np.abs(tint).mean(), abs=0.05)


@IMAGES
@given(SEEDS, st.sampled_from([24, 64, 200]), st.booleans())
def test_different_images_are_not_found(seed, size, color):
    assert pairs([texture(seed + i, size, color) for i in range(6)]) == []


@IMAGES
@given(SEEDS)
def test_noise_alone_is_not_found(seed):
    rng = np.random.default_rng(seed)
    noise = [rng.integers(0, 256, (128, 128), np.uint8) for _ in range(4)]
    dim = [rng.integers(0, 12, (128, 128), np.uint8) for _ in range(4)]
    assert pairs([*noise, *dim]) == []


def test_dim_images_of_one_shape_and_different_content_are_not_found():
    # A common slope makes small copies of nearly empty slices correlate.
    slope = np.linspace(0, 8, 128)[:, None]
    rng = np.random.default_rng(0)
    slices = [(slope + rng.uniform(0, 12, (128, 128))).astype(np.uint8) for _ in range(6)]
    assert find_duplicates(slices, list("abcdef")).flat == []
    assert pairs(slices) == []


def test_flat_images_are_named_and_not_compared():
    black, grey = np.zeros((64, 64), np.uint8), np.full((64, 64), 99, np.uint8)
    images = [black, texture(1, 64, False), black, grey, texture(1, 64, False)]
    found = find_duplicates(images, list("abcde"))
    assert found.flat == [0, 2, 3]
    assert found.pairs == [Pair(1, 4, "identical", 0.0)]


def test_images_of_one_group_are_not_compared():
    image = texture(3, color=False)
    assert pairs([image, image, image], ["volume 1", "volume 1", "volume 2"]) == [
        (0, 2, "identical"),
        (1, 2, "identical"),
    ]


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_pairs_are_found_across_blocks_in_order(monkeypatch, rows):
    monkeypatch.setattr(duplicates, "_ROWS", rows)
    images = [texture(seed) for seed in (0, 1, 2, 1, 3, 0, 1)]
    found = [pair[:2] for pair in pairs(images)]
    assert found == [(0, 5), (1, 3), (1, 6), (3, 6)]


def test_images_are_read_from_disk(tmp_path):
    np.save(tmp_path / "images.npy", np.stack([texture(seed) for seed in (0, 1, 0)]))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert pairs(images) == [(0, 2, "identical")]


def test_the_difference_is_in_grey_levels():
    image = texture(5)
    assert difference(image, image) == 0
    assert difference(image, image + np.uint8(7)) == pytest.approx(7)
    large = texture(5, 256, color=False)
    assert difference(large, large + np.uint8(3)) == pytest.approx(3, abs=0.01)


def listed(tmp_path, text):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    return path


def test_the_record_of_isic_2017_is_read():
    known = read_known(RECORD)
    assert len(known) >= 12
    assert all(len(pair) == 2 for pair in known)
    assert known[frozenset(("ISIC_0015982", "ISIC_0012175"))] == "identical"
    assert known[frozenset(("ISIC_0012887", "ISIC_0012989"))] == "near"


def test_two_columns_are_enough(tmp_path):
    known = read_known(listed(tmp_path, "image_a,image_b\n007,NA\nb,c\n"))
    assert known == {frozenset(("007", "NA")): None, frozenset("bc"): None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"pairs.csv: the file is empty; expected image_a, image_b and perhaps kind"),
        ("image_a,image_b\n", r"pairs.csv: no pair below the header; list some, or set `dupl"),
        ("image_a,other\na,b\n", r"pairs.csv: column 'image_b' is missing; expected image_a"),
        ("image_a,image_b,kinds\na,b,c\n", r"pairs.csv: found column 'kinds'; expected image_a"),
        ("image_a,image_b\na,b\nc,c\n", r"pairs.csv: line 3: c stands on both sides; name two"),
        ("image_a,image_b\na,\n", r"pairs.csv: line 2: an id is empty; each line names two"),
        ("image_a,image_b\na,b\nb,a\n", r"pairs.csv: line 3: a and b are listed twice; keep one"),
        (
            "image_a,image_b,kind\na,b,same\n",
            r"pairs.csv: line 2: found kind 'same'; allowed: identical, near",
        ),
        ('image_a,image_b\na,b\n"c,d\n', r"pairs.csv: not a CSV table \(.*\); expected image_a"),
    ],
)
def test_what_is_wrong_with_a_list_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_known(listed(tmp_path, text))


def test_a_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: no such file; `duplicates` names a CSV"):
        read_known(tmp_path / "none.csv")


@IMAGES
@given(SEEDS, st.integers(2, 60), st.integers(0, 30), st.floats(0, 6), st.booleans())
def test_the_search_finds_what_comparing_all_pairs_finds(seed, count, copies, spread, alike):
    rng = np.random.default_rng(seed)
    small = rng.normal(0, 20, (count, 1 if alike else 1024)) + rng.normal(0, 20, 1024)
    near = small[rng.integers(0, count, copies)]
    # At all distances about the threshold, in one direction or in all.
    near = near + rng.normal(0, 1, near.shape) * rng.uniform(0, spread, (copies, 1))
    rows = np.concatenate([small, near]).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    groups = rng.integers(0, max(2, len(rows) // 2), len(rows))
    expected = []
    for a in range(len(rows)):
        for b in range(a + 1, len(rows)):
            x, y = rows[a], rows[b]
            alike_enough = (x * y).sum() >= duplicates.ALIKE * np.sqrt(
                (x * x).sum() * (y * y).sum()
            )
            distance = np.sqrt(np.square(x - y).mean())
            if groups[a] != groups[b] and alike_enough and distance <= duplicates.CLOSE:
                expected.append((a, b))
    found = duplicates._candidates(rows, np.arange(len(rows)), groups)
    assert list(found) == expected
