"""How wrong an estimate may be, by how it was found: factors that held at least 9 of 10 of what was predicted.

They were set by leaving records of real runs out and predicting them from the others: `scripts/check_estimates.py`,
results in docs/planning.md. Other work is less alike than that of one run, so they are a little wider than that asks.
Records of a machine that was busy, and is quiet now, can be worse.
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
MEMORY_OTHER = 1.8  # this model on other tasks
MEMORY_OTHER_MODEL = 2.2
MEMORY_COMPUTED = 2.5
DISK = 1.2
