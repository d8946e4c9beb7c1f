"""Splits, gates, records and keys that cannot be used."""

from typing import Any

from tests.workflow.data.bad_cases import folder, isic2017, retouch
from tests.workflow.data.bad_cases.case import (
    Action,
    Case,
    Group,
    copied,
    cut,
    each_of,
    edited,
    emptied,
    holds,
    set_to,
    unrecorded,
)

SPLIT, PAIRS = folder.SPLIT, "DATA/pairs.csv"
PREPARED = "results/paper/data/mine"
GROUPS = "id,split\nP,train\nQ,train\nR,val\nS,test\n"
IMAGES = "id,split\na,train\nb,test\nc,train\nd,train\ne,val\nf,test\n"
RECORD = isic2017.RECORD
NO_TABLE = "not a CSV table"
NO_FILES, NO_COUNTS = (f"cannot be read as a record with `{key}`" for key in ("files", "counts"))


def _mine(**keys: Any) -> dict[str, Any]:
    return {"datasets": {"mine": keys}}


def _pairs(what: str, says: str, text: str | bytes) -> Case:
    """A list of duplicates that cannot be used."""
    return Case(what, f"{PAIRS}: {says}", holds(PAIRS, text), _mine(duplicates=PAIRS))


def _two_groups() -> Action:
    """All images are of two patients."""
    rows = "".join(f"{name},{int(name in 'ace')},{'PQ'[name > 'c']}\n" for name in folder.NAMES)
    return holds(folder.TABLE, f"id,wet,patient\n{rows}")


def _record(what: str, says: str, text: str) -> Case:
    """A record of ISIC 2017 that cannot be used."""
    return Case(what, f"{RECORD}: {says}", holds(RECORD, text), isic2017.RECORDED)


SPLITS = Group(
    "Splits",
    "mine",
    folder.write_folder,
    folder.SETTINGS,
    [
        Case(
            "the split is neither a rule nor a file",
            "datasets.mine.split: found 'DATA/none.csv'",
            settings=_mine(split="DATA/none.csv"),
        ),
        Case(
            "the split is a folder",
            "datasets.mine.split: found 'DATA/split.csv'",
            emptied(SPLIT),
        ),
        Case(
            "a rule is another source's",
            "datasets.mine.split: found 'official'",
            settings=_mine(split="official"),
        ),
        Case(
            "a fold does not exist",
            "datasets.mine.split: found 'kfold 6/5'",
            settings=_mine(split="kfold 6/5"),
        ),
        Case(
            "there are more folds than groups",
            "datasets.mine.split: found 'kfold 1/5'; cannot make 5 folds of 4 groups",
            settings=_mine(split="kfold 1/5"),
        ),
        Case(
            "a ratio does not add up",
            "datasets.mine.split: found '0.7/0.1/0.1'; the shares of train, val and test",
            settings=_mine(split="0.7/0.1/0.1"),
        ),
        Case(
            "a ratio leaves nothing for a part",
            "datasets.mine.split: found '0.8/0.0/0.2'; the shares of train, val and test",
            settings=_mine(split="0.8/0.0/0.2"),
        ),
        Case(
            "there are fewer groups than parts",
            "datasets.mine.split: found '0.7/0.1/0.2'; cannot share 2 groups between 3 parts",
            _two_groups(),
            _mine(split="0.7/0.1/0.2"),
        ),
        Case("the file is empty", f"{SPLIT}: the file is empty", holds(SPLIT, "")),
        Case(
            "the file has semicolons",
            f"{SPLIT}: column 'id' is missing",
            holds(SPLIT, GROUPS.replace(",", ";")),
        ),
        Case(
            "the file is in another encoding",
            f"{SPLIT}: {NO_TABLE}",
            edited(SPLIT, "P,", b"\xe4,"),
        ),
        Case("a row is long", f"{SPLIT}: not a CSV table", edited(SPLIT, "Q,train", "Q,train,x,y")),
        Case("an id is unknown", f"{SPLIT}: 1 of its ids are not", edited(SPLIT, "Q,", "T,")),
        Case("an id is there twice", f"{SPLIT}: id P occurs twice", edited(SPLIT, "Q,", "P,")),
        Case("a row has no id", f"{SPLIT}: a row has no id", edited(SPLIT, "Q,", ",")),
        Case(
            "a split has another name",
            f"{SPLIT}: S: found split 'testing'; allowed: train, val, test",
            edited(SPLIT, "S,test", "S,testing"),
        ),
        Case(
            "a task has another name",
            f"{SPLIT}: Q: found tasks 'detection'",
            holds(SPLIT, "id,split,tasks\nP,train,both\nQ,train,detection\nR,val,both\n"),
        ),
        Case(
            "no group validates",
            f"mine: split '{SPLIT}' has nothing in val",
            edited(SPLIT, "R,val", "R,train"),
        ),
        Case(
            "some ids are groups, others images",
            f"{SPLIT}: some ids are groups of mine, others images",
            edited(SPLIT, "P,train", "a,train"),
        ),
        Case(
            "a group is on two sides",
            "mine: groups in one split: in more than one split: P (train, test)",
            holds(SPLIT, IMAGES),
        ),
    ],
)

GATES = Group(
    "Gates",
    "mine",
    folder.write_folder,
    folder.SETTINGS,
    [
        Case(
            "a test image is a training image under another name",
            "mine: no image in two splits: a (train) and f (test) are the same image",
            copied(folder.IMAGE, "DATA/images/f.png"),
        ),
        Case(
            "no training image has a label",
            "mine: everything occurs in training: no training image has label 'wet'",
            each_of(
                edited(folder.TABLE, "a,1", "a,0"),
                edited(folder.TABLE, "c,1", "c,0"),
                *(copied("DATA/masks/b.png", f"DATA/masks/{name}.png") for name in "ac"),
            ),
        ),
        Case(
            "a prepared mask holds a value beyond the lesions",
            "mine: masks hold classes: found a value above 2 in a (7)",
            each_of(
                set_to(f"{PREPARED}/train/masks.npy", (0, 0, 0), 7),
                unrecorded(f"{PREPARED}/train/masks.npy"),
            ),
            before="gates",
        ),
        Case(
            "prepared labels differ from their index",
            f"{PREPARED}/test/labels.npy: differs from index.parquet",
            each_of(
                set_to(f"{PREPARED}/test/labels.npy", (0, 0), 1),
                unrecorded(f"{PREPARED}/test/labels.npy"),
            ),
            before="gates",
        ),
        Case(
            "prepared images are another split's",
            f"{PREPARED}/train/images.npy: found uint8 (1, 32, 32, 3), expected uint8 (4,",
            each_of(
                copied(f"{PREPARED}/test/images.npy", f"{PREPARED}/train/images.npy"),
                unrecorded(f"{PREPARED}/train/images.npy"),
            ),
            before="gates",
        ),
        Case(
            "prepared images end early",
            f"{PREPARED}/train/images.npy: damaged (its content is not what was written",
            cut(f"{PREPARED}/train/images.npy", 5000),
            before="gates",
        ),
        Case(
            "an index is damaged",
            f"{PREPARED}/val/index.parquet",
            cut(f"{PREPARED}/val/index.parquet", 500),
            before="gates",
        ),
        _pairs("the list of duplicates is empty", "the file is empty", ""),
        _pairs("the list has other columns", "column 'image_b' is missing", "image_a,b\nx,y\n"),
        _pairs("the list has a column more", "found column 'why'", "image_a,image_b,why\nx,y,z\n"),
        _pairs("the list has no pair", "no pair below the header", "image_a,image_b\n"),
        _pairs("a pair has no second image", "line 2: an id is empty", "image_a,image_b\na,\n"),
        _pairs("an image is its own pair", "line 2: a stands on both", "image_a,image_b\na,a\n"),
        _pairs(
            "a pair is listed twice",
            "line 3: a and b are listed twice",
            "image_a,image_b\na,b\nb,a\n",
        ),
        _pairs(
            "a kind is unknown", "line 2: found kind 'same'", "image_a,image_b,kind\na,b,same\n"
        ),
        _pairs("a row is long", NO_TABLE, "image_a,image_b\na,b\nc,d,e\n"),
        _pairs(
            "the list is in another encoding",
            NO_TABLE,
            b"image_a,image_b\n\xe4,b\n",
        ),
    ],
)

RECORDS = Group(
    "Records of ISIC 2017",
    "isic2017",
    isic2017.write_folders,
    isic2017.SETTINGS,
    [
        Case(
            "the record is not there",
            f"data.isic2017_record: found '{RECORD}', and there is no such file",
            settings=isic2017.RECORDED,
        ),
        Case(
            "the record is a folder",
            f"data.isic2017_record: found '{RECORD}', and there is no such file",
            emptied(RECORD),
            isic2017.RECORDED,
        ),
        _record("the record is empty", NO_FILES, ""),
        _record("the record is no YAML", NO_FILES, "files: ["),
        _record("the record has no files", NO_FILES, "counts: {}\n"),
        _record(
            "the files are a list",
            NO_FILES,
            "files: [a, b]\ncounts: {}\n",
        ),
        _record("the record has no counts", NO_COUNTS, "files: {}\n"),
        _record(
            "the counts are a list",
            NO_COUNTS,
            "files: {}\ncounts: [6, 3, 3]\n",
        ),
        _record(
            "a part is unknown",
            NO_COUNTS,
            "files: {}\ncounts: {training: {images: 6}}\n",
        ),
        _record(
            "a part has one count",
            NO_COUNTS,
            "files: {}\ncounts: {train: 6}\n",
        ),
    ],
)

KEYS = Group(
    "Keys",
    "retouch_cirrus",
    retouch.write_volumes,
    retouch.SETTINGS,
    [
        Case(
            "a key is misspelt",
            "data.retouch_dri: unknown name 'retouch_dri'; did you mean 'retouch_dir'?",
            settings={"data": {"retouch_dri": "DATA"}},
        ),
        Case(
            "a vendor is unknown",
            "datasets.retouch_cirrus.vendor: found 'Zeiss'",
            settings={"datasets": {"retouch_cirrus": {"vendor": "Zeiss"}}},
        ),
        Case(
            "a label is not annotated",
            "datasets.retouch_cirrus.labels: unknown name 'drusen'",
            settings={"datasets": {"retouch_cirrus": {"labels": ["irf", "drusen"]}}},
        ),
        Case(
            "a range of intensities is the wrong way round",
            "datasets.retouch_cirrus.intensity: found",
            settings={"datasets": {"retouch_cirrus": {"intensity": [255, 0]}}},
        ),
        Case(
            "an image size does not fit the network",
            "datasets.retouch_cirrus.image_size: found 33, which unetpp cannot take",
            settings={"datasets": {"retouch_cirrus": {"image_size": 33}}},
        ),
        Case(
            "the record is not there",
            "data.retouch_record: found 'DATA/none.csv', and there is no such file",
            settings={"data": {"retouch_record": "DATA/none.csv"}},
        ),
        Case(
            "the list of duplicates is not there",
            "datasets.retouch_cirrus.duplicates: found 'DATA/none.csv'",
            settings={"datasets": {"retouch_cirrus": {"duplicates": "DATA/none.csv"}}},
        ),
        Case(
            "the address of a mirror has no end",
            "data.isic2017_url: found 'https://mirror.example/isic'",
            settings={"data": {"isic2017_url": "https://mirror.example/isic"}},
        ),
        Case(
            "raw files would be stored where results are",
            "data.store: found 'results/paper', where preset paper writes",
            settings={"data": {"store": "results/paper"}},
        ),
        Case(
            "the place for raw files is a file",
            "data.store: found DATA/file, where nothing can be written (Not a directory)",
            holds("DATA/file", "mine"),
            settings={"data": {"store": "DATA/file"}},
        ),
        Case(
            "masks have more values than there are lesions",
            "folder.mask_values: give one value for each of `lesions`",
            settings={"datasets": {"mine": folder.MINE | {"lesions": ["wet"]}}},
        ),
    ],
)
