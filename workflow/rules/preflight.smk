# `snakemake preflight`: is this cluster ready? Under the cluster's profile it is asked before each run.


localrules:
    preflight,


rule preflight:
    log:
        f"{LOGS}/preflight.log",
    conda:
        ENVIRONMENT
    params:
        config=CONFIG_FILE,
    shell:
        "python -m workflow.cluster.preflight {params.config} 2>&1 | tee {log}"
