# Each network is run once over the test images; everything later reads the saved counts. A control
# has no network: its predictions are made and counted in one step.

for pack in packs(CONFIG):

    rule:
        name:
            f"evaluate_{pack_name(pack)}"
        input:
            DATA,
            lambda wildcards: inputs.native_masks(CONFIG, wildcards.dataset),
            expand(
                paths.run(CONFIG, "{{dataset}}", "{{method}}", "{seed}")
                / "weights.safetensors",
                seed=pack,
            ),
        output:
            expand(
                paths.evaluation(CONFIG, "{{dataset}}", "{{method}}", "{seed}")
                / "{file}",
                seed=pack,
                file=["counts.parquet", "masks.npz"],
            ),
        log:
            f"{LOGS}/evaluate/{{dataset}}/{{method}}/{pack_name(pack)}.log",
        benchmark:
            f"{BENCHMARKS}/evaluate/{{dataset}}/{{method}}/{pack_name(pack)}.tsv"
        wildcard_constraints:
            method=methods_pattern(CONFIG, "trained"),
        # Soon after training, so that weights that are not kept go soon.
        priority: 1
        conda:
            ENVIRONMENT
        threads: CONFIG.training.threads
        resources:
            cpus_per_task=CONFIG.training.threads,
            gpu=int(not CONFIG.demo),
            mem_mb=16000,
            runtime=60,
        params:
            config=CONFIG_FILE,
            # A function of what is made: other packs of the same seeds make nothing anew.
            seeds=lambda wildcards, output, pack=pack: pack,
            fingerprint=lambda wildcards: fingerprint.evaluation_fingerprint(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        shell:
            "python -m workflow.running.launch workflow.evaluation.evaluate {params.config:q}"
            " {wildcards.dataset:q} {wildcards.method:q} {params.seeds:q} > {log:q} 2>&1"

    rule:
        name:
            f"control_{pack_name(pack)}"
        input:
            DATA,
            lambda wildcards: inputs.native_masks(CONFIG, wildcards.dataset),
        output:
            expand(
                paths.evaluation(CONFIG, "{{dataset}}", "{{method}}", "{seed}")
                / "{file}",
                seed=pack,
                file=["counts.parquet", "masks.npz"],
            ),
            expand(
                paths.run(CONFIG, "{{dataset}}", "{{method}}", "{seed}") / "run.json",
                seed=pack,
            ),
        log:
            f"{LOGS}/control/{{dataset}}/{{method}}/{pack_name(pack)}.log",
        benchmark:
            f"{BENCHMARKS}/control/{{dataset}}/{{method}}/{pack_name(pack)}.tsv"
        wildcard_constraints:
            method=methods_pattern(CONFIG, "control"),
        conda:
            ENVIRONMENT
        resources:
            mem_mb=8000,
            runtime=30,
        params:
            config=CONFIG_FILE,
            # A function of what is made: other packs of the same seeds make nothing anew.
            seeds=lambda wildcards, output, pack=pack: pack,
            fingerprint=lambda wildcards: fingerprint.control_fingerprint(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        shell:
            "python -m workflow.running.launch workflow.evaluation.controls {params.config:q}"
            " {wildcards.dataset:q} {wildcards.method:q} {params.seeds:q} > {log:q} 2>&1"
