# What a cluster needs beside what the rules ask for (`workflow.cluster.placement`). Included last, when
# all rules are known. SITE is the cluster's own names; None where there is no cluster.

SITE = None

# Only a cluster has a limit on the number of jobs, and resources of rules that name none; a dry run
# with `-j 2` has the first alone. Inside a job, all this has been decided.
ON_CLUSTER = (
    workflow.resource_settings.nodes is not None
    and workflow.resource_settings.default_resources is not None
)
if workflow.is_main_process and ON_CLUSTER:
    from workflow.cluster.placement import place_all

    SITE = place_all(CONFIG, workflow)
elif not workflow.is_main_process:
    import signal

    # The warning ahead of a time limit goes to all of a job's processes. Only the step minds it;
    # those that it is started through would end of it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
