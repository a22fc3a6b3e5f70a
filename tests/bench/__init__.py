"""A benchmark of the service against rclone and a plain loop: the same work, in the same run, on one machine.

`scripts/bench` runs it; docs/benchmark.md says how to read it. `ground` starts what is measured, `peer` and `naive` are what
it is measured against, each module named for a family of works does those works, and `results`, `table` and `chart` show what came of
them. Nothing here passes or fails: a target that is missed is printed as missed.
"""
