"""Steps of the DAG: training."""
