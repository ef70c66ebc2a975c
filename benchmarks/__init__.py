"""The benchmarks of fasttoken: ``python -m benchmarks`` runs them all and writes the report.

``harness`` holds what they share; each of the others asks one question. `worker.py` and `worker.js`
run in processes of their own and hold what is said to each library.
"""
