"""The DAG as a user meets it: counts, refusals, reruns, kill and restart, on real small runs."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.workspace import ROOT, command, copy_tree, jobs, snakemake
from workflow.base.files import read_json
from workflow.figures.plots import PLOTS

# One data set, two methods, two seeds: small, and yet every kind of job.
SMALL = (
    "--config",
    "preset=smoke",
    "seeds=[0, 1]",
    "select={datasets: [retouch_spectralis], methods: [resformer_par, unetpp]}",
)
EXTRA_TABLES = ("efficiency", "lesions", "labels", "further", "rules", "decisions")
TABLES = ("I", "II", "III", "V", "VI", "VIII", "IX", *EXTRA_TABLES)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree in which the small run has been made."""
    folder = copy_tree(tmp_path_factory.mktemp("dag"))
    done = snakemake(folder, *SMALL)
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def tables(folder: Path) -> dict[str, str]:
    """name -> SHA-256 of every table, in every format."""
    found = sorted((folder / "results" / "smoke" / "tables").glob("[!.]*"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def test_the_small_run_makes_tables_figures_and_report(finished: Path) -> None:
    results = finished / "results" / "smoke"
    assert {name.split(".")[0] for name in tables(finished)} == {f"table_{k}" for k in TABLES}
    assert {f.name for f in (results / "figures").glob("[!.]*")} == {
        "figure_5.pdf", "figure_5.png", "figure_7.pdf", "figure_7.png",
    }  # fmt: skip
    made = {f.stem for f in (results / "plots").glob("*.pdf")}
    assert made == set(PLOTS) == {f.stem for f in (results / "plots").glob("*.png")}
    index = (results / "report" / "index.html").read_text()
    assert "figures/published.png" in index
    assert "demo: phantom data, not comparable with the paper" in index


def test_snakemake_has_a_report_of_its_own_without_a_network(finished: Path) -> None:
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    said = snakemake(finished, *SMALL, "--report", "own.zip", **nowhere)
    assert said.returncode == 0, said.stdout[-4000:]
    with zipfile.ZipFile(finished / "own.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
        page = archive.read("own/report.html").decode()
    shown = {f"table_{key}.{suffix}" for key in TABLES for suffix in ("html", "csv")}
    shown |= {f"figure_{key}.{suffix}" for key in "57" for suffix in ("png", "pdf")}
    shown |= {"published.pdf", "published.png", "curves.pdf", "curves.png"}
    assert shown <= names
    assert "demo: phantom data, not comparable with the paper" in page
    assert '"Tables"' in page
    assert '"Figures"' in page
    assert '"Plots"' in page


def test_a_run_says_little_and_how_it_ends(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    select = "select={datasets: [isic2017], methods: [control_oracle, control_prior]}"
    done = snakemake(tmp_path, "--config", "preset=smoke", select)
    assert done.returncode == 0, done.stdout[-4000:]
    lines = done.stdout.splitlines()
    assert len(lines) < 12, done.stdout
    runs = [line for line in lines if line.startswith("[")]
    assert [line.partition(",")[0] for line in runs] == ["[ 1/2", "[ 2/2"]
    assert any(line.endswith("· Oracle · DSC 100.0 · Sen 100.0 · Spe 100.0") for line in runs)
    ends = "results/smoke: 2 runs: 2 done; the report is results/smoke/report/index.html"
    assert ends in lines
    # What the jobs said is in their logs, and what Snakemake would have said in its own.
    assert (tmp_path / "results/smoke/logs/prepare/isic2017.log").read_text()
    (log,) = (tmp_path / ".snakemake" / "log").iterdir()
    assert "rule prepare" in log.read_text()


def test_a_job_that_fails_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    broken = tmp_path / "workflow" / "data" / "make.py"
    broken.write_text(broken.read_text().replace("list_raw(config, name)", "print(1 / 0)"))
    target = "results/smoke/data/isic2017_files.json"
    done = snakemake(tmp_path, "--config", "preset=smoke", "--", target)
    assert done.returncode != 0
    for part in ("Error in rule raw", "ZeroDivisionError", "workflow.data.make raw"):
        assert part in done.stdout


def test_a_second_run_does_nothing(finished: Path) -> None:
    again = snakemake(finished, *SMALL)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


def test_seeds_differ_and_share_nothing_but_the_protocol(finished: Path) -> None:
    runs = finished / "results/smoke/runs/retouch_spectralis/resformer_par"
    digests = {
        hashlib.sha256((runs / f"seed{seed}" / "weights.safetensors").read_bytes()).hexdigest()
        for seed in (0, 1)
    }
    assert len(digests) == 2


@pytest.mark.parametrize(
    "file", ["workflow/training/losses.py", "resformer/dfe.py", "workflow/metrics/metrics.py"]
)
def test_a_comment_trains_nothing(finished: Path, file: str) -> None:
    path = finished / file
    before = path.read_text()
    try:
        path.write_text(before + "\n# A remark, and a blank line.\n\n")
        said = snakemake(finished, "-n", *SMALL).stdout
    finally:
        path.write_text(before)
    assert "Nothing to be done" in said


def test_code_that_computes_trains_what_it_computes(finished: Path) -> None:
    path = finished / "resformer" / "dfe.py"
    before = path.read_text()
    try:
        path.write_text(before + "\nCHANGED = True\n")
        planned = jobs(snakemake(finished, "-n", *SMALL).stdout)
    finally:
        path.write_text(before)
    assert planned["train_seed0"] == planned["train_seed1"] == 1  # UNet++ does not use it


@pytest.mark.parametrize(
    ("change", "trained"),
    [
        ("training={learning_rate: 0.001}", 2),
        ("methods={unetpp: {training: {learning_rate: 0.001}}}", 1),
        ("datasets={retouch_spectralis: {training: {learning_rate: 0.001}}}", 2),
        ("datasets={isic2017: {training: {learning_rate: 0.001}}}", 0),
        ("training={threads: 2}", 0),
    ],
)
def test_a_learning_rate_trains_exactly_what_it_affects(
    finished: Path, change: str, trained: int
) -> None:
    planned = jobs(snakemake(finished, "-n", *SMALL, change).stdout)
    assert planned.get("train_seed0", 0) == planned.get("train_seed1", 0) == trained
    assert planned.get("prepare", 0) == 0


def test_a_caption_remakes_its_table_and_the_report(finished: Path) -> None:
    planned = jobs(snakemake(finished, "-n", *SMALL, "tables={VI: {caption: Another}}").stdout)
    assert set(planned) == {"table_VI", "report", "all"}


def test_another_number_of_seeds_in_a_job_trains_none_of_them_anew(finished: Path) -> None:
    per_job = "training={seeds_per_job: 2}"
    planned = jobs(snakemake(finished, "-n", *SMALL, per_job).stdout)
    # A job that evaluates two seeds is older than the weights of the one that was trained later.
    assert not [rule for rule in planned if rule.startswith(("train", "control"))]


def test_a_clone_that_cannot_be_written_to_has_its_results_elsewhere(
    finished: Path, tmp_path: Path
) -> None:
    """As of a clone that is shared: the command's folder, and what it makes, is another one."""
    clone = copy_tree(tmp_path / "clone")
    variables = {"PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
    before = sorted(clone.rglob("*"))
    made = "results/smoke/data/retouch_spectralis/split.csv"
    arguments = ["--snakefile", str(clone / "Snakefile"), "--directory", str(tmp_path / "work")]
    done = snakemake(tmp_path, *arguments, *SMALL, "--", made, **variables)
    assert done.returncode == 0, done.stdout[-4000:]
    assert (tmp_path / "work" / made).read_bytes() == (finished / made).read_bytes()
    assert sorted(clone.rglob("*")) == before


@pytest.mark.parametrize(
    ("deleted", "made"),
    [
        ("tables/table_VI.csv", {"table_VI"}),
        ("figures/figure_5.pdf", {"figure_5"}),
        ("verdicts/claims.md", {"verdicts"}),
        ("evaluation/retouch_spectralis/unetpp/seed1/masks.npz", {"evaluate_seed1"}),
        ("runs/retouch_spectralis/unetpp/seed0/weights.safetensors", {"train_seed0"}),
    ],
)
def test_what_was_deleted_is_made_again(finished: Path, deleted: str, made: set[str]) -> None:
    file = finished / "results/smoke" / deleted
    aside = file.rename(finished / "aside")
    try:
        planned = jobs(snakemake(finished, "-n", *SMALL).stdout)
    finally:
        aside.rename(file)
    first = [rule for rule in planned if rule not in ("all", "report")]
    assert made <= set(first)
    if "table" in deleted or "figure" in deleted or "verdicts" in deleted:
        assert set(first) == made
    assert not {"prepare", "gates"} & set(planned)


def test_a_finished_preset_is_verified_and_a_flipped_bit_is_found(finished: Path) -> None:
    command = [sys.executable, "-m", "workflow", "verify", "smoke"]

    def verify() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=finished, capture_output=True, text=True, check=False)

    good = verify()
    assert good.returncode == 0, good.stdout
    assert re.fullmatch(
        r"results/smoke: (\d+) files: \1 good, 0 damaged, 0 missing, 0 unknown \(.+\)\n",
        good.stdout,
    )
    file = finished / "results/smoke/evaluation/retouch_spectralis/unetpp/seed0/counts.parquet"
    before, stat = file.read_bytes(), file.stat()
    file.write_bytes(before[:500] + bytes([before[500] ^ 1]) + before[501:])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    try:
        found = verify()
        assert found.returncode == 1
        name = file.relative_to(finished)
        assert found.stdout.startswith(
            f"damaged  {name}: delete it: your snakemake command with `--"
        )
        told = snakemake(finished, *SMALL, "--forcerun", "table_VI", "--", "table_VI")
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert told.returncode != 0
    assert f"error: {name}: damaged (its content is not what was written" in told.stdout
    assert "Traceback" not in told.stdout
    assert snakemake(finished, *SMALL).returncode == 0


@pytest.mark.parametrize(
    ("preset", "pairs", "seeds"),
    # The paper's 93 pairs, and the control that is trained, on four data sets.
    [("everything", 97, 2), ("paper", 97, 5), ("released", 105, 5), ("isic256", 4, 1)],
)
def test_a_dry_run_lists_every_run(finished: Path, preset: str, pairs: int, seeds: int) -> None:
    planned = jobs(snakemake(finished, "-n", "--config", f"preset={preset}").stdout)
    per_job = 2 if preset == "everything" else 1
    for step in ("train", "evaluate"):
        made = {rule: n for rule, n in planned.items() if rule.startswith(f"{step}_seed")}
        assert len(made) == seeds // per_job
        assert set(made.values()) == {pairs}


def test_one_table_needs_only_its_own_runs(finished: Path) -> None:
    planned = jobs(snakemake(finished, "-n", "--config", "preset=paper", "--", "table_IV").stdout)
    # Five methods and ResFormer, and the control that is trained, which stands at the table's foot.
    assert planned["train_seed0"] == 7
    assert planned["table_IV"] == 1
    assert not {"table_I", "report", "all"} & set(planned)


def test_the_cluster_profile_chooses_the_paper(finished: Path) -> None:
    said = snakemake(finished, "-n", "--profile", "slurm").stdout
    assert jobs(said)["train_seed4"] == 97
    assert "592 jobs for Slurm" in said
    (runs,) = [line.split() for line in said.splitlines() if "train, evaluate" in line]
    assert runs[:5] == ["485", "train,", "evaluate", "1", "4"]
    assert "for Slurm" not in snakemake(finished, "-n").stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("epochs=3", "unknown name 'epochs'"),
        ("preset=papr", "preset: found 'papr'; allowed: demo"),
        ("training={epochs: many}", "training.epochs: found 'many'"),
        ("datasets={isic2017: {image_size: 100}}", "datasets.isic2017.image_size: found 100"),
        ("select={methods: [unett]}", "did you mean 'unetpp'?"),
    ],
)
def test_a_wrong_configuration_is_refused_before_any_job(
    finished: Path, change: str, said: str
) -> None:
    refused = snakemake(finished, "--config", change)
    assert refused.returncode != 0
    assert said in refused.stdout
    assert "Job stats" not in refused.stdout


def test_two_stages_and_weights_that_are_not_kept(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    chosen = (
        "--config",
        "preset=smoke",
        "select={datasets: [isic2017], methods: [autosmim, octnet, he]}",
        "training={keep_weights: false}",
        "methods={he: {recipe: native}}",
    )
    done = snakemake(tmp_path, *chosen, "--", "table_VII", "table_IV")
    assert done.returncode == 0, done.stdout[-4000:]
    results = tmp_path / "results" / "smoke"
    # Weights are deleted once they are scored, and what made them is recorded all the same.
    assert not list((results / "runs").rglob("weights.safetensors"))
    record = read_json(results / "runs/isic2017/autosmim/seed0/run.json")
    assert record["initialisation"]["kind"] == "pretraining"
    assert record["initialisation"]["policy"]["superpixels"] in (12, 24, 48)
    assert "masked superpixels" in (results / "tables/table_VII.md").read_text()
    assert "native, random" in (results / "tables/table_IV.md").read_text()
    again = snakemake(tmp_path, *chosen, "--", "table_VII", "table_IV")
    assert "Nothing to be done" in again.stdout


def test_retouch_is_asked_for_before_the_first_job(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    nothing = {"ISIC2017_DIR": "", "RETOUCH_DIR": ""}
    planned = snakemake(tmp_path, "-n", "--config", "preset=paper", "--", "table_III", **nothing)
    assert planned.returncode == 0  # what would run can be seen without any data
    asked = snakemake(tmp_path, "--config", "preset=paper", "--", "table_III", **nothing)
    assert asked.returncode != 0
    for part in ("retouch.grand-challenge.org", "data.retouch_dir", "RETOUCH_DIR", "preset=demo"):
        assert part in asked.stdout
    assert "Traceback" not in asked.stdout
    assert not (tmp_path / "results" / "paper" / "data").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["snakemake", "--lint"],
        ["snakefmt", "--check", "Snakefile", "workflow/rules"],
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["basedpyright"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_the_tree_is_tidy(arguments: list[str]) -> None:
    folder = Path(command()[0]).parent
    checked = subprocess.run(
        [str(folder / arguments[0]), *arguments[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, (checked.stdout + checked.stderr)[-4000:]
