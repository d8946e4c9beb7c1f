# What follows for a cluster from what the rules ask for: where each job goes, the signal ahead of its
# time limit, and more memory and time with each attempt. Included last, when all rules are known.


# Only a cluster has a limit on the number of jobs; inside a job, all this has been decided.
ON_CLUSTER = workflow.is_main_process and workflow.resource_settings.nodes is not None


def check_cluster():
    """End before the first job, with what to do, where the cluster could not run them."""
    asked = {job.rule.name for job in workflow.dag.needrun_jobs()}
    if not ON_CLUSTER or asked & {"preflight", "plan"}:
        return
    from workflow.cluster.preflight import preflight as look

    found = look(CONFIG, SITE)
    for finding in found:
        logger.warning(f"preflight: {finding}")
    if any(finding.stops for finding in found):
        raise WorkflowError(
            "This cluster is not ready for the run, as the lines above say. Where a finding is "
            "wrong, add its name to `ignore` in slurm/site.yaml."
        )


def place(one):
    """Give a rule what this cluster needs; what the command line gives stays."""
    gpu = bool(one.resources["gpu"].value) if "gpu" in one.resources else False
    for name, value in SITE.resources(gpu).items():
        if name not in one.resources:
            one.resources[name] = value
    given = workflow.resource_settings.overwrite_resources.get(one.name, {})
    seeds = TRAINED.get(one.name)
    limits = {
        "mem_mb": SITE.most_memory_of(gpu, PARTITIONS),
        "runtime": SITE.longest_of(gpu, PARTITIONS),
    }
    for name, longest in limits.items():
        if name in one.resources and not one.resources[name].is_evaluable():
            first = one.resources[name].value
            if name == "runtime" and gpu and seeds and name not in given:
                first = partial(MINUTES, seeds=seeds, otherwise=first)
            one.resources[name] = growing(first, longest)


if ON_CLUSTER:
    from functools import partial

    from workflow.cluster.partitions import partitions
    from workflow.cluster.runtime import device_of, to_train
    from workflow.cluster.site import growing, load_site

    try:
        SITE = load_site()
    except ConfigError as error:
        raise WorkflowError(
            f"The cluster's settings cannot be used.\n{error}"
        ) from None
    PARTITIONS = partitions()
    TRAINED = {f"train_seed{'_'.join(map(str, pack))}": len(pack) for pack in packs()}
    MINUTES = to_train(CONFIG, device_of(SITE.gpu_model))
    for one in workflow.rules:
        place(one)

    import snakemake_executor_plugin_slurm

    from workflow.cluster import polling

    if not polling.install(snakemake_executor_plugin_slurm):
        logger.warning(
            "This version of the Slurm plugin is not the one in uv.lock: jobs that are held or "
            "preempted for good are not noticed. Run `uv sync`."
        )
elif not workflow.is_main_process:
    import signal

    # The warning ahead of a time limit goes to all of a job's processes. Only the step minds it;
    # those that it is started through would end of it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
