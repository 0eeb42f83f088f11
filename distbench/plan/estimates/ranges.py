"""How wrong an estimate may be, by how it was found: factors that held 9 of 10 of what was predicted.

They were set by leaving each record of real runs out and predicting it from the others: `scripts/check_estimates.py`,
results in docs/planning.md. Records of a machine that was busy, and is quiet now, can be worse than that.
"""

SAME = 1.5  # the same work was recorded here
RESCALED = 2.0  # the same work, another number of samples
TWO_WAY = 2.0  # this task with other models, and this model with other tasks
OTHER_MODEL = 2.5  # this task with other models only
OTHER_TASK = 4.0  # this model with other tasks only
OTHER_BOTH = 6.0  # other models with other tasks
OTHER_THREADS = 2.0  # besides: the records are of another number of threads
NOT_COUNTED = 2.0  # besides: how much is asked, or how large the model is, is not known

MEMORY_SAME = 1.3
MEMORY_OTHER = 1.8
MEMORY_COMPUTED = 2.5
DISK = 1.2
