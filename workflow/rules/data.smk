# Raw files -> inventory -> split -> prepared arrays and manifest, per data set.


rule phantom:
    output:
        raw=directory(CONFIG.results / "raw" / "{source}"),
        listing=CONFIG.results / "raw" / "{source}.txt",
    log:
        f"{LOGS}/phantom/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/phantom/{{source}}.tsv"
    wildcard_constraints:
        source="retouch|isic2017",
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
        "python -m workflow.data.make phantom {params.config} {wildcards.source} 2>&1 | tee {log}"


rule inventory:
    input:
        raw_listing,
    output:
        CONFIG.results / "data" / "{dataset}" / "inventory.csv",
    log:
        f"{LOGS}/inventory/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/inventory/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.data_fingerprint(
            CONFIG, wildcards.dataset, "inventory"
        ),
    shell:
        "python -m workflow.data.make inventory {params.config} {wildcards.dataset} 2>&1 | tee {log}"


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
        "python -m workflow.data.make split {params.config} {wildcards.dataset} 2>&1 | tee {log}"


rule prepare:
    input:
        CONFIG.results / "data" / "{dataset}" / "inventory.csv",
        CONFIG.results / "data" / "{dataset}" / "split.csv",
    output:
        manifest=CONFIG.results / "data" / "{dataset}" / "manifest.json",
        arrays=expand(
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
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.data_fingerprint(
            CONFIG, wildcards.dataset, "prepare"
        ),
    shell:
        "python -m workflow.data.make prepare {params.config} {wildcards.dataset} 2>&1 | tee {log}"
