"""Training many networks at once, in this process or in workers.

pool              tasks on the threads of this process
stacks            tiny networks trained together, one per SIMD lane
group             trained networks of one architecture, in stacked arrays
cross_validation  a table's folds, and the scores of held-out rows
engines           calls in threads, processes or a Dask cluster
"""
