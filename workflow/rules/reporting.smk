# Tables, figures and the report, all from saved counts and masks. Each table and figure is a rule
# of its own, so that `snakemake table_IV` makes just that one and what it needs. Those that can be
# shown are in Snakemake's own report too (`snakemake --report`), with the same captions.

from workflow.base import wording
from workflow.config import cells
from workflow.figures import plots
from workflow.figures.inputs import read_for_plot
from workflow.report import captions
from workflow.status.outputs import deliverables, verdict_files

CAPTION = "../report/caption.rst"

for key in cells.made_tables(CONFIG):

    rule:
        name:
            f"table_{key}"
        input:
            inputs.read_for_table(CONFIG, key),
        output:
            [
                report(
                    paths.table(CONFIG, key, suffix),
                    caption=CAPTION,
                    category="Tables",
                    labels=captions.labels(wording.table_name(key), suffix),
                )
                for suffix in ("html", "csv")
            ],
            [
                paths.table(CONFIG, key, suffix)
                for suffix in paths.TABLE_FORMATS
                if suffix not in ("html", "csv")
            ],
        log:
            f"{LOGS}/tables/table_{key}.log",
        benchmark:
            f"{BENCHMARKS}/table/{key}.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            config=CONFIG_FILE,
            key=key,
            fingerprint=fingerprint.table_fingerprint(CONFIG, key),
            # As a function: Snakemake would take braces in a text for wildcards.
            caption=lambda wildcards, key=key: captions.table_caption(CONFIG, key),
        shell:
            "python -m workflow.tables.make {params.config:q} {params.key:q} > {log:q} 2>&1"


for key in cells.made_figures(CONFIG):

    rule:
        name:
            f"figure_{key}"
        input:
            inputs.read_for_figure(CONFIG, key),
        output:
            [
                report(
                    paths.figure(CONFIG, key, suffix),
                    caption=CAPTION,
                    category="Figures",
                    labels=captions.labels(f"Figure {key}", suffix),
                )
                for suffix in ("pdf", "png")
            ],
        log:
            f"{LOGS}/figures/figure_{key}.log",
        benchmark:
            f"{BENCHMARKS}/figure/{key}.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=4000,
            runtime=20,
        params:
            config=CONFIG_FILE,
            key=key,
            fingerprint=fingerprint.figure_fingerprint(CONFIG, key),
            # As a function: Snakemake would take braces in a text for wildcards.
            caption=lambda wildcards, key=key: captions.figure_caption(CONFIG, key),
        shell:
            "python -m workflow.figures.make {params.config:q} {params.key:q} > {log:q} 2>&1"


for key in plots.made_plots(CONFIG):

    rule:
        name:
            f"plot_{key}"
        input:
            read_for_plot(CONFIG, key),
        output:
            [
                report(
                    paths.plot(CONFIG, key, suffix),
                    caption=CAPTION,
                    category="Plots",
                    labels=captions.labels(plots.PLOTS[key].title, suffix),
                )
                for suffix in ("pdf", "png")
            ],
        log:
            f"{LOGS}/plots/plot_{key}.log",
        benchmark:
            f"{BENCHMARKS}/plot/{key}.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=2000,
            runtime=20,
        params:
            config=CONFIG_FILE,
            key=key,
            fingerprint=plots.plot_fingerprint(CONFIG, key),
            # As a function: Snakemake would take braces in a text for wildcards.
            caption=lambda wildcards, key=key: captions.plot_caption(CONFIG, key),
        shell:
            "python -m workflow.figures.make_plot {params.config:q} {params.key:q} > {log:q} 2>&1"


rule report:
    input:
        inputs.read_for_report(CONFIG),
        [paths.table(CONFIG, key, "html") for key in cells.made_tables(CONFIG)],
        [paths.figure(CONFIG, key, "png") for key in cells.made_figures(CONFIG)],
        [paths.plot(CONFIG, key, "png") for key in plots.made_plots(CONFIG)],
    output:
        directory(paths.report(CONFIG)),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/report/all.tsv"
    conda:
        ENVIRONMENT
    threads: CONFIG.data.threads
    resources:
        cpus_per_task=CONFIG.data.threads,
        mem_mb=4000,
        runtime=60,
    params:
        config=CONFIG_FILE,
        fingerprint=fingerprint.report_fingerprint(CONFIG),
    shell:
        "python -m workflow.report.make {params.config:q} > {log:q} 2>&1"


rule verdicts:
    input:
        inputs.read_for_verdicts(CONFIG),
    output:
        verdict_files(CONFIG),
    log:
        f"{LOGS}/verdicts.log",
    benchmark:
        f"{BENCHMARKS}/verdicts/all.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        config=CONFIG_FILE,
        fingerprint=fingerprint.verdicts_fingerprint(CONFIG),
    shell:
        "python -m workflow.verdicts.make {params.config:q} > {log:q} 2>&1"
