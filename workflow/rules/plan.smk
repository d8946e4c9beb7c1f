# `snakemake plan`: what this configuration will cost. It runs nothing else. With
# `--resources gpu=8` the plan is for that many GPUs.


localrules:
    plan,


rule plan:
    log:
        f"{LOGS}/plan.log",
    # What it says, it says the next time too.
    retries: 0
    conda:
        ENVIRONMENT
    params:
        config=ASKED_FILE,
        gpus=lambda wildcards: dict(workflow.global_resources.unwrapped_items()).get(
            "gpu"
        )
        or 1,
    shell:
        "python -m workflow plan {params.config:q} --gpus {params.gpus:q} 2>&1 | tee {log:q}"
