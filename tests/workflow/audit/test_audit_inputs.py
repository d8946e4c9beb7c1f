"""The audit's input files: what they may hold, and the message for each that cannot be used."""

import pytest

from workflow.audit.cells import read_facts, read_tables
from workflow.audit.claims import read_claims
from workflow.audit.record import DatasetRecord, read_record
from workflow.audit.rounding import AuditError, printed

HEADER = "table,dataset,method,task,metric,value\n"
ROW = "I,d,m,segmentation,ji,60.0\n"


def write(tmp_path, text, name="input.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_blank_cells_are_no_numbers_and_spaces_do_not_matter(tmp_path):
    text = f"\ufeff{HEADER}I, d ,m,segmentation,ji, 60.0\nI,d,m,segmentation,dsc,-\n"
    (cell,) = read_tables(write(tmp_path, text))
    assert (cell.dataset, cell.text, cell.place) == ("d", "60.0", "Table I, d, m, ji")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns table, dataset, method, task, metric, value are missing; found none"),
        ("table;dataset\nI;d\n", "are missing; found table;dataset"),
        (HEADER, "found no printed number"),
        (HEADER + "I,d,m,segmentation,ji\n", "line 2: expected 6 fields"),
        (HEADER + ROW.replace("\n", ",9\n"), "line 2: expected 6 fields"),
        (HEADER + ROW.replace("60.0", "60,0"), "line 2: expected 6 fields"),
        (HEADER + ROW.replace("60.0", "60 %"), "line 2: value: '60 %' is not a plain decimal"),
        (HEADER + ROW.replace("segmentation", "seg"), "line 2: task 'seg'; expected one of"),
        (HEADER + ROW + ROW, "line 3: Table I, d, m, ji stands in line 2 already"),
        (HEADER + ROW.replace("60.0", "0.6"), "no value is above 1; give the numbers in per cent"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(AuditError) as error:
        read_tables(write(tmp_path, text))
    assert message in str(error.value)
    assert "input.csv" in str(error.value)


def test_tables_that_are_no_text(tmp_path):
    path = tmp_path / "input.csv"
    path.write_bytes(b"\xff\xfe\x00table")
    with pytest.raises(AuditError, match="cannot be read as UTF-8 text"):
        read_tables(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("volumes\n3\n", "columns dataset are missing"),
        ("dataset,volumes\nd,3.5\n", "line 2: volumes '3.5'; expected a whole number"),
        ("dataset,image_size\nd,512\n", "image_size '512'; expected a size as 640×480"),
        ("dataset,volumes\nd,3\nd,4\n", "volumes of d stands there twice"),
        ("dataset,other\nd,3\n", "found no fact"),
    ],
)
def test_facts_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(AuditError) as error:
        read_facts(write(tmp_path, text))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "1e2", "98.", ".5", "98,4", "+1", "nan"])
def test_numbers_are_plain(text):
    with pytest.raises(AuditError, match="not a plain decimal number"):
        printed(text)


CLAIM = (
    "{id: c, section: V, says: Said., kind: margin, datasets: [d], left: [a], right: [others], "
    "stated: {ji: '1.0'}}"
)


def test_groups_stand_for_their_names(tmp_path):
    text = f"groups: {{others: [b, c]}}\nclaims:\n  - {CLAIM}\n"
    (claim,) = read_claims(write(tmp_path, text))
    (comparison,) = claim.comparisons()
    assert comparison == ("d", "ji", ("a",), ("b", "c"), "1.0")


def test_a_claim_is_compared_in_every_data_set_and_metric(tmp_path):
    text = (
        "claims: [{id: c, section: V, says: Said., kind: above, datasets: [d, e], "
        "metrics: [ji, dsc], left: [a], right: [b]}]"
    )
    (claim,) = read_claims(write(tmp_path, text))
    made = [(c.dataset, c.metric, c.stated) for c in claim.comparisons()]
    assert made == [(d, m, None) for d in ("d", "e") for m in ("ji", "dsc")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "expected a mapping"),
        ("claims: {a: 1", "cannot be read as YAML"),
        ("groups: {}", "key 'claims' is missing"),
        ("claims: {}", "expected a list"),
        ("claim: []", "unknown name 'claim'; did you mean 'claims'?"),
        (f"claims: [{CLAIM}, {CLAIM}]", "claim 2: id 'c' is taken already"),
        (f"claims: [{CLAIM.replace('margin', 'margins')}]", "did you mean 'margin'?"),
        (f"claims: [{CLAIM.replace('left', 'lift')}]", "(c): unknown name 'lift'"),
        (f"claims: [{CLAIM.replace(', left: [a]', '')}]", "(c): key 'left' is missing"),
        (f"claims: [{CLAIM.replace('says: Said., ', '')}]", "claim 1: key 'says' is missing"),
        (f"claims: [{CLAIM.replace('[a]', '[]')}]", "left: found []; a claim needs at least one"),
        (f"claims: [{CLAIM.replace('[a]', 'a')}]", "left: found 'a'; expected a list of names"),
        (f"claims: [{CLAIM.replace('[a]', '[3]')}]", "3 is neither a name nor a group"),
        (f"claims: [{CLAIM.replace(chr(39), '')}]", "found 1.0; put the number in quotes"),
        (f"claims: [{CLAIM.replace('1.0', 'much')}]", "'much' is not a plain decimal number"),
        (
            "claims: [{id: c, section: V, says: S., kind: data, datasets: [d], "
            "stated: {image_size: '600'}}]",
            "found '600'; expected a number, or a size as 640×480",
        ),
    ],
)
def test_claims_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(AuditError) as error:
        read_claims(write(tmp_path, text, "claims.yaml"))
    assert message in str(error.value)
    assert "claims.yaml" in str(error.value)


VOLUMES = "id,vendor,slices,background,lesion\n1,A,2,50,10\n2,A,1,20,0\n3,B,4,80,0\n"


def test_a_record_reads_the_chosen_volumes(tmp_path):
    write(tmp_path, VOLUMES, "volumes.csv")
    text = (
        "d: {volumes: {file: volumes.csv, voxels: [background, lesion], vendor: A}}\ne: {slices: 3}"
    )
    record = read_record(write(tmp_path, text, "record.yaml"))
    assert record["d"] == DatasetRecord(slices=(2, 1), pixels=(30, 20))
    assert record["e"] == DatasetRecord(uniform=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d: 3", "d: found 3; expected a mapping"),
        ("d: {slice: 3}", "did you mean 'slices'?"),
        ("d: {slices: 0}", "slices: found 0; expected a positive whole number"),
        ("d: {prevalence: 0.3}", "expected [positive labels, all labels]"),
        ("d: {prevalence: [3, 2]}", "3 positive labels of 2"),
        ("d: {images: {train: many}}", "images: train: found 'many'"),
        ("d: {image_sizes: [640×480]}", "expected [smallest, largest]"),
        ("d: {volumes: {vendor: A}}", "key 'file' is missing"),
        ("d: {volumes: {file: absent.csv}}", "absent.csv cannot be used"),
        ("d: {volumes: {file: volumes.csv, vendor: C}}", "has no line with {'vendor': 'C'}"),
        ("d: {volumes: {file: volumes.csv, maker: A}}", "with columns slices, maker"),
        ("d: {volumes: {file: volumes.csv, voxels: [id]}}", "are no multiple of its 2 slices"),
    ],
)
def test_records_that_cannot_be_used(tmp_path, text, message):
    write(tmp_path, VOLUMES, "volumes.csv")
    with pytest.raises(AuditError) as error:
        read_record(write(tmp_path, text, "record.yaml"))
    assert message in str(error.value)
    assert "record.yaml" in str(error.value)
