"""The DAG and the steps it runs: data, training, evaluation, reporting."""
