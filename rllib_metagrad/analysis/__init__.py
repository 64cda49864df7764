"""Readers of Tune's run folders, and the figures and tables made from them. Needs no Ray."""
