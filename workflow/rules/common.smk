# What all rules share: the configuration, resolved once. Rules use CONFIG, their jobs read
# CONFIG_FILE, which is written when a run starts.

import gc
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import validate

from workflow.base.errors import ConfigError
from workflow.base.files import write_json
from workflow.config import cells, paths
from workflow.config.load import load_raw, resolve
from workflow.figures import plots
from workflow.running import fingerprint, launch, locks
from workflow.status import progress, terminal

# A DAG of a thousand jobs is a million objects that stay: looking among them for garbage, again and
# again, takes an eighth of the time until the first job.
gc.freeze()
gc.set_threshold(100_000, 50, 100)

try:
    RAW = load_raw("config.yaml", config)
    CONFIG = resolve(RAW, "config.yaml")
except ConfigError as error:
    raise WorkflowError(f"The configuration cannot be used.\n{error}") from None

validate(
    CONFIG.model_dump(mode="json"), "../config/config.schema.json", set_default=False
)

CONFIG_FILE = str(CONFIG.results / "config.json")
LOGS = str(CONFIG.results / "logs")
BENCHMARKS = str(CONFIG.results / "benchmarks")
ENVIRONMENT = "../../envs/conda.yaml"
IMAGE = "envs/resformer.sif"
SOURCES = sorted({CONFIG.raw_source(dataset) for dataset in CONFIG.datasets})
launch.use_this_interpreter()
OTHER_SOFTWARE = set(map(str, workflow.deployment_settings.deployment_method))


# Named only where it is asked for: otherwise each run would say that it is ignored.
if "apptainer" in OTHER_SOFTWARE:
    if not Path(IMAGE).exists():
        raise WorkflowError(
            f"{IMAGE}: not there, and `--sdm apptainer` runs all jobs in it. Build it here: "
            f"apptainer build {IMAGE} envs/resformer.def"
        )

    container: IMAGE


# One line per finished run, in place of Snakemake's blocks per job.
DISPLAY = workflow.is_main_process and terminal.take_over(
    logger, workflow.output_settings, CONFIG
)


wildcard_constraints:
    dataset="|".join(CONFIG.datasets),
    method="|".join(CONFIG.methods),


# Jobs trained on a GPU ask for one; a local limit on GPUs must not throttle a cluster.
resource_scopes:
    gpu="local",


if workflow.is_main_process and locks.release_stale_lock():
    logger.info(
        "The last run was killed; its lock is removed and its unfinished jobs start again."
    )


def require_raw_files():
    """End before the first job, with what to do, where raw files are needed that nobody gave."""
    needed = {
        job.wildcards.source
        for job in workflow.dag.needrun_jobs()
        if job.rule.name == "raw"
    }
    root = paths.raw_dir(CONFIG, "retouch")
    if "retouch" in needed and not CONFIG.demo and not root.exists():
        from workflow.data.sources.retouch import HOW_TO_GET

        raise WorkflowError(f"{root}: not there, and RETOUCH is needed.\n{HOW_TO_GET}")


onstart:
    require_raw_files()
    check_cluster()
    locks.record_owner()
    write_json(CONFIG_FILE, RAW)
    if not OTHER_SOFTWARE:  # the server would run jobs with this interpreter
        launch.start_server()
    if DISPLAY:
        needed = workflow.dag.needrun_jobs()
        DISPLAY.begin(
            {
                job.jobid: progress.task_of(
                    CONFIG, job.rule.name, tuple(job.wildcards)
                )
                for job in needed
            }
        )


def tell_end():
    """Say what came of it and which runs failed; and to whom slurm/site.yaml names, too."""
    if DISPLAY:
        DISPLAY.end()
    rules = {job.rule.name for job in workflow.dag.jobs}
    if not workflow.is_main_process or workflow.touch or rules & {"preflight", "plan"}:
        return
    import time

    from workflow.status.ending import Job, ending

    failed = {}
    for job in workflow.scheduler.failed:
        for one in job if job.is_group() else [job]:
            failed[one] = job.name if job.is_group() else None
    jobs = []
    for job in [*failed, *(one for one in workflow.dag.jobs if one not in failed)]:
        state = "done" if workflow.dag.noneedrun_finished(job) else "open"
        state = "failed" if job in failed else state
        file = Path(job.log[0]) if job.log else None
        wildcards = tuple(job.wildcards)
        jobs.append(Job(job.rule.name, wildcards, file, state, failed.get(job)))
    try:
        end = ending(CONFIG, jobs, began=locks.OWNER.stat().st_mtime, now=time.time())
        for line in end.headlines if end else ():
            logger.info(line)
    except Exception as error:  # what was made must not count as failed because of this
        logger.warning(f"How the runs ended cannot be told: {error!r}")
        return
    if end is None:
        return
    (logger.warning if end.failures else logger.info)(end.text)
    if ON_CLUSTER:
        from workflow.cluster.notify import notify

        for warning in notify(SITE, end.title, end.text):
            logger.warning(warning)


onsuccess:
    tell_end()


onerror:
    tell_end()


def packs():
    """The seeds of each job: `training.seeds_per_job` at a time."""
    size = CONFIG.training.seeds_per_job
    return [CONFIG.seeds[i : i + size] for i in range(0, len(CONFIG.seeds), size)]


def at_once(pack):
    """How many seeds of a job train at the same time, each in a process of its own."""
    return min(CONFIG.training.seeds_at_once, len(pack))


def kept(weights):
    """Weights as outputs: kept, or deleted once they are evaluated, as the configuration says."""
    return weights if CONFIG.training.keep_weights else temp(weights)


def methods_that(learn):
    """A pattern of the methods that are trained, or of those that are not: the controls."""
    names = [
        name for name, entry in CONFIG.methods.items() if bool(entry.module) == learn
    ]
    return "|".join(names) or "none"


def counts_of(runs):
    """The saved counts of runs, over all seeds."""
    return [
        paths.evaluation(CONFIG, *run, seed) / "counts.parquet"
        for run in runs
        for seed in CONFIG.seeds
    ]


def shown_masks():
    """The saved masks that the report's image browser holds."""
    return [
        paths.evaluation(CONFIG, *run, seed) / "masks.npz"
        for run in cells.runs(CONFIG)
        for seed in cells.shown_seeds(CONFIG, run)
    ]


def records_of(runs):
    """What runs recorded of themselves, over all seeds."""
    return [
        paths.run(CONFIG, *run, seed) / "run.json"
        for run in runs
        for seed in CONFIG.seeds
    ]


def data_of(wildcards):
    """A prepared data set that has passed its gates; gates passed anew change no result."""
    return [
        paths.identity(CONFIG, wildcards.dataset),
        ancient(paths.gates(CONFIG, wildcards.dataset)),
    ]


def scored_on(wildcards):
    """What test images are scored on: the prepared data, and raw masks if they are to be native."""
    raw = paths.listing(CONFIG, CONFIG.raw_source(wildcards.dataset))
    return data_of(wildcards) + (
        [raw] if CONFIG.evaluation.resolution == "native" else []
    )


def manifests_of(datasets):
    """What there is to say of prepared data sets: their manifests, and what their gates found."""
    return [
        file
        for dataset in datasets
        for file in (
            paths.prepared(CONFIG, dataset) / "manifest.json",
            paths.gates(CONFIG, dataset),
        )
    ]


def duplicates_in(runs):
    """Where the test images are listed that `evaluation.drop_duplicates` leaves out of scores."""
    if not CONFIG.evaluation.drop_duplicates:
        return []
    return list(dict.fromkeys(paths.gates(CONFIG, run.dataset) for run in runs))


def raw_inputs(wildcards):
    """Phantoms and downloads are made first; a local folder is there already."""
    if wildcards.source in CONFIG.datasets and CONFIG.datasets[wildcards.source].folder:
        return []
    if CONFIG.demo:
        return [paths.raw_dir(CONFIG, wildcards.source)]
    if wildcards.source == "isic2017" and not CONFIG.given_dir("isic2017"):
        return [paths.downloaded(CONFIG, "isic2017")]
    return []


def read_for_plot(key):
    """What a larger figure is made from: the counts of its runs, or what these recorded."""
    runs = plots.plot_runs(CONFIG, key)
    counts = counts_of(cells.with_controls(CONFIG, runs)) if "counts" in plots.PLOTS[key].reads else []
    records = records_of(runs) if "records" in plots.PLOTS[key].reads else []
    return [*counts, *records, *duplicates_in(runs)]


def read_for_table(key):
    """What a table is made from: what runs recorded, their counts, or what data steps left."""
    runs = cells.table_runs(CONFIG, key)
    if CONFIG.tables[key].kind == "efficiency":
        return records_of(runs)
    runs = cells.with_controls(CONFIG, runs)
    datasets = cells.dataset_rows(CONFIG, key)
    return [*counts_of(runs), *duplicates_in(runs), *manifests_of(datasets)]


def in_report(file, category, title):
    """An output that Snakemake's own report shows, in a table of its category."""
    labels = {"Name": title, "Format": str(file).rpartition(".")[2]}
    caption = "../report/caption.rst"
    return report(file, caption=caption, category=category, labels=labels)
