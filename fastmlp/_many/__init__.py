"""Many networks at once: side by side in one process, or spread over workers.

group             networks of one architecture that are trained alike
pool              a group's training, by threads
stacks            tiny networks side by side, a vector's lane each
cross_validation  the rows, folds and scores of a choice by held-out rows
engines           who does the work: threads, processes, Dask
"""
