# What all rules share: the configuration, resolved once. Rules use CONFIG, their jobs read
# CONFIG_FILE, which is written when a run starts.

import gc
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.persistence.file import FilePersistence
from snakemake.utils import validate

from workflow.base.errors import ConfigError
from workflow.base.digests import record_json
from workflow.config import paths
from workflow.config.load import anchored, load_raw, resolve
from workflow.running import fingerprint, inputs, launch, locks, triggers
from workflow.running.packs import at_once, methods_pattern, pack_name, packs
from workflow.status import progress, terminal

# A DAG of a thousand jobs is a million objects that stay: looking among them for garbage, again and
# again, takes an eighth of the time until the first job.
gc.freeze()
gc.set_threshold(100_000, 50, 100)

# With `--directory` another folder is written to, and a file that is not there is the clone's.
CLONE = Path(workflow.basedir)
CONFIG_YAML = Path("config.yaml")
if not CONFIG_YAML.exists():
    CONFIG_YAML = CLONE / CONFIG_YAML

try:
    RAW = load_raw(CONFIG_YAML, config)
    if not CLONE.samefile(Path.cwd()):
        RAW = anchored(RAW, CLONE)
    CONFIG = resolve(RAW, str(CONFIG_YAML))
except ConfigError as error:
    raise WorkflowError(f"The configuration cannot be used.\n{error}") from None

validate(
    CONFIG.model_dump(mode="json"), "../config/config.schema.json", set_default=False
)

CONFIG_FILE = str(CONFIG.results / "config.json")
# What `plan` and `preflight` look at; jobs of a run that goes on read the other one.
ASKED_FILE = str(CONFIG.results / "asked.json")
LOGS = str(CONFIG.results / "logs")
BENCHMARKS = str(CONFIG.results / "benchmarks")
ENVIRONMENT = "../../envs/conda.yaml"
IMAGE = "envs/resformer.sif"
SOURCES = sorted({CONFIG.raw_source(dataset) for dataset in CONFIG.datasets})
launch.use_this_interpreter(CLONE)
# A prepared data set that has passed its gates; gates passed anew change no result.
DATA = [paths.identity(CONFIG, "{dataset}"), ancient(paths.gates(CONFIG, "{dataset}"))]
# Weights as outputs: kept, or deleted once they are evaluated.
kept = list if CONFIG.training.keep_weights else temp
OTHER_SOFTWARE = set(map(str, workflow.deployment_settings.deployment_method))


if any(word.partition("=")[0] == "--archive" for word in sys.argv):
    if not shutil.which("conda"):
        raise WorkflowError(
            "conda: not found, and `snakemake --archive` packs a conda environment beside the "
            "code. Install conda (miniforge, say) and give the command again; the code alone is "
            "packed by `git archive --output=code.tar.gz HEAD`"
        )


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


if workflow.is_main_process:
    if not (locks.install(FilePersistence) and triggers.install(FilePersistence)):
        logger.warning(
            "This version of Snakemake is not the one in uv.lock: one run at a time in this "
            "folder. Run `uv sync`."
        )
    if killed := locks.release_stale_locks():
        logger.info(
            f"The last run was killed ({', '.join(map(str, killed))}); its lock is removed and its "
            "unfinished jobs start again."
        )


onstart:
    from workflow.cluster.hooks import ABOUT_RUNS, begin_run, check_cluster
    from workflow.data.required import needed_sources, require_raw_files

    try:
        require_raw_files(CONFIG, needed_sources(workflow.dag))
    except ConfigError as error:
        raise WorkflowError(str(error)) from None
    if begin_run(CONFIG, workflow, RAW):
        if SITE is not None:
            check_cluster(CONFIG, workflow, SITE)
        try:
            record_json(Path(CONFIG_FILE), RAW)
        except OSError as error:
            raise WorkflowError(
                f"{CONFIG_FILE}: cannot be written ({error})."
            ) from None
        if not OTHER_SOFTWARE:  # the server would run jobs with this interpreter
            launch.start_server()
    if ABOUT_RUNS & {job.rule.name for job in workflow.dag.needrun_jobs()}:
        record_json(Path(ASKED_FILE), RAW)
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


onsuccess:
    from workflow.cluster.hooks import tell_end

    tell_end(CONFIG, workflow, SITE, DISPLAY or None)


onerror:
    from workflow.cluster.hooks import tell_end

    tell_end(CONFIG, workflow, SITE, DISPLAY or None)
