# Archives or phantoms -> list of raw files -> inventory -> split -> prepared arrays and manifest ->
# gates. The first steps are made per source, the others per data set.


localrules:
    download,
    raw,


rule phantom:
    output:
        directory(CONFIG.results / "raw" / "{source}" / "original"),
    log:
        f"{LOGS}/phantom/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/phantom/{{source}}.tsv"
    wildcard_constraints:
        source="|".join(SOURCES),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.phantom_fingerprint(
            CONFIG, wildcards.source
        ),
    shell:
        "python -m workflow.data.make phantom {params.config:q} {wildcards.source:q} > {log:q} 2>&1"


# The archives themselves are no outputs: Snakemake would delete all of them when one fails.
rule download:
    output:
        paths.downloaded(CONFIG, "{source}"),
    log:
        f"{LOGS}/download/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/download/{{source}}.tsv"
    wildcard_constraints:
        source="|".join(SOURCES),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1000,
        runtime=600,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.download_fingerprint(
            CONFIG, wildcards.source
        ),
    shell:
        "python -m workflow.data.make download {params.config:q} {wildcards.source:q} > {log:q} 2>&1"


rule raw:
    input:
        lambda wildcards: inputs.raw_inputs(CONFIG, wildcards.source),
    output:
        CONFIG.results / "data" / "{source}_files.json",
    log:
        f"{LOGS}/raw/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/raw/{{source}}.tsv"
    wildcard_constraints:
        source="|".join(SOURCES),
    conda:
        ENVIRONMENT
    threads: CONFIG.data.threads
    resources:
        cpus_per_task=CONFIG.data.threads,
        mem_mb=2000,
        runtime=240,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.raw_fingerprint(
            CONFIG, wildcards.source
        ),
    shell:
        "python -m workflow.data.make raw {params.config:q} {wildcards.source:q} > {log:q} 2>&1"


rule inventory:
    input:
        lambda wildcards: paths.listing(CONFIG, CONFIG.raw_source(wildcards.dataset)),
    output:
        expand(
            CONFIG.results / "data" / "{{dataset}}" / "{file}.csv",
            file=["inventory", "inputs"],
        ),
    log:
        f"{LOGS}/inventory/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/inventory/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    threads: CONFIG.data.threads
    resources:
        cpus_per_task=CONFIG.data.threads,
        mem_mb=4000,
        runtime=60,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.data_fingerprint(
            CONFIG, wildcards.dataset, "inventory"
        ),
    shell:
        "python -m workflow.data.make inventory {params.config:q} {wildcards.dataset:q} > {log:q} 2>&1"


rule split:
    input:
        CONFIG.results / "data" / "{dataset}" / "inventory.csv",
    output:
        CONFIG.results / "data" / "{dataset}" / "split.csv",
    log:
        f"{LOGS}/split/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/split/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.data_fingerprint(
            CONFIG, wildcards.dataset, "split"
        ),
    shell:
        "python -m workflow.data.make split {params.config:q} {wildcards.dataset:q} > {log:q} 2>&1"


rule prepare:
    input:
        CONFIG.results / "data" / "{dataset}" / "inventory.csv",
        CONFIG.results / "data" / "{dataset}" / "inputs.csv",
        CONFIG.results / "data" / "{dataset}" / "split.csv",
    output:
        CONFIG.results / "data" / "{dataset}" / "manifest.json",
        paths.raw_facts(CONFIG, "{dataset}"),
        paths.identity(CONFIG, "{dataset}"),
        expand(
            CONFIG.results / "data" / "{{dataset}}" / "{split}" / "{file}",
            split=["train", "val", "test"],
            file=["images.npy", "masks.npy", "labels.npy", "index.parquet"],
        ),
    log:
        f"{LOGS}/prepare/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    threads: CONFIG.data.threads
    resources:
        cpus_per_task=CONFIG.data.threads,
        mem_mb=4000,
        runtime=120,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.data_fingerprint(
            CONFIG, wildcards.dataset, "prepare"
        ),
    shell:
        "python -m workflow.data.make prepare {params.config:q} {wildcards.dataset:q} > {log:q} 2>&1"


rule gates:
    input:
        paths.identity(CONFIG, "{dataset}"),
    output:
        paths.gates(CONFIG, "{dataset}"),
    log:
        f"{LOGS}/gates/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/gates/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.data_fingerprint(
            CONFIG, wildcards.dataset, "gates"
        ),
    shell:
        "python -m workflow.data.make gates {params.config:q} {wildcards.dataset:q} > {log:q} 2>&1"
