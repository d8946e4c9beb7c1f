# `snakemake preflight`: is this cluster ready? Under the cluster's profile it is asked before each
# run too, but only by this command are nodes asked. An image has no Slurm: this runs outside of one.


localrules:
    preflight,


rule preflight:
    log:
        f"{LOGS}/preflight.log",
    # What it says, it says the next time too.
    retries: 0
    conda:
        ENVIRONMENT
    container:
        None
    params:
        config=ASKED_FILE,
    shell:
        "python -m workflow preflight {params.config:q} 2>&1 | tee {log:q}"
