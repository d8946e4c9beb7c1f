# `snakemake plan`: what this configuration will cost. It runs nothing else.


localrules:
    plan,


rule plan:
    log:
        f"{LOGS}/plan.log",
    conda:
        ENVIRONMENT
    params:
        config=CONFIG_FILE,
    shell:
        "python -m workflow.plan {params.config} 2>&1 | tee {log}"
