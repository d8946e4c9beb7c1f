"""Steps of the DAG: evaluation."""
