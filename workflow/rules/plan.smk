# `snakemake plan`: what this configuration will cost. It runs nothing else. With
# `--resources gpu=8` the plan is for that many GPUs.


localrules:
    plan,


rule plan:
    log:
        f"{LOGS}/plan.log",
    conda:
        ENVIRONMENT
    params:
        config=CONFIG_FILE,
        gpus=lambda wildcards: dict(workflow.global_resources.unwrapped_items()).get(
            "gpu"
        )
        or 1,
    shell:
        "python -m workflow plan {params.config} --gpus {params.gpus} 2>&1 | tee {log}"
