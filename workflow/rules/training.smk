# One job trains `training.seeds_per_job` seeds of one (data set, method): importing torch and
# loading the data are paid once.

for pack in packs(CONFIG):

    rule:
        name:
            f"train_{pack_name(pack)}"
        input:
            DATA,
            lambda wildcards, seeds=pack: paths.all_pretraining(
                CONFIG, wildcards.dataset, wildcards.method, seeds
            ),
        output:
            kept(
                expand(
                    paths.run(CONFIG, "{{dataset}}", "{{method}}", "{seed}")
                    / "weights.safetensors",
                    seed=pack,
                )
            ),
            expand(
                paths.run(CONFIG, "{{dataset}}", "{{method}}", "{seed}") / "{file}",
                seed=pack,
                file=["history.csv", "run.json"],
            ),
        log:
            f"{LOGS}/train/{{dataset}}/{{method}}/{pack_name(pack)}.log",
        benchmark:
            f"{BENCHMARKS}/train/{{dataset}}/{{method}}/{pack_name(pack)}.tsv"
        wildcard_constraints:
            method=methods_pattern(CONFIG, "trained"),
        conda:
            ENVIRONMENT
        threads: CONFIG.training.threads * at_once(CONFIG, pack)
        resources:
            cpus_per_task=CONFIG.training.threads * at_once(CONFIG, pack),
            gpu=int(not CONFIG.demo),
            mem_mb=16000 * at_once(CONFIG, pack),
            runtime=1440,
        params:
            config=CONFIG_FILE,
            # A function of what is made: other packs of the same seeds make nothing anew.
            seeds=lambda wildcards, output, pack=pack: pack,
            fingerprint=lambda wildcards: fingerprint.run_fingerprint(
                CONFIG, wildcards.dataset, wildcards.method
            ),
        shell:
            "python -m workflow.running.launch workflow.training.train {params.config:q}"
            " {wildcards.dataset:q} {wildcards.method:q} {params.seeds:q} > {log:q} 2>&1"
