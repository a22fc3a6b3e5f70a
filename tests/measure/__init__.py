"""Measurements of the real service on this machine: figures to read, nothing that passes or fails.

Run one with `PYTHONPATH=sharepoint-proxy:tests .venv/bin/python -m measure intake|journal|kafka|reconcile|throttle [--help]`.
"""
