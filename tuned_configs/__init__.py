"""The YAML files that ship with the package, `<environment>/<method>[_<variant>].yaml`.

A package only so that the files are installed with it and found by `rllib example` through importlib.resources.
"""
