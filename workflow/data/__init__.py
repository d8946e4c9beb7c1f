"""Steps of the DAG: data."""
