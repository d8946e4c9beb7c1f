"""The audit of a paper's printed numbers: what rounding, arithmetic and its own text allow.

`rounding` reads printed numbers; `cells`, `claims` and `record` read the inputs, and `paper` holds
them together; one module per rule (`repeats`, `prevalence`, `overlap`, `counts`, `claim_check`)
yields problems; `engine` proves corrections by running all rules again and makes the report.
"""
