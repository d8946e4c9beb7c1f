"""Everything that is known of a reproduction at one moment, from its files alone."""

import time

from workflow.config.model import Config
from workflow.status.estimate import estimate
from workflow.status.runs import standings
from workflow.status.show import Overview
from workflow.status.steps import data_standings, made


def overview(config: Config, now: float, young: float | None = None) -> Overview:
    """Look at everything once.

    Args:
        config: whose runs.
        now: in seconds since 1970.
        young: as for `standings`.
    """
    runs = standings(config, now, young)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return Overview(config, at, data_standings(config), runs, estimate(runs), made(config))
