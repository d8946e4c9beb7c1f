# Each network is run once over the test images; everything later reads the saved counts. A control
# has no network: its predictions are made and counted in one step.

for pack in packs():

    rule:
        name:
            "evaluate_seed" + "_".join(map(str, pack))
        input:
            scored_on,
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
            f"{LOGS}/evaluate/{{dataset}}/{{method}}/seed{'_'.join(map(str, pack))}.log",
        benchmark:
            f"{BENCHMARKS}/evaluate/{{dataset}}/{{method}}/seed{'_'.join(map(str, pack))}.tsv"
        wildcard_constraints:
            method=methods_that(learn=True),
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
            seeds=pack,
            fingerprint=lambda wildcards: fingerprint.evaluation_fingerprint(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        shell:
            "python -m workflow.running.launch workflow.evaluation.evaluate {params.config}"
            " {wildcards.dataset} {wildcards.method} {params.seeds} > {log} 2>&1"

    rule:
        name:
            "control_seed" + "_".join(map(str, pack))
        input:
            scored_on,
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
            f"{LOGS}/control/{{dataset}}/{{method}}/seed{'_'.join(map(str, pack))}.log",
        benchmark:
            f"{BENCHMARKS}/control/{{dataset}}/{{method}}/seed{'_'.join(map(str, pack))}.tsv"
        wildcard_constraints:
            method=methods_that(learn=False),
        conda:
            ENVIRONMENT
        resources:
            mem_mb=8000,
            runtime=30,
        params:
            config=CONFIG_FILE,
            seeds=pack,
            fingerprint=lambda wildcards: fingerprint.control_fingerprint(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        shell:
            "python -m workflow.running.launch workflow.evaluation.controls {params.config}"
            " {wildcards.dataset} {wildcards.method} {params.seeds} > {log} 2>&1"
