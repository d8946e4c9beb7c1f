# Tables, figures and the report, all from saved counts and masks. Each table and figure is a rule
# of its own, so that `snakemake table_IV` makes just that one and what it needs. Those that can be
# shown are in Snakemake's own report too (`snakemake --report`), with the same captions.

from workflow.base import wording
from workflow.figures import plots
from workflow.report import captions

for key in cells.made_tables(CONFIG):

    rule:
        name:
            f"table_{key}"
        input:
            read_for_table(key),
        output:
            [
                in_report(
                    paths.table(CONFIG, key, suffix), "Tables", wording.table_name(key)
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
            caption=captions.table_caption(CONFIG, key),
        shell:
            "python -m workflow.tables.make {params.config} {params.key} > {log} 2>&1"


for key in cells.made_figures(CONFIG):

    rule:
        name:
            f"figure_{key}"
        input:
            counts_of(cells.figure_runs(CONFIG, key)),
            manifests_of({run.dataset: None for run in cells.figure_runs(CONFIG, key)}),
        output:
            [
                in_report(
                    paths.figure(CONFIG, key, suffix), "Figures", f"Figure {key}"
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
            caption=captions.figure_caption(CONFIG, key),
        shell:
            "python -m workflow.figures.make {params.config} {params.key} > {log} 2>&1"


for key in plots.made_plots(CONFIG):

    rule:
        name:
            f"plot_{key}"
        input:
            read_for_plot(key),
        output:
            [
                in_report(
                    paths.plot(CONFIG, key, suffix), "Plots", plots.PLOTS[key].title
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
            caption=captions.plot_caption(CONFIG, key),
        shell:
            "python -m workflow.figures.make_plot {params.config} {params.key} > {log} 2>&1"


rule report:
    input:
        counts_of(cells.runs(CONFIG)),
        shown_masks(),
        manifests_of(cells.chosen_datasets(CONFIG)),
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
        "python -m workflow.report.make {params.config} > {log} 2>&1"


rule verdicts:
    input:
        counts_of(cells.runs(CONFIG)),
        duplicates_in(cells.runs(CONFIG)),
    output:
        [
            paths.verdicts(CONFIG) / f"{name}.{suffix}"
            for name in ("values", "claims", "rankings", "audit")
            for suffix in ("csv", "md")
        ],
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
        fingerprint=fingerprint.digest(
            [
                fingerprint.table_fingerprint(CONFIG, key)
                for key in cells.made_tables(CONFIG)
            ],
            "workflow.verdicts.make",
        ),
    shell:
        "python -m workflow.verdicts.make {params.config} > {log} 2>&1"
