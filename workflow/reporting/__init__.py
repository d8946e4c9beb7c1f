"""Steps of the DAG: reporting."""
