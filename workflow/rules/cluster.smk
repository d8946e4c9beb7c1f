# What follows for a cluster from what the rules ask for: where each job goes, the signal ahead of its
# time limit, and more memory and time with each attempt. Included last, when all rules are known.


# Only a cluster has a limit on the number of jobs; inside a job, all this has been decided.
ON_CLUSTER = workflow.is_main_process and workflow.resource_settings.nodes is not None


def check_cluster():
    """End before the first job, with what to do, where the cluster could not run them."""
    asked = {job.rule.name for job in workflow.dag.needrun_jobs()}
    if not ON_CLUSTER or asked & {"preflight", "plan"}:
        return
    from workflow.cluster.leftovers import end_leftovers
    from workflow.cluster.preflight import preflight as look

    found = look(CONFIG, SITE)
    for finding in found:
        logger.warning(f"preflight: {finding}")
    if any(finding.stops for finding in found):
        raise WorkflowError(
            "This cluster is not ready for the run, as the lines above say. Where a finding is "
            "wrong, add its name to `ignore` in slurm/site.yaml."
        )
    if not workflow.execution_settings.lock:
        return  # another Snakemake may run here, and the jobs may be its
    try:
        ended = end_leftovers(Path.cwd())
    except ConfigError as error:
        raise WorkflowError(
            f"A run that was killed may still have jobs.\n{error}."
        ) from None
    if ended:
        logger.warning(
            f"Slurm jobs {', '.join(ended)} of a run that was killed were still in the queue; they "
            "are cancelled, and training goes on from its last states."
        )


def chains():
    """Rule -> the group of those that follow each other on the same files, and its share of time.

    A group is one job of Slurm's. Tables and figures stay apart: a group waits for all that its
    rules rest on, and one run that cannot be trained would keep back the tables without it.
    """
    steps = ("inventory", "split", "prepare", "gates")
    found = {step: ("data_{dataset}", 1 / len(steps)) for step in steps}
    for pack in packs():
        seeds = "seed" + "_".join(map(str, pack))
        group = f"run_{{dataset}}_{{method}}_{seeds}"
        found[f"train_{seeds}"] = (group, 3 / 4)
        found[f"evaluate_{seeds}"] = (group, 1 / 4)
    return found


def tell_submission():
    """At the end of a dry run, say which jobs Slurm would be given."""
    if not workflow.dryrun or workflow.dag is None:
        return
    from workflow.cluster.submission import Step, submission

    needed = set(workflow.dag.needrun_jobs(exclude_finished=False))
    steps = [
        Step(
            job.rule.name,
            job.group,
            # `job.is_local` is true of all in a dry run.
            job.rule.norun or job.rule.name in workflow._localrules,
            gpus=job.resources.get("gpu", 0),
            cpus=job.resources.get("cpus_per_task", job.threads),
            memory=job.resources.mem_mb,
            minutes=job.resources.runtime,
        )
        for layer in workflow.dag.toposorted(needed)
        for job in layer
    ]
    sys.stdout.write(f"{submission(steps, workflow.resource_settings.nodes)}\n")


def place(one):
    """Give a rule what this cluster needs; what the command line gives stays."""
    gpu = bool(one.resources["gpu"].value) if "gpu" in one.resources else False
    for name, value in SITE.resources(gpu).items():
        if name not in one.resources:
            one.resources[name] = value
    given = workflow.resource_settings.overwrite_resources.get(one.name, {})
    seeds = TRAINED.get(one.name)
    one.group, share = CHAINS.get(one.name, (None, 1))
    longest = SITE.longest_of(gpu, PARTITIONS)
    limits = {
        "mem_mb": SITE.most_memory_of(gpu, PARTITIONS),
        "runtime": longest and int(share * longest),
    }
    for name, most in limits.items():
        if name in one.resources and not one.resources[name].is_evaluable():
            first = one.resources[name].value
            if name == "runtime" and gpu and seeds and name not in given:
                first = partial(MINUTES, seeds=seeds, otherwise=first)
            one.resources[name] = growing(first, most)


if ON_CLUSTER:
    import atexit
    import sys
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
    CHAINS = chains()
    MINUTES = to_train(CONFIG, device_of(SITE.gpu_model))
    for one in workflow.rules:
        place(one)
    atexit.register(tell_submission)  # Snakemake has no hook for dry runs

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
