# What methods with a `pretraining` section do before training, on the training images alone: cut
# them into superpixels, once per number of them; then one job per pack of seeds, as in training.


PRETRAINED = "|".join(k for k, v in CONFIG.methods.items() if v.pretraining) or "none"


rule superpixels:
    input:
        data_of,
    output:
        paths.superpixels(CONFIG, "{dataset}", "{method}", "{number}"),
    log:
        f"{LOGS}/superpixels/{{dataset}}/{{method}}/{{number}}.log",
    benchmark:
        f"{BENCHMARKS}/superpixels/{{dataset}}/{{method}}/{{number}}.tsv"
    wildcard_constraints:
        method=PRETRAINED,
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
        "python -m workflow.training.pretraining.superpixels {params.config}"
        " {wildcards.dataset} {wildcards.method} {wildcards.number} > {log} 2>&1"


for pack in packs():

    rule:
        name:
            "pretrain_seed" + "_".join(map(str, pack))
        input:
            data_of,
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
            f"{LOGS}/pretrain/{{dataset}}/{{method}}/seed{'_'.join(map(str, pack))}.log",
        benchmark:
            f"{BENCHMARKS}/pretrain/{{dataset}}/{{method}}/seed{'_'.join(map(str, pack))}.tsv"
        wildcard_constraints:
            method=PRETRAINED,
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
            seeds=pack,
            fingerprint=lambda wildcards: fingerprint.pretraining_fingerprint(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        shell:
            "python -m workflow.running.launch workflow.training.pretraining.pretrain {params.config}"
            " {wildcards.dataset} {wildcards.method} {params.seeds} > {log} 2>&1"
