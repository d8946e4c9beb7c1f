"""The whole reproduction: `snakemake --cores all` runs the demo; docs/ says the rest."""

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretraining.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/reporting.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/preflight.smk"
include: "workflow/rules/cluster.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        paths.report(CONFIG),
        # All that is taken away, so that what was deleted is made again.
        deliverables(CONFIG),
