# What methods with a `pretraining` section do before training, on the training images alone: cut
# them into superpixels, once per number of them; then one job per pack of seeds, as in training.


rule superpixels:
    input:
        DATA,
    output:
        paths.superpixels(CONFIG, "{dataset}", "{method}", "{number}"),
    log:
        f"{LOGS}/superpixels/{{dataset}}/{{method}}/{{number}}.log",
    benchmark:
        f"{BENCHMARKS}/superpixels/{{dataset}}/{{method}}/{{number}}.tsv"
    wildcard_constraints:
        method=methods_pattern(CONFIG, "pretrained"),
        number=r"\d+",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=CONFIG_FILE,
        fingerprint=lambda wildcards: fingerprint.superpixels_fingerprint(
            CONFIG, wildcards.dataset, wildcards.method
        ),
    shell:
        "python -m workflow.training.pretraining.superpixels {params.config:q}"
        " {wildcards.dataset:q} {wildcards.method:q} {wildcards.number:q} > {log:q} 2>&1"


for pack in packs(CONFIG):

    rule:
        name:
            f"pretrain_{pack_name(pack)}"
        input:
            DATA,
            lambda wildcards: paths.all_superpixels(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        output:
            expand(
                paths.pretraining(CONFIG, "{{dataset}}", "{{method}}", "{seed}")
                / "{file}",
                seed=pack,
                file=["weights.safetensors", "policy.json"],
            ),
        log:
            f"{LOGS}/pretrain/{{dataset}}/{{method}}/{pack_name(pack)}.log",
        benchmark:
            f"{BENCHMARKS}/pretrain/{{dataset}}/{{method}}/{pack_name(pack)}.tsv"
        wildcard_constraints:
            method=methods_pattern(CONFIG, "pretrained"),
        conda:
            ENVIRONMENT
        threads: CONFIG.training.threads
        resources:
            cpus_per_task=CONFIG.training.threads,
            gpu=int(not CONFIG.demo),
            mem_mb=16000,
            runtime=1440,
        params:
            config=CONFIG_FILE,
            # A function of what is made: other packs of the same seeds make nothing anew.
            seeds=lambda wildcards, output, pack=pack: pack,
            fingerprint=lambda wildcards: fingerprint.pretraining_fingerprint(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        shell:
            "python -m workflow.running.launch workflow.training.pretraining.pretrain {params.config:q}"
            " {wildcards.dataset:q} {wildcards.method:q} {params.seeds:q} > {log:q} 2>&1"
