"""Is this cluster ready? Looks at what would make jobs wait for ever or fail at once.

Each finding is one line: what was found, why it matters, what to do. It also asks nodes, by a short
job each. `snakemake preflight --profile slurm` is the same for what that command line asks for. A
finding that stops a run can be overruled by its name in `ignore` of slurm/site.yaml. The exit code
is 1 if anything stops a run.

    resformer preflight paper
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import add_preset, asked


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=True)


def run(options: Namespace) -> int:
    """Print what is found; 1 if anything stops a run."""
    from workflow.cluster import node
    from workflow.cluster.preflight import preflight_with_nodes
    from workflow.cluster.site import load_site

    config, site = asked(options.preset), load_site()
    sys.stdout.write(f"Looking, and asking nodes; this takes {node.PATIENCE} s at most.\n")
    sys.stdout.flush()
    found, nodes = preflight_with_nodes(config, site)
    lines = [f"{'STOP' if finding.stops else 'note'}  {finding}" for finding in found]
    lines += [f"node  {line}" for line in nodes]
    if not found:
        lines.append("Nothing stands in the way of a run on this cluster.")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(any(finding.stops for finding in found))
